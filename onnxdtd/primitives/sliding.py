"""The sliding-window primitives: NumPy bodies from `convolution` and `pooling`, and their ONNX meaning."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from onnxdtd.primitives import convolution, pooling
from onnxdtd.primitives.arithmetic import cast_like, equal, quotient
from onnxdtd.primitives.picking import first_along
from onnxdtd.primitives.seam import Array, primitive
from onnxdtd.primitives.shaping import reduce_sum, reshape, reshape_like, static
from onnxdtd.primitives.traced import Traced

Ints = Sequence[int]


@primitive("Conv")
def conv(x: Array, w: Array, *, strides: Ints, pads: Ints, dilations: Ints, group: int) -> Any:
    """y of ONNX Conv without bias: x (N, C, *spatial), w (M, C / group, *kernel)."""
    return convolution.conv(x, w, strides=strides, pads=pads, dilations=dilations, group=group)


MIRROR_FROM = 16
"""Channels a group from which onnxruntime convolves with the mirrored kernel faster than it transposes."""


def _trace_conv_transpose(
    r: Any, w: Any, like: Any, *, strides: Ints, pads: Ints, dilations: Ints, group: int
) -> Any:
    window: dict[str, Any] = {"strides": strides, "pads": pads, "dilations": dilations, "group": group}
    if not isinstance(r, Traced) and not isinstance(w, Traced):
        return convolution.conv_transpose(r, w, **window, spatial=[static(n) for n in like.shape[2:]])
    shape = (r.shape[0], w.shape[1] * group, *like.shape[2:])
    if _mirrors(w, strides, pads, dilations, group):
        window["pads"] = _mirrored_pads(w, pads, dilations)
        return r.tracer.emit("Conv", r, convolution.mirrored(w, group), **window, shape=shape)
    if _dilates(r, w, like, strides, group):
        around = _dilated_pads(r, w, like, strides, pads, dilations)
        if min(around) >= 0:
            window |= {"pads": around, "strides": [1] * len(strides)}
            return r.tracer.emit(
                "Conv", _dilated(r, strides), convolution.mirrored(w, group), **window, shape=shape
            )
    rank = len(strides)
    axes = list(
        zip(
            like.shape[2:],
            r.shape[2:],
            w.shape[2:],
            strides,
            pads[:rank],
            pads[rank:],
            dilations,
            strict=True,
        )
    )
    fixed = all(isinstance(n, int) for n in (*like.shape[2:], *r.shape[2:]))
    if fixed:
        extra = [n - ((o - 1) * s + (k - 1) * d + 1 - a - b) for n, o, k, s, a, b, d in axes]
    else:
        # Too long by as much as a stride can leave unread; then cut to the length that x turns out to have.
        extra = [s - 1 for s in strides]
    whole = fixed or not any(extra)
    tracer = like.tracer
    back = tracer.emit("ConvTranspose", r, w, **window, output_padding=extra, shape=shape if whole else None)
    return back if whole else _cut(back, like, shape)


def _mirrors(w: Any, strides: Ints, pads: Ints, dilations: Ints, group: int) -> bool:
    """Whether the adjoint is a convolution that onnxruntime is fast at, with weights known at compile time."""
    if isinstance(w, Traced) or set(strides) != {1} or min(_mirrored_pads(w, pads, dilations)) < 0:
        return False
    return bool(w.shape[1] >= MIRROR_FROM or w.shape[1] == 1 == w.shape[0] // group)


def _mirrored_pads(w: Any, pads: Ints, dilations: Ints) -> list[int]:
    return [(k - 1) * d - p for k, d, p in zip(w.shape[2:] * 2, (*dilations, *dilations), pads, strict=True)]


def _dilates(r: Any, w: Any, like: Any, strides: Ints, group: int) -> bool:
    """Whether the layer is a depthwise one with strides, which onnxruntime is slow to transpose."""
    if isinstance(w, Traced) or not isinstance(r, Traced) or set(strides) == {1} or r.dtype != np.float32:
        return False
    fixed = all(isinstance(n, int) for n in (*like.shape[2:], *r.shape[2:]))
    return bool(fixed and w.shape[1] == 1 == w.shape[0] // group)


def _dilated(r: Any, strides: Ints) -> Any:
    """r with zeros between its elements, each the corner of a block of the strides' size."""
    corner = np.zeros((1, 1, *strides), np.float32)
    corner.flat[0] = 1
    corners = np.tile(corner, (1, 1, *r.shape[2:]))
    return _enlarged(r, strides) * corners


def _dilated_pads(r: Any, w: Any, like: Any, strides: Ints, pads: Ints, dilations: Ints) -> list[int]:
    """Around r with its zeros: those of the mirrored convolution that give back the length of `like`."""
    begins = [(k - 1) * d - p for k, d, p in zip(w.shape[2:], dilations, pads, strict=False)]
    ends = [n + p - o * s for n, o, s, p in zip(like.shape[2:], r.shape[2:], strides, pads, strict=False)]
    return [*begins, *ends]


def _enlarged(a: Any, factors: Ints) -> Any:
    """Each element as a block."""
    scales = np.array((1, 1, *factors), np.float32)
    nearest = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    shape = (*a.shape[:2], *(n * f for n, f in zip(a.shape[2:], factors, strict=True)))
    return a.tracer.emit("Resize", a, None, scales, shape=shape, **nearest)


