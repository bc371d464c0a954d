"""Pooling by a p-norm: y = (sum |x|^p)^(1 / p), which is the sum of its slopes times x.

The slopes sign(x) (|x| / y)^(p - 1) are 0 where y is.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxdtd.domains.rows import nonnegative
from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.ops.reduce import Axes
from onnxdtd.ops.window import by_channel, window
from onnxdtd.primitives import absolute, conv, conv_transpose, inverse, power, sign, sizes
from onnxdtd.registry import op


@op("GlobalLpPool", kind="norm", family="reduction", range=nonnegative)
def global_lp_pool(point: Point) -> Site:
    """y = (sum |x|^p)^(1 / p) over the spatial axes, kept as axes of length 1."""
    x = point.x
    share = absolute(x) * inverse(point.output)
    slope = sign(x) * power(share, point.attribute("p", 2) - 1.0)
    return point.site(Axes(tuple(range(2, x.ndim)), True).weighted(slope))


@op("LpPool", kind="norm", family="reduction", range=nonnegative)
def lp_pool(point: Point) -> Site:
    """y = (sum |x|^p)^(1 / p) over each window."""
    x, p = point.x, point.attribute("p", 2)
    stated = window(point, point.attribute("kernel_shape"), x)
    channels, run = by_channel(x)
    geometry = stated.reaching(sizes(x, 2), sizes(point.output, 2)).attributes | {"group": channels}
    ones = np.ones((channels, 1, *stated.kernel), x.dtype)
    # The slope's two factors: one for each value, one for each window.
    value, whole = sign(x) * power(absolute(x), p - 1.0), power(inverse(point.output), p - 1.0)

    def apply(w: Any, v: Any) -> Any:
        return run(lambda v: conv(v, ones, **geometry), v * value) * whole

    def adjoint(w: Any, r: Any) -> Any:
        return run(lambda v: conv_transpose(v, ones, x, **geometry), r * whole) * value

    return point.site(LinearMap(None, apply, adjoint))
