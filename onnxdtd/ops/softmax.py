"""Softmax and LogSoftmax: at the point, their Jacobian; what is missing to the output is the bias."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from onnxdtd.domains.interval import NONPOSITIVE, UNIT
from onnxdtd.domains.rows import within
from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.primitives import exp, greater, reduce_sum, where
from onnxdtd.registry import op

# Before this opset the axes from `axis` on were flattened into one.
ONE_AXIS = 13


@op("Softmax", kind="norm", range=within(UNIT), normalises=True, constant="softmax constant")
def softmax(point: Point) -> Site:
    """y = exp(x) / sum exp(x); Jacobian y_j (1[i = j] - y_i). An input without a share (masked) counts as 0."""
    axes = _axes(point)
    # Also false where a whole row is masked, which makes it NaN.
    alive = greater(point.output, 0.0)
    zero = np.zeros((), point.output.dtype)
    y, x = (where(alive, v, zero) for v in (point.output, point.x))

    def through(w: Any, v: Any) -> Any:
        """Symmetric: its own adjoint."""
        return y * (v - reduce_sum(y * v, axes=axes))

    site = point.site(LinearMap(None, through, through), bias=y - through(None, x))
    return replace(site, inputs=(x,), output=y)


@op("LogSoftmax", kind="norm", range=within(NONPOSITIVE), constant="softmax constant")
def log_softmax(point: Point) -> Site:
    """y = x - log sum exp(x); Jacobian 1[i = j] - softmax(x)_i. An input without a share (masked) counts as 0."""
    axes = _axes(point)
    share = exp(point.output)
    alive = greater(share, 0.0)
    zero = np.zeros((), share.dtype)
    share, y, x = (where(alive, v, zero) for v in (share, point.output, point.x))

    def apply(w: Any, v: Any) -> Any:
        return where(alive, v - reduce_sum(share * v, axes=axes), zero)

    def adjoint(w: Any, r: Any) -> Any:
        r = where(alive, r, zero)
        return r - share * reduce_sum(r, axes=axes)

    site = point.site(LinearMap(None, apply, adjoint), bias=y - apply(None, x))
    return replace(site, inputs=(x,), output=y)


def _axes(point: Point) -> tuple[int, ...]:
    rank = point.output.ndim
    if point.opset >= ONE_AXIS:
        return (point.attribute("axis", -1) % rank,)
    axis = point.attribute("axis", 1)
    return tuple(range(axis % rank if axis < 0 else axis, rank))
