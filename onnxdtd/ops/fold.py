"""Fixed sums: running ones, overlapping blocks, and coordinates that an affine matrix moves."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from onnxdtd.domains.rows import same_sign
from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.primitives import (
    Size,
    cast_like,
    concat,
    conv,
    conv_transpose,
    digits,
    divided,
    larger,
    matmul,
    number,
    operator,
    reshape,
    reshape_like,
    size,
    sizes,
    swap_last,
    unsqueeze,
)
from onnxdtd.registry import op


@op("CumSum", kind="linear", family="sum", range=same_sign)
def running_sum(point: Point) -> Site:
    """y_t = x_1 + ... + x_t along an axis, without x_t (exclusive) or from the end (reverse)."""
    axis, opset = point.value(1), point.opset
    exclusive, reverse = point.attribute("exclusive", 0), point.attribute("reverse", 0)

    def run(w: Any, v: Any, reverse: int) -> Any:
        return operator("CumSum", v, axis, opset=opset, exclusive=exclusive, reverse=reverse) * w

    return point.site(
        LinearMap(
            np.asarray(1.0, point.x.dtype),
            lambda w, v: run(w, v, reverse),
            lambda w, r: run(w, r, 1 - reverse),
            True,
        )
    )


@op("Col2Im", kind="linear", family="sum", since=18, range=same_sign)
def fold(point: Point) -> Site:
    """y = blocks (N, C prod(block), L) added up where they overlap in the image (N, C, *image)."""
    x, y = point.x, point.output
    block = point.integers("block_shape", 2) or []
    rank, count = len(block), prod(block)
    strides = tuple(point.attribute("strides") or [1] * rank)
    dilations = tuple(point.attribute("dilations") or [1] * rank)
    pads = tuple(point.attribute("pads") or [0] * 2 * rank)
    around = [pads[i] + pads[rank + i] - dilations[i] * (block[i] - 1) - 1 for i in range(rank)]
    blocks = [divided(n + around[i], strides[i]) + 1 for i, n in enumerate(sizes(y, 2))]
    kernel = np.eye(count, dtype=x.dtype).reshape(count, 1, *block)
    geometry: dict[str, Any] = {"strides": strides, "pads": pads, "dilations": dilations, "group": 1}

    def apply(w: Any, v: Any) -> Any:
        image = conv_transpose(reshape(v, shape=[-1, count, *blocks]), w, y, **geometry)
        return reshape(image, shape=[-1, *sizes(y, 1)])  # v may be one sample for all

    def adjoint(w: Any, r: Any) -> Any:
        return reshape_like(conv(reshape(r, shape=[-1, 1, *sizes(y, 2)]), w, **geometry), x)

    return point.site(LinearMap(kernel, apply, adjoint, True))


@op("AffineGrid", kind="linear", family="sum", since=20)
def affine_grid(point: Point) -> Site:
    """y = (position, 1) theta^T: for each output position, the input coordinate that theta (N, d, d + 1) names."""
    x = point.x
    spatial, rank = sizes(point.output, 1)[:-1], point.output.ndim - 2
    corners = bool(point.attribute("align_corners", 0))
    columns = [_positions(spatial, axis, corners, x) for axis in range(rank)]
    # theta takes the last axis first, and 1 behind all.
    base = concat(*reversed(columns), columns[0] * 0.0 + 1.0, axis=1)

    def apply(w: Any, v: Any) -> Any:
        return reshape(matmul(w, swap_last(v)), shape=[size(v, 0), *spatial, rank])

    def adjoint(w: Any, r: Any) -> Any:
        flat = reshape(r, shape=[0, -1, rank])
        return matmul(swap_last(flat), w)

    return point.site(LinearMap(base, apply, adjoint, point.is_constant(1)))


def _positions(spatial: Sequence[Size], axis: int, corners: bool, like: Any) -> Any:
    """Of all places, row by row (S, 1), that on this axis: -1 to 1 over the middles of the first and last element, or
    over their edges."""
    along = cast_like(digits(spatial, axis), like) * 2.0
    if corners:
        at = along / number(larger(spatial[axis] - 1, 1), like) - 1.0
    else:
        at = (along + 1.0) / number(spatial[axis], like) - 1.0
    return unsqueeze(at, axes=(1,))
