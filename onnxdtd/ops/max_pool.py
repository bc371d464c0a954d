"""Max pooling: a selection. The winner of a window takes all; winners that tie share equally."""

from __future__ import annotations

from typing import Any

from onnxdtd.domains.rows import same
from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.ops.window import spatial_of, window
from onnxdtd.primitives import cast_like, equal, max_pool_adjoint, max_pool_select, reduce_sum
from onnxdtd.registry import op


@op("MaxPool", kind="select", range=same)
def max_pool(point: Point) -> Site:
    """y = the largest value of each window."""
    x, y = point.x, point.output
    stated = window(point, point.attribute("kernel_shape"), x)
    lengths = spatial_of(x) if point.attribute("ceil_mode", 0) else x.shape[2:]
    geometry = stated.reaching(lengths, y.shape[2:]).attributes | {"kernel_shape": stated.kernel}

    def apply(w: Any, v: Any) -> Any:
        return max_pool_select(x, y, v, **geometry)

    def adjoint(w: Any, r: Any) -> Any:
        return max_pool_adjoint(x, y, r, **geometry)

    return point.site(LinearMap(None, apply, adjoint))


@op("GlobalMaxPool", kind="select", range=same)
def global_max_pool(point: Point) -> Site:
    """y = the largest value over the spatial axes."""
    x, y = point.x, point.output
    axes = tuple(range(2, x.ndim))
    winners = cast_like(equal(x, y), x)
    share = winners / reduce_sum(winners, axes=axes)

    def apply(w: Any, v: Any) -> Any:
        return reduce_sum(v * share, axes=axes)

    def adjoint(w: Any, r: Any) -> Any:
        return r * share

    return point.site(LinearMap(None, apply, adjoint))
