"""Fixed sums: running ones, overlapping blocks, and coordinates that an affine matrix moves."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from onnxdtd.domains.rows import same_sign
from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.primitives import (
    conv,
    conv_transpose,
    matmul,
    operator,
    reshape,
    reshape_like,
    static,
    swap_last,
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
    rank, size = len(block), prod(block)
    strides = tuple(point.attribute("strides") or [1] * rank)
    dilations = tuple(point.attribute("dilations") or [1] * rank)
    pads = tuple(point.attribute("pads") or [0] * 2 * rank)
    spatial = [static(n) for n in y.shape[2:]]
    blocks = [
        (n + pads[i] + pads[rank + i] - dilations[i] * (block[i] - 1) - 1) // strides[i] + 1
        for i, n in enumerate(spatial)
    ]
    channels = static(y.shape[1])
    kernel = np.tile(np.eye(size, dtype=x.dtype).reshape(size, 1, *block), (channels, 1, *[1] * rank))
    geometry: dict[str, Any] = {"strides": strides, "pads": pads, "dilations": dilations, "group": channels}

    def apply(w: Any, v: Any) -> Any:
        return conv_transpose(reshape(v, shape=[0, 0, *blocks]), w, y, **geometry)

    def adjoint(w: Any, r: Any) -> Any:
        return reshape_like(conv(r, w, **geometry), x)

    return point.site(LinearMap(kernel, apply, adjoint, True))


@op("AffineGrid", kind="linear", family="sum", since=20)
def affine_grid(point: Point) -> Site:
    """y = (position, 1) theta^T: for each output position, the input coordinate that theta (N, d, d + 1) names."""
    x = point.x
    spatial = [static(n) for n in point.output.shape[1:-1]]
    axes = [_positions(n, bool(point.attribute("align_corners", 0))) for n in spatial]
    columns = [np.broadcast_to(a, spatial) for a in np.meshgrid(*axes, indexing="ij")]
    # theta takes the last axis first, and 1 behind all.
    base = np.stack([*reversed(columns), np.ones(spatial)], axis=-1).reshape(-1, len(spatial) + 1)

    def apply(w: Any, v: Any) -> Any:
        return reshape(matmul(w, swap_last(v)), shape=[0, *spatial, len(spatial)])

    def adjoint(w: Any, r: Any) -> Any:
        flat = reshape(r, shape=[0, -1, len(spatial)])
        return matmul(swap_last(flat), w)

    return point.site(LinearMap(base.astype(x.dtype), apply, adjoint, point.is_constant(1)))


def _positions(length: int, corners: bool) -> Any:
    """-1 to 1 over the middles of the first and last element, or over their edges."""
    step = np.arange(length) * 2.0
    return step / max(length - 1, 1) - 1 if corners else (step + 1) / length - 1
