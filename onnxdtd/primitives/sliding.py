"""Convolution and its adjoint: NumPy bodies from `convolution`, and their ONNX meaning."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxdtd.primitives import convolution
from onnxdtd.primitives.seam import Array, at_hand, primitive, tracer_among, vector
from onnxdtd.primitives.shaping import Ints, Sizes, pad
from onnxdtd.primitives.sizes import sizes
from onnxdtd.primitives.strided import by_convolutions, in_blocks
from onnxdtd.primitives.traced import Traced


def _trace_conv(x: Any, w: Any, *, pads: Sizes, **window: Any) -> Any:
    tracer, rank = tracer_among(x, w, list(pads)), x.ndim - 2
    if not at_hand(*pads):
        x = pad(x, pads=[0, 0, *pads[:rank], 0, 0, *pads[rank:]])
        pads = [0] * (2 * rank)
    # Of a kernel that is a value, inference may know too little to tell even the rank.
    fixed = all(isinstance(n, int) for n in w.shape)
    shape = None if fixed else (x.shape[0], w.shape[0], *[None] * rank)
    return tracer.emit("Conv", x, w, pads=pads, **window, shape=shape)


@primitive(trace=_trace_conv, as_inputs=("pads",))
def conv(x: Array, w: Array, *, strides: Ints, pads: Sizes, dilations: Ints, group: int) -> Any:
    """y of ONNX Conv without bias: x (N, C, *spatial), w (M, C / group, *kernel); pads may be sizes."""
    return convolution.conv(x, w, strides=strides, pads=pads, dilations=dilations, group=group)


MIRROR_FROM = 16
"""Channels a group from which onnxruntime convolves with the mirrored kernel faster than it transposes."""


def _trace_conv_transpose(
    r: Any, w: Any, like: Any, *, strides: Ints, pads: Sizes, dilations: Ints, group: int
) -> Any:
    window: dict[str, Any] = {"strides": strides, "pads": pads, "dilations": dilations, "group": group}
    fixed = all(isinstance(n, int) for n in (*like.shape[2:], *r.shape[2:], *w.shape[2:], *pads))
    if fixed and at_hand(r, w):
        return convolution.conv_transpose(r, w, **window, spatial=like.shape[2:])
    tracer, rank = like.tracer, len(strides)
    channels = w.shape[1] * group if isinstance(w.shape[1], int) else like.shape[1]
    shape = (r.shape[0], channels, *like.shape[2:])
    if not at_hand(*pads):
        # All of what the windows read, of which the pads are cut off.
        window |= {"pads": [0] * (2 * rank), "output_padding": [s - 1 for s in strides]}
        whole = tracer.emit("ConvTranspose", r, w, **window, shape=(*shape[:2], *[None] * rank))
        return _cut(whole, like, shape, pads[:rank])
    if _mirrors(w, strides, pads, dilations, group):
        window["pads"] = _mirrored_pads(w, pads, dilations)
        return r.tracer.emit("Conv", r, convolution.mirrored(w, group), **window, shape=shape)
    if fixed and (made := by_convolutions(r, w, like, **window)) is not None:
        return made
    # Too long by as much as a stride can leave unread; then cut to the length that x turns out to have.
    extra = [s - 1 for s in strides]
    if fixed:
        ends = zip(pads[:rank], pads[rank:], strict=True)
        axes = zip(like.shape[2:], r.shape[2:], w.shape[2:], strides, ends, dilations, strict=True)
        extra = [n - ((o - 1) * s + (k - 1) * d + 1 - a - b) for n, o, k, s, (a, b), d in axes]
    exact = fixed or not any(extra)
    sizes = shape if exact else (*shape[:2], *[None] * rank)
    back = tracer.emit("ConvTranspose", r, w, **window, output_padding=extra, shape=sizes)
    return in_blocks(back) if exact else _cut(back, like, shape, [0] * rank)


def _mirrors(w: Any, strides: Ints, pads: Ints, dilations: Ints, group: int) -> bool:
    """Whether the adjoint is a convolution that onnxruntime is fast at, with weights known at compile time."""
    if isinstance(w, Traced) or set(strides) != {1} or min(_mirrored_pads(w, pads, dilations)) < 0:
        return False
    return bool(w.shape[1] >= MIRROR_FROM or w.shape[1] == 1 == w.shape[0] // group)


def _mirrored_pads(w: Any, pads: Ints, dilations: Ints) -> list[int]:
    return [(k - 1) * d - p for k, d, p in zip(w.shape[2:] * 2, (*dilations, *dilations), pads, strict=True)]


def _cut(back: Any, like: Any, shape: Any, begins: Sizes) -> Any:
    """From these places on, as long as `like`."""
    axes = np.arange(2, len(shape))
    ends = [begin + n for begin, n in zip(begins, sizes(like, 2), strict=True)]
    return back.tracer.emit("Slice", back, vector(begins), vector(ends), axes, shape=shape)


@primitive(trace=_trace_conv_transpose)
def conv_transpose(
    r: Array, w: Array, like: Array, *, strides: Ints, pads: Sizes, dilations: Ints, group: int
) -> Any:
    """The adjoint of `conv` in x: r (N, M, *out), the same w; like: an array shaped as x."""
    return convolution.conv_transpose(
        r,
        w,
        strides=strides,
        pads=pads,
        dilations=dilations,
        group=group,
        spatial=like.shape[2:],
    )
