"""Fourier transforms as the matrix products that they are: real and imaginary parts are ordinary features."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.errors import UnsupportedError
from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.primitives import (
    at_hand,
    cast_like,
    concat,
    conv,
    conv_transpose,
    matmul,
    operator,
    reshape,
    reshape_like,
    size,
    swap_last,
    transpose,
    unit,
    unsqueeze,
)
from onnxdtd.registry import op

# From this opset on the axis is an input.
AXIS_AS_INPUT = 20


@op("DFT", kind="linear", family="dense", since=17)
def fourier(point: Point) -> Site:
    """y_k = sum_t x_t exp(-2 pi i k t / n) along an axis (inverse: + and / n), parts in the last axis."""
    x, y = point.x, point.output
    axis = _number(point, "axis", 2, 1 if point.opset < 20 else -2) % x.ndim
    inverse, half = bool(point.attribute("inverse", 0)), bool(point.attribute("onesided", 0))
    before, after = size(x, axis), size(y, axis)
    if at_hand(before, after):
        length = _number(point, "dft_length", 1, after if half and inverse else before)
        matrix = _matrix(before, after, length, (_parts(point, x), _parts(point, y)), inverse, not half)
    else:
        matrix = _transformed(point, unit(before, x), _parts(point, x))
    matrix = cast_like(matrix, x)
    swap = list(range(x.ndim - 1))
    swap[axis], swap[-1] = swap[-1], swap[axis]
    perm = [*swap, x.ndim - 1]

    def times(v: Any, w: Any, like: Any, rows: int) -> Any:
        """The axis beside the parts, both as one, multiplied, and back."""
        flat = reshape(transpose(v, perm=perm), shape=[*([0] * (x.ndim - 2)), -1])
        product = matmul(flat, w)
        around = [size(product, i) for i in range(x.ndim - 2)]
        return transpose(reshape(product, shape=[*around, rows, like.shape[-1]]), perm=perm)

    return point.site(
        LinearMap(
            matrix,
            lambda w, v: times(v, w, y, after),
            lambda w, r: times(r, swap_last(w), x, before),
            point.is_fixed(0, axis, -1),
        )
    )


def _parts(point: Point, v: Any) -> int:
    """1 for real numbers, 2 for complex ones: on this the whole map depends."""
    if isinstance(parts := v.shape[-1], int):
        return parts
    raise UnsupportedError(
        f"{point.node}: its last axis has 1 place for real numbers or 2 for complex ones, which must be known to "
        "compile; fix the last axis of the model's input, or use engine='numpy'"
    )


def _transformed(point: Point, ones: Any, parts: int) -> Any:
    """The matrix, as the node itself makes it of each place alone."""
    rows = unsqueeze(ones, axes=(2,))
    if parts == 2:
        real, imaginary = concat(rows, rows * 0.0, axis=2), concat(rows * 0.0, rows, axis=2)
        rows = reshape(concat(real, imaginary, axis=1), shape=[-1, size(ones, 0), 2])
    length = point.value(1) if point.has(1) else None
    attributes = {name: value for name, value in point.node.attributes.items() if name != "axis"}
    if point.opset < AXIS_AS_INPUT:
        made = operator("DFT", rows, length, opset=point.opset, axis=1, **attributes)
    else:
        made = operator("DFT", rows, length, np.int64(1), opset=point.opset, **attributes)
    return reshape(made, shape=[size(ones, 0) * parts, -1])


def _number(point: Point, name: str, slot: int, default: int) -> int:
    numbers = point.integers(name, slot, [default])
    return numbers[0] if numbers else default


def _matrix(
    before: int, after: int, length: int, parts: tuple[int, int], inverse: bool, whole: bool
) -> npt.NDArray[np.float64]:
    """(before * parts, after * parts): the transform of each unit vector. whole: an inverse reads both halves."""
    units = np.eye(before).astype(complex)
    rows = np.stack([units, 1j * units][: parts[0]], axis=1).reshape(-1, before)
    if not inverse:
        out = np.fft.fft(rows, length, axis=1)[:, :after]
    elif whole:
        out = np.fft.ifft(rows, length, axis=1)[:, :after]
    else:
        out = np.fft.irfft(rows, length, axis=1).astype(complex)
    return np.stack([out.real, out.imag][: parts[1]], axis=2).reshape(len(rows), -1)


@op("STFT", kind="linear", family="dense", since=17)
def short_time_fourier(point: Point) -> Site:
    """y = DFT of each windowed frame: a convolution with windowed cosines and sines, one channel a frequency."""
    x = point.x
    step = _number(point, "frame_step", 1, 1)
    window = point.value(2) if point.has(2) else None
    if not at_hand(window):
        window = point.constant(2)
    length = _number(point, "frame_length", 3, 0 if window is None else len(window))
    bins = length // 2 + 1 if point.attribute("onesided", 1) else length
    window = np.ones(length) if window is None else window
    parts = _parts(point, x) if x.ndim == 3 else 1
    matrix = _matrix(length, bins, length, (parts, 2), False, True) * np.repeat(window, parts)[:, None]
    # (bins * 2, parts, length): what each output reads of a frame.
    kernel = matrix.reshape(length, parts, -1).transpose(2, 1, 0).astype(x.dtype)
    geometry: dict[str, Any] = {"strides": [step], "pads": [0, 0], "dilations": [1], "group": 1}

    def channels(v: Any) -> Any:
        return transpose(reshape(v, shape=[0, -1, parts]), perm=[0, 2, 1])

    def apply(w: Any, v: Any) -> Any:
        return reshape(transpose(conv(channels(v), w, **geometry), perm=[0, 2, 1]), shape=[0, 0, bins, 2])

    def adjoint(w: Any, r: Any) -> Any:
        frames = transpose(reshape(r, shape=[0, 0, -1]), perm=[0, 2, 1])
        back = conv_transpose(frames, w, channels(x), **geometry)
        return reshape_like(transpose(back, perm=[0, 2, 1]), x)

    return point.site(LinearMap(kernel, apply, adjoint, True))
