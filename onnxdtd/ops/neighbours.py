"""Interpolation between grid points: the neighbours of a coordinate, their weights, and the weights' slopes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from onnxdtd.primitives import (
    Size,
    absolute,
    cast_like,
    clipped,
    floor,
    greater,
    larger,
    less,
    number,
    reshape,
    round_even,
    unsqueeze,
)

A = -0.75
"""The free parameter of Keys' cubic kernel, as ONNX fixes it."""


@dataclass(frozen=True)
class Taps:
    """The neighbours of every place on one axis, (N, O, K) each: index, weight, and slope of the weight."""

    index: Any
    weight: Any
    slope: Any


@dataclass(frozen=True)
class Kernel:
    """offsets: of the neighbours from floor(at). The distance of each is away + toward * (at - floor(at)), and its
    weight a polynomial of it, highest power first."""

    offsets: tuple[int, ...]
    toward: tuple[int, ...]
    away: tuple[int, ...]
    polynomial: tuple[tuple[float, ...], ...]


NEAR, FAR = (A + 2, -(A + 3), 0.0, 1.0), (A, -5 * A, 8 * A, -4 * A)
KERNELS = {
    "linear": Kernel((0, 1), (1, -1), (0, 1), ((-1.0, 1.0), (-1.0, 1.0))),
    "cubic": Kernel((-1, 0, 1, 2), (1, 1, -1, -1), (1, 0, 1, 2), (FAR, NEAR, NEAR, FAR)),
}


def neighbours(at: Any, mode: str) -> Taps:
    """The taps of coordinates (N, O, 1): nearest (halves to even), linear, or cubic by Keys 1981."""
    if mode == "nearest":
        return Taps(round_even(at), at * 0.0 + 1.0, at * 0.0)
    kernel = KERNELS[mode]
    offsets, toward, away = (np.array(n, at.dtype) for n in (kernel.offsets, kernel.toward, kernel.away))
    low = floor(at)
    distance = (at - low) * toward + away
    weight = slope = distance * 0.0
    for power in np.array(kernel.polynomial, at.dtype).T:
        weight, slope = weight * distance + power, slope * distance + weight
    return Taps(low + offsets, weight, slope * toward)


def padded(taps: Taps, length: Size, padding: str, corners: bool) -> Taps:
    """Indices within the axis: beyond it lie zeros, copies of the border or reflections. corners: the border is
    the middle of the last element, else its edge."""
    last, index = number(length - 1, taps.index), taps.index
    if padding == "reflection":
        # Nothing is reflected on an axis of one place.
        low, span = (0.0, number(larger(length - 1, 1), index)) if corners else (-0.5, number(length, index))
        beyond = index - low
        beyond = beyond - floor(beyond / (2 * span)) * (2 * span)
        index = span - absolute(beyond - span) + low
    if padding == "zeros":
        outside = cast_like(less(index, -0.5), index) + cast_like(greater(index, last + 0.5), index)
        taps = replace(taps, weight=taps.weight * (1.0 - outside), slope=taps.slope * (1.0 - outside))
    return replace(taps, index=cast_like(clipped(index, 0.0, last), np.empty(0, np.int64)))


def combined(axes: Sequence[Taps], lengths: Sequence[Size], derived: int | None = None) -> tuple[Any, Any]:
    """(index, weight) over all axes together, (N, O, K^axes): flat indices into the lengths. derived: the axis
    whose slopes stand in place of its weights."""
    index: Any = None
    for axis, (taps, length) in enumerate(zip(axes, lengths, strict=True)):
        share = taps.slope if axis == derived else taps.weight
        if index is None:
            index, weight = taps.index, share
            continue
        index = unsqueeze(index, axes=(3,)) * number(length, index) + unsqueeze(taps.index, axes=(2,))
        weight = unsqueeze(weight, axes=(3,)) * unsqueeze(share, axes=(2,))
        index, weight = reshape(index, shape=[0, 0, -1]), reshape(weight, shape=[0, 0, -1])
    return index, weight
