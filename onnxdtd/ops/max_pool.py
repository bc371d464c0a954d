"""Max pooling: a selection. The winner of a window takes all; winners that tie share equally, or (switches) the first
in row-major order takes all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.domains.rows import same
from onnxdtd.domains.selections import Selection
from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.ops.window import window
from onnxdtd.primitives import (
    cast_like,
    equal,
    first_along,
    max_pool_adjoint,
    max_pool_select,
    reduce_sum,
    reshape,
    reshape_like,
    sizes,
)
from onnxdtd.primitives.windows import Windows
from onnxdtd.registry import op


def _windows(point: Point) -> Selection:
    channels, *spatial = point.x.shape[1:]
    out = point.output.shape[2:]
    stated = window(point, point.attribute("kernel_shape"), point.x)
    windows = Windows(
        tuple(spatial), out, stated.kernel, stated.strides, stated.pads[: len(spatial)], stated.dilations
    )
    positions = np.arange(channels * prod(spatial)).reshape(channels, *spatial)
    reads = np.full((len(windows.taps()), channels, *out), positions.size)
    for row, tap in zip(reads, windows.taps(), strict=True):
        row[:, *tap.windows] = positions[:, *tap.reads]
    return Selection(reads.reshape(len(reads), -1), (channels, *out))


def _everywhere(point: Point) -> Selection:
    channels, out = point.x.shape[1], point.output.shape[1:]
    return Selection(np.arange(prod(point.x.shape[1:])).reshape(channels, -1).T, out)


def _largest(point: Point) -> npt.NDArray[Any]:
    x, pooled = point.x, np.full(point.output.shape, -np.inf)
    stated = window(point, point.attribute("kernel_shape"), x)
    begins = stated.pads[: len(stated.kernel)]
    windows = Windows(
        x.shape[2:], point.output.shape[2:], stated.kernel, stated.strides, begins, stated.dilations
    )
    for tap in windows.taps():
        np.maximum(pooled[tap.windows], x[tap.reads], out=pooled[tap.windows])
    return pooled


@op("MaxPool", kind="select", range=same, pieces=_windows, value=_largest)
def max_pool(point: Point) -> Site:
    """y = the largest value of each window."""
    x, y = point.x, point.output
    stated = window(point, point.attribute("kernel_shape"), x)
    geometry = stated.reaching(sizes(x, 2), sizes(y, 2)).attributes | {"kernel_shape": stated.kernel}

    def chosen(first: bool) -> LinearMap:
        return LinearMap(
            None,
            lambda w, v: max_pool_select(x, y, v, **geometry, first=first),
            lambda w, r: max_pool_adjoint(x, y, r, **geometry, first=first),
        )

    # Only a window with holes can lie in the padding with all of its cells.
    fills = max(stated.dilations) > 1 and any(stated.pads)
    return replace(point.site(chosen(False), fills=fills), switches=(chosen(True),))


@op("GlobalMaxPool", kind="select", range=same, pieces=_everywhere)
def global_max_pool(point: Point) -> Site:
    """y = the largest value over the spatial axes."""
    x, y = point.x, point.output
    axes = tuple(range(2, x.ndim))
    winners = cast_like(equal(x, y), x)
    share = winners / reduce_sum(winners, axes=axes)

    def chosen(share: Callable[[], Any]) -> LinearMap:
        return LinearMap(None, lambda w, v: reduce_sum(v * share(), axes=axes), lambda w, r: r * share())

    def first() -> Any:
        in_rows = reshape(winners, shape=[0, 0, -1])
        return reshape_like(first_along(in_rows, axis=2), x)

    return replace(point.site(chosen(lambda: share)), switches=(chosen(first),))
