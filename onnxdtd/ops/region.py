"""RoiAlign and MaxRoiPool: a grid of cells over each region of interest, read from the image that it lies in.

Regions are boxes that carry no relevance: where they come from the model's input, that is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from onnxdtd.domains.rows import or_zero
from onnxdtd.errors import UnsupportedError
from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.primitives import (
    absolute,
    at_hand,
    cast_like,
    greater,
    quotient,
    reduce_sum,
    reshape,
    reshape_like,
    sample,
    size,
    sizes,
    transpose,
    unsample,
    unsqueeze,
)
from onnxdtd.registry import op
from onnxdtd.types import Array

ACROSS = (1, 0, 2, 3)
Cells = tuple[Array, Array]
"""(cells, k): flat indices of pixels and their weights."""


@op("RoiAlign", kind="linear", family="pool", since=10, range=or_zero)
def region_align(point: Point) -> Site:
    """y = mean (or the largest weighted value) of samples, each interpolated between four pixels, per cell."""
    height, width = _lengths(point)
    cells = [_samples(point, roi, height, width) for roi in point.value(1)]
    index, weight = _together(point.x, point.value(2), cells)
    return (_largest if point.attribute("mode", "avg") == "max" else _mean)(point, index, weight)


def _lengths(point: Point) -> list[int]:
    """Height and width of the images. Raises UnsupportedError where a graph would have to work out the cells."""
    regions = [point.value(slot) for slot in range(1, len(point.node.inputs))]
    lengths = sizes(point.x, 2)
    if not at_hand(*regions, *lengths):
        raise UnsupportedError(
            f"{point.node}: its regions, and the height and width of its images, must be known to compile; fix the "
            "sizes of the model's input and keep the regions in the model, or use engine='numpy'"
        )
    return lengths


def _together(x: Any, images: Array, cells: Iterable[Cells]) -> Cells:
    """The cells of all regions, in one image in which all images lie one behind the other."""
    height, width = x.shape[2:]
    cells = [
        (index + int(image) * height * width, weight)
        for image, (index, weight) in zip(images, cells, strict=True)
    ]
    most = max((index.shape[1] for index, _ in cells), default=1)
    none = np.zeros((0, most))
    index = np.concatenate([none.astype(np.int64), *(_wide(index, most) for index, _ in cells)])
    return index, np.concatenate([none, *(_wide(weight, most) for _, weight in cells)]).astype(x.dtype)


def _mean(point: Point, index: Array, weight: Array) -> Site:
    """The map of y = sum over k of weight_k x_k per cell and channel."""
    x, y = point.x, point.output

    def apply(w: Any, v: Any) -> Any:
        return _apart(sample(_as_one(v), index[None], w[None]), y)

    def adjoint(w: Any, r: Any) -> Any:
        return _apart(unsample(_as_one(r), index[None], w[None], _as_one(x)), x)

    return point.site(LinearMap(weight, apply, adjoint), spread_dead=True)


def _as_one(v: Any) -> Any:
    """(N, C, H, W) as one image of channels (1, C, N H W)."""
    return reshape(transpose(v, perm=ACROSS), shape=[1, size(v, 1), -1])


def _apart(flat: Any, like: Any) -> Any:
    """What `_as_one` made, in the shape of `like` again."""
    return transpose(reshape_like(flat, transpose(like, perm=ACROSS)), perm=ACROSS)


def _wide(a: Array, width: int) -> Array:
    """Rows filled up with zeros: index 0 at weight 0 reads nothing."""
    return np.pad(a, [(0, 0), (0, width - a.shape[1])])


def _samples(point: Point, roi: Array, height: int, width: int) -> Cells:
    """The cells of one region: four neighbours of each sample, the mean's divisor included."""
    form = point.attribute("coordinate_transformation_mode", "half_pixel")
    whole = point.opset < 16 or form != "half_pixel"
    left, top, right, bottom = roi * np.float32(point.attribute("spatial_scale", 1.0)) - (not whole) / 2
    ratio, mean = point.attribute("sampling_ratio", 0), point.attribute("mode", "avg") == "avg"
    rows = _axis(top, bottom, point.attribute("output_height", 1), ratio, height, whole)
    columns = _axis(left, right, point.attribute("output_width", 1), ratio, width, whole)
    index = rows[0][:, None, :, None, :, None] * width + columns[0][None, :, None, :, None, :]
    weight = rows[1][:, None, :, None, :, None] * columns[1][None, :, None, :, None, :]
    shape = (len(rows[0]) * len(columns[0]), -1)
    count = max(rows[0].shape[1] * columns[0].shape[1], 1)
    return index.reshape(shape), weight.reshape(shape) / (count if mean else 1)


