"""DeformConv: a convolution whose windows read between the pixels, at places shifted by an offset each.

At fixed places and mask it is linear in x, which is what rules see; offsets and mask have a derivative.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.ops.neighbours import Taps, combined, neighbours, padded
from onnxdtd.ops.window import Window, per_channel, window
from onnxdtd.primitives import (
    Size,
    at_hand,
    cast_like,
    concat,
    digits,
    divided,
    matmul,
    negative_part,
    product,
    reduce_sum,
    relu,
    reshape,
    reshape_like,
    sample,
    size,
    sizes,
    slice_axes,
    swap_last,
    unsample,
)
from onnxdtd.registry import op

FIXED = dict.fromkeys([(2,), (4,), (0, 2), (0, 4), (2, 4), (0, 2, 4)], "norm")


@op("DeformConv", kind="linear", family="convolution", data=(0, 2, 4), otherwise=FIXED, since=19)
def deformable(point: Point) -> Site:
    """y = W * x read at shifted places, times the mask; to rules, places and mask are constants."""
    x, kernel, offset, y = point.value(0), point.value(1), point.value(2), point.output
    group, parts = point.attribute("group", 1), point.attribute("offset_group", 1)
    lengths, count, places = sizes(x, 2), prod(kernel.shape[2:]), product(sizes(y, 2))
    axes = _taps(offset, window(point, kernel.shape[2:], x), lengths, sizes(y, 2))
    index, weight = combined(axes, lengths)
    mask = (
        reshape(point.value(4), shape=[-1, 1, places * count])
        if point.has(4)
        else np.ones((1, 1, 1), x.dtype)
    )
    channels = divided(size(x, 1), parts)

    def images(v: Any) -> Any:
        """Channels that share their offsets as samples: (N parts, C / parts, S)."""
        return reshape(v, shape=[-1, channels, product(lengths)])

    depth = divided(channels * (count * parts), group)

    def columns(w: Any, *read: Any) -> Any:
        """The kernel on what every window has read (N parts, C / parts, kernel * places), one set or more."""
        rows = [reshape(part, shape=[-1, group, depth, places]) for part in read]
        joined = concat(*rows, axis=2) if len(rows) > 1 else rows[0]
        return reshape_like(matmul(reshape(w, shape=[group, kernel.shape[0] // group, -1]), joined), y)

    def columns_back(w: Any, r: Any, sets: int = 1) -> list[Any]:
        rows = reshape(r, shape=[0, group, -1, places])
        back = matmul(swap_last(reshape(w, shape=[group, kernel.shape[0] // group, -1])), rows)
        cuts = [(i * depth, (i + 1) * depth) for i in range(sets)]
        parts_of = [slice_axes(back, starts=[a], ends=[b], axes=[2], steps=[1]) for a, b in cuts]
        return [reshape(part, shape=[-1, channels, places * count]) for part in parts_of]

    # A negative mask turns the sign of the kernel, which rules must see.
    masks = (mask,) if nonnegative(mask) else (relu(mask), -negative_part(mask))
    signed = kernel if len(masks) == 1 else concat(kernel, -kernel, axis=1)

    def by_x(w: Any, v: Any) -> Any:
        read = sample(images(v), index, weight)
        return columns(w, *(read * part for part in masks))

    def by_x_back(w: Any, r: Any) -> Any:
        back = [b * part for b, part in zip(columns_back(w, r, len(masks)), masks, strict=True)]
        return reshape_like(unsample(sum(back[1:], back[0]), index, weight, images(x)), x)

    b = per_channel(point.value(3), x.ndim) if point.has(3) else None
    of_x = LinearMap(signed, by_x, by_x_back, False)
    if point.slots == (0,):
        return point.site(of_x, bias=b)
    slopes = [combined(axes, lengths, axis)[1] for axis in range(len(lengths))]

    def by_offset(w: Any, v: Any) -> Any:
        shifts = [
            slope * shift
            for slope, shift in zip(slopes, _shifts(v, len(lengths), count, places), strict=True)
        ]
        return columns(kernel, sample(images(x), index, sum(shifts[1:], shifts[0])) * mask)

    def by_offset_back(w: Any, r: Any) -> Any:
        back = columns_back(kernel, r)[0] * mask
        moved = [reduce_sum(sample(images(x), index, slope) * back, axes=(1,)) for slope in slopes]
        return reshape_like(
            concat(*(reshape(part, shape=[-1, count, 1, places]) for part in moved), axis=2), offset
        )

    def by_mask(w: Any, v: Any) -> Any:
        return columns(kernel, sample(images(x), index, weight) * reshape(v, shape=[-1, 1, places * count]))

    def by_mask_back(w: Any, r: Any) -> Any:
        back = columns_back(kernel, r)[0] * sample(images(x), index, weight)
        return reshape_like(reduce_sum(back, axes=(1,)), point.value(4))

    derivative = {
        0: of_x, 2: LinearMap(None, by_offset, by_offset_back), 4: LinearMap(None, by_mask, by_mask_back),
    }  # fmt: skip
    jacobian = tuple(derivative[slot] for slot in point.slots)
    if 0 not in point.slots:
        terms = [m.apply(None, point.value(slot)) for m, slot in zip(jacobian, point.slots, strict=True)]
        return point.site(*jacobian, bias=y - sum(terms[1:], terms[0]))
    still = [_still(point.value(slot), y) for slot in point.slots[1:]]
    return point.site(of_x, *still, bias=b, jacobian=jacobian)


def nonnegative(mask: Any) -> bool:
    """Whether it is known that no element is negative."""
    return at_hand(mask) and bool((mask >= 0).all())


def _still(v: Any, y: Any) -> LinearMap:
    """The map of what rules hold fixed."""
    return LinearMap(None, lambda w, x: y * 0.0, lambda w, r: v * 0.0)


def _taps(offset: Any, stated: Window, lengths: Sequence[Size], out: Sequence[Size]) -> list[Taps]:
    """The neighbours of every (kernel position, window) on each axis, zeros beyond the image."""
    taps = []
    for axis, shift in enumerate(_shifts(offset, len(lengths), prod(stated.kernel), product(out))):
        kernel = np.indices(stated.kernel)[axis].reshape(-1, 1) * stated.dilations[axis]
        start = digits(out, axis) * stated.strides[axis] - stated.pads[axis]
        at = shift + cast_like(reshape(start + kernel, shape=[-1, 1]), offset)
        taps.append(padded(neighbours(at, "linear"), lengths[axis], "zeros", True))
    return taps


def _shifts(offset: Any, rank: int, count: int, places: Size) -> list[Any]:
    """Offsets (N, parts * kernel * rank, *out) by axis: (N parts, kernel * places, 1) each."""
    by_axis = reshape(offset, shape=[-1, count, rank, places])
    return [
        reshape(
            slice_axes(by_axis, starts=[i], ends=[i + 1], axes=[2], steps=[1]), shape=[0, places * count, 1]
        )
        for i in range(rank)
    ]
