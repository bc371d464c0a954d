"""GridSample: the input read at coordinates that another tensor holds, by nearest, linear or cubic neighbours.

At fixed coordinates it is a weighted sum of input values, which is what rules see. The coordinates have a
derivative of their own, that of the weights; rules hold them fixed.
"""

from __future__ import annotations

from typing import Any

from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.ops.neighbours import combined, neighbours, padded
from onnxdtd.primitives import (
    concat,
    number,
    reduce_sum,
    reshape,
    reshape_like,
    sample,
    sizes,
    slice_axes,
    unsample,
    unsqueeze,
)
from onnxdtd.registry import op

MODES = {"bilinear": "linear", "bicubic": "cubic"}


@op(
    "GridSample",
    kind="linear",
    family="pool",
    data=(0, 1),
    otherwise={(1,): "norm", (0, 1): "norm"},
    since=16,
)
def grid_sample(point: Point) -> Site:
    """y = x read at the grid's coordinates; to rules, the grid is a constant."""
    x, grid, y = point.value(0), point.value(1), point.output
    lengths = sizes(x, 2)
    rank = len(lengths)
    mode = point.attribute("mode", "linear")
    mode = MODES.get(mode, mode)
    corners, padding = bool(point.attribute("align_corners", 0)), point.attribute("padding_mode", "zeros")
    places = reshape(grid, shape=[0, -1, rank])
    # A grid runs from -1 to 1, over the middles of the first and last element or over their edges.
    scales = [number(length - corners, grid) * 0.5 for length in lengths]
    middles = [number(length - 1, grid) * 0.5 for length in lengths]
    at = [_column(places, rank, i) * scales[i] + middles[i] for i in range(rank)]
    axes = [padded(neighbours(at[i], mode), length, padding, corners) for i, length in enumerate(lengths)]
    index, weight = combined(axes, lengths)

    def read(w: Any, v: Any) -> Any:
        return reshape_like(sample(flat(v), index, w), y)

    by_x = LinearMap(weight, read, lambda w, r: reshape_like(unsample(flat(r), index, w, flat(x)), x))
    if point.slots == (0,):
        return point.site(by_x, spread_dead=mode != "cubic")
    slopes = [combined(axes, lengths, axis)[1] * scale for axis, scale in enumerate(scales)]

    def moved(w: Any, v: Any) -> Any:
        v = reshape(v, shape=[0, -1, rank])
        shifts = [slope * _column(v, rank, axis) for axis, slope in enumerate(slopes)]
        return read(sum(shifts[1:], shifts[0]), x)

    def moved_back(w: Any, r: Any) -> Any:
        r = flat(r)
        parts = [reduce_sum(sample(flat(x), index, slope) * r, axes=(1,), keepdims=False) for slope in slopes]
        return reshape_like(concat(*(unsqueeze(part, axes=(2,)) for part in reversed(parts)), axis=2), grid)

    by_grid = LinearMap(None, moved, moved_back)
    if point.slots == (1,):
        return point.site(by_grid, bias=y - moved(None, grid))
    fixed = LinearMap(None, lambda w, v: y * 0.0, lambda w, r: grid * 0.0)
    return point.site(by_x, fixed, jacobian=(by_x, by_grid))


def flat(v: Any) -> Any:
    """(N, C, *spatial) as (N, C, S)."""
    return reshape(v, shape=[0, 0, -1])


def _column(places: Any, rank: int, axis: int) -> Any:
    """The coordinates (N, O, 1) on one axis; a grid names the last axis first."""
    behind = rank - axis
    return slice_axes(places, starts=[behind - 1], ends=[behind], axes=[2], steps=[1])