def _axis(start: float, end: float, cells: int, ratio: int, length: int, whole: bool) -> tuple[Array, Array]:
    """(cells, samples, 2 neighbours) of one axis: index and weight. whole: a region is one pixel long at least."""
    extent = max(end - start, 1.0) if whole else end - start
    count = ratio if ratio > 0 else max(int(np.ceil(extent / cells)), 0)
    size = extent / cells
    at = start + size * (np.arange(cells)[:, None] + (np.arange(count)[None, :] + 0.5) / max(count, 1))
    inside = (at >= -1) & (at <= length)
    at = np.clip(at, 0, length - 1)
    low = np.floor(at)
    neighbours = np.minimum(np.stack([low, low + 1], axis=-1), length - 1).astype(np.int64)
    weights = np.stack([1 - (at - low), at - low], axis=-1) * inside[..., None]
    return neighbours, weights


@op("MaxRoiPool", kind="select", range=or_zero)
def region_max(point: Point) -> Site:
    """y = the largest value of each cell of a region."""
    x, (rows, columns) = point.x, point.attribute("pooled_shape")
    height, width = _lengths(point)
    scale = np.float32(point.attribute("spatial_scale", 1.0))
    regions = []
    for _, *corners in point.value(1):
        left, top, right, bottom = (int(np.floor(c * scale + 0.5)) for c in corners)
        down, across = _bins(top, bottom, rows, height), _bins(left, right, columns, width)
        cells = [(a[:, None] * width + b[None, :]).reshape(-1) for a in down for b in across]
        most = max(max(map(len, cells)), 1)
        index = np.stack([np.pad(c, (0, most - len(c))) for c in cells])
        regions.append((index, np.stack([np.arange(most) < len(c) for c in cells])))
    return _largest(point, *_together(x, point.value(1)[:, 0], regions))


def _bins(start: int, end: int, cells: int, length: int) -> list[Array]:
    """The positions of each cell on one axis; cells may overlap."""
    size = np.float32(max(end - start + 1, 1)) / np.float32(cells)
    begins = np.clip(np.floor(np.arange(cells) * size).astype(int) + start, 0, length)
    ends = np.clip(np.ceil(np.arange(1, cells + 1) * size).astype(int) + start, 0, length)
    return [np.arange(a, b) for a, b in zip(begins, ends, strict=True)]


def _largest(point: Point, index: Array, weight: Array) -> Site:
    """The map of y = max over k of weight_k x_k per cell and channel, shared equally among the winners."""
    x, y = point.x, point.output
    places, once = index.reshape(1, -1, 1), np.ones((1, index.size, 1), x.dtype)

    def pixels(v: Any) -> Any:
        """(1, C, cells, k)."""
        return reshape(sample(_as_one(v), places, once), shape=[0, 0, -1, index.shape[1]])

    values = pixels(x) * weight
    missed = greater(absolute(values - unsqueeze(_as_one(y), axes=(3,))), 1e-6 * absolute(values))
    wins = (1.0 - cast_like(missed, x)) * (weight > 0).astype(x.dtype)
    shares = quotient(wins, reduce_sum(wins, axes=(3,)), sign=1) * weight

    def apply(w: Any, v: Any) -> Any:
        return _apart(reduce_sum(shares * pixels(v), axes=(3,), keepdims=False), y) * (
            1.0 if w is None else w
        )

    def adjoint(w: Any, r: Any) -> Any:
        parts = reshape(shares * unsqueeze(_as_one(r), axes=(3,)), shape=[0, 0, -1])
        return _apart(unsample(parts, places, once, _as_one(x)), x) * (1.0 if w is None else w)

    # A cell outside the image reads nothing.
    return point.site(LinearMap(np.ones((), x.dtype), apply, adjoint), fills=True)
