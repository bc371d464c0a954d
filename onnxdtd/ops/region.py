"""RoiAlign and MaxRoiPool: a grid of cells over each region of interest, read from the image that it lies in.

Regions are boxes that carry no relevance: where they come from the model's input, that is refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxdtd.domains.rows import or_zero
from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.primitives import reshape, sample, transpose, unsample
from onnxdtd.registry import op
from onnxdtd.types import Array


@op("RoiAlign", kind="linear", family="pool", since=10, compiles=False, range=or_zero)
def region_align(point: Point) -> Site:
    """y = mean (or the largest weighted value) of samples, each interpolated between four pixels, per cell."""
    x = point.x
    height, width = x.shape[2:]
    cells = [_samples(point, roi, height, width) for roi in point.value(1)]
    images = point.value(2)
    if point.attribute("mode", "avg") == "max":
        return _largest(point, [(image, *cell) for image, cell in zip(images, cells, strict=True)])
    most = max((index.shape[1] for index, _ in cells), default=1)
    index = np.concatenate(
        [_wide(i, most) + b * height * width for b, (i, _) in zip(images, cells, strict=True)]
    )
    weight = np.concatenate([_wide(w, most) for _, w in cells]).astype(x.dtype)
    across = (1, 0, *range(2, x.ndim))

    def apply(w: Any, v: Any) -> Any:
        read = sample(_as_one(v, across), index[None], w[None])
        rows = reshape(read, shape=[0, x.shape[1], len(cells), *point.output.shape[2:]])
        return transpose(rows[0], perm=(1, 0, 2, 3))

    def adjoint(w: Any, r: Any) -> Any:
        back = unsample(_as_one(r, across), index[None], w[None], _as_one(x, across))
        return transpose(back.reshape(x.shape[1], x.shape[0], *x.shape[2:]), perm=across)

    return point.site(LinearMap(weight, apply, adjoint), spread_dead=True)


def _as_one(v: Any, across: tuple[int, ...]) -> Any:
    """(N, C, H, W) as one image of channels (1, C, N H W)."""
    return reshape(transpose(v, perm=across), shape=[1, v.shape[1], -1])


def _wide(a: Array, width: int) -> Array:
    """Rows filled up with zeros: index 0 at weight 0 reads nothing."""
    return np.pad(a, [(0, 0), (0, width - a.shape[1])])


def _samples(point: Point, roi: Array, height: int, width: int) -> tuple[Array, Array]:
    """(cells, 4 samples): flat pixel indices and weights of one region, the mean's divisor included."""
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


@op("MaxRoiPool", kind="select", compiles=False, range=or_zero)
def region_max(point: Point) -> Site:
    """y = the largest value of each cell of a region."""
    x, (rows, columns) = point.x, point.attribute("pooled_shape")
    height, width = x.shape[2:]
    scale = np.float32(point.attribute("spatial_scale", 1.0))
    regions = []
    for image, *corners in point.value(1):
        left, top, right, bottom = (int(np.floor(c * scale + 0.5)) for c in corners)
        down, across = _bins(top, bottom, rows, height), _bins(left, right, columns, width)
        cells = [(a[:, None] * width + b[None, :]).reshape(-1) for a in down for b in across]
        most = max(max(map(len, cells)), 1)
        index = np.stack([np.pad(c, (0, most - len(c))) for c in cells])
        weight = np.stack([np.arange(most) < len(c) for c in cells]).astype(x.dtype)
        regions.append((int(image), index, weight))
    return _largest(point, regions)


def _bins(start: int, end: int, cells: int, length: int) -> list[Array]:
    """The positions of each cell on one axis; cells may overlap."""
    size = np.float32(max(end - start + 1, 1)) / np.float32(cells)
    begins = np.clip(np.floor(np.arange(cells) * size).astype(int) + start, 0, length)
    ends = np.clip(np.ceil(np.arange(1, cells + 1) * size).astype(int) + start, 0, length)
    return [np.arange(a, b) for a, b in zip(begins, ends, strict=True)]


def _largest(point: Point, regions: list[tuple[int, Array, Array]]) -> Site:
    """The map of y = max over k of weight_k x_k per cell and channel, shared equally among the winners."""
    x, y = point.x, point.output
    shares = []
    for (image, index, weight), best in zip(regions, y, strict=True):
        values = x[image].reshape(x.shape[1], -1)[:, index] * weight
        reached = np.abs(values - best.reshape(x.shape[1], -1, 1)) <= 1e-6 * np.abs(values)
        wins = reached & (weight > 0)
        shares.append(wins * weight / np.maximum(wins.sum(axis=-1, keepdims=True), 1))

    def apply(w: Any, v: Any) -> Any:
        out = [
            (v[image].reshape(v.shape[1], -1)[:, index] * share).sum(axis=-1)
            for (image, index, _), share in zip(regions, shares, strict=True)
        ]
        return (np.stack(out) if out else y).reshape(y.shape) * (1.0 if w is None else w)

    def adjoint(w: Any, r: Any) -> Any:
        back = np.zeros((x.shape[0], x.shape[1], x.shape[2] * x.shape[3]), r.dtype)
        channels = np.arange(x.shape[1])[:, None, None]
        for (image, index, _), share, part in zip(regions, shares, r, strict=True):
            np.add.at(back[image], (channels, index[None]), share * part.reshape(x.shape[1], -1, 1))
        return back.reshape(x.shape) * (1.0 if w is None else w)

    # A cell outside the image reads nothing.
    return point.site(LinearMap(np.ones((), x.dtype), apply, adjoint), fills=True)