def _cut(back: Any, like: Any, shape: Any) -> Any:
    axes = np.arange(2, len(shape))
    ends = like.tracer.emit("Slice", like.tracer.emit("Shape", like), np.array([2]), np.array([len(shape)]))
    return back.tracer.emit("Slice", back, 0 * axes, ends, axes, shape=shape)


@primitive(trace=_trace_conv_transpose)
def conv_transpose(
    r: Array, w: Array, like: Array, *, strides: Ints, pads: Ints, dilations: Ints, group: int
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


def _planes(x: Any) -> Any:
    """(N, C, *spatial) as (N C, 1, *spatial)."""
    return reshape(x, shape=[-1, 1, *([0] * (x.ndim - 2))])


def _windows(x: Any, kernel_shape: Ints, strides: Ints, pads: Ints, dilations: Ints) -> Any:
    """Every window's values as channels of a convolution with one-hot kernels: (N C, K, *out)."""
    hot = _one_hot(kernel_shape, x.dtype)
    return conv(_planes(x), hot, strides=strides, pads=pads, dilations=dilations, group=1)


def _one_hot(kernel_shape: Ints, dtype: Any) -> Any:
    count = prod(kernel_shape)
    return np.eye(count, dtype=dtype).reshape(count, 1, *kernel_shape)


def _shares(
    x: Any, y: Any, kernel_shape: Ints, strides: Ints, pads: Ints, dilations: Ints, first: bool
) -> Any:
    """1 / number of winners (or 1 at the first) at the winners of each window, 0 elsewhere: (N C, K, *out)."""
    rank = len(kernel_shape)
    if any(pads):
        # A border that no value is below, so that padding never wins; a finite one, since 0 * inf is no number.
        around = np.array((0, 0, *pads[:rank], 0, 0, *pads[rank:]), np.int64)
        x = x.tracer.emit("Pad", x, around, np.asarray(np.finfo(x.dtype).min, x.dtype))
    seen = _windows(x, kernel_shape, strides, [0] * (2 * rank), dilations)
    winners = cast_like(equal(seen, _planes(y)), x)
    if first:
        return first_along(winners, axis=1)
    # A window that lies in the padding has no winner.
    return quotient(winners, reduce_sum(winners, axes=(1,)), sign=1)


def _trace_max_pool_select(x: Any, y: Any, v: Any, *, first: bool, **window: Any) -> Any:
    return reshape_like(
        reduce_sum(_shares(x, y, **window, first=first) * _windows(v, **window), axes=(1,)), y
    )


def _trace_max_pool_adjoint(
    x: Any, y: Any, r: Any, *, kernel_shape: Ints, strides: Ints, pads: Ints, dilations: Ints, first: bool
) -> Any:
    if not first and _tiles(x, kernel_shape, strides, pads, dilations):
        return _trace_tiles_adjoint(x, y, r, kernel_shape)
    shares = _shares(x, y, kernel_shape, strides, pads, dilations, first)
    back = conv_transpose(
        shares * _planes(r), _one_hot(kernel_shape, x.dtype), _planes(x), strides=strides, pads=pads,
        dilations=dilations, group=1,
    )  # fmt: skip
    return reshape_like(back, x)


def _tiles(x: Any, kernel_shape: Ints, strides: Ints, pads: Ints, dilations: Ints) -> bool:
    """Whether the windows lie side by side and cover x, whose type onnxruntime can enlarge."""
    fits = all(isinstance(n, int) and n % k == 0 for n, k in zip(x.shape[2:], kernel_shape, strict=True))
    plain = tuple(kernel_shape) == tuple(strides) and not any(pads) and set(dilations) == {1}
    return fits and plain and x.dtype == np.float32


def _trace_tiles_adjoint(x: Any, y: Any, r: Any, kernel_shape: Ints) -> Any:
    """Each window's maximum and share enlarged to the window, without an unfold of K copies."""
    winners = cast_like(equal(x, _enlarged(y, kernel_shape)), x)
    part = x.tracer.emit("AveragePool", winners, kernel_shape=kernel_shape, strides=kernel_shape)
    return winners * _enlarged(r / (part * float(prod(kernel_shape))), kernel_shape)


@primitive(trace=_trace_max_pool_select)
def max_pool_select(
    x: Array,
    y: Array,
    v: Array,
    *,
    kernel_shape: Ints,
    strides: Ints,
    pads: Ints,
    dilations: Ints,
    first: bool = False,
) -> Any:
    """Max pooling at the point x as a linear map of v: the mean of v over each window's winners, or the first's."""
    return pooling.max_pool_select(
        x,
        y,
        v,
        kernel_shape=kernel_shape,
        strides=strides,
        pads=pads,
        dilations=dilations,
        first=first,
    )


@primitive(trace=_trace_max_pool_adjoint)
def max_pool_adjoint(
    x: Array,
    y: Array,
    r: Array,
    *,
    kernel_shape: Ints,
    strides: Ints,
    pads: Ints,
    dilations: Ints,
    first: bool = False,
) -> Any:
    """Its adjoint: r shared equally among each window's winners, or all to the first."""
    return pooling.max_pool_adjoint(
        x,
        y,
        r,
        kernel_shape=kernel_shape,
        strides=strides,
        pads=pads,
        dilations=dilations,
        first=first,
    )
