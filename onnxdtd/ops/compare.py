"""Integers compared with all of their values: a one-hot vector, as jax and flax write it."""

from __future__ import annotations

from typing import Any

from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.primitives import expand_like, unbroadcast
from onnxdtd.registry import op


@op("Equal", kind="barrier", data=(), embeds=(0, 1))
def equal(point: Point) -> Site:
    """Booleans; of integers (..., 1) of the model's input and all their values: a one-hot vector of each."""
    ids, y = point.x, point.output

    def apply(w: Any, v: Any) -> Any:
        return expand_like(v, y)

    def adjoint(w: Any, r: Any) -> Any:
        return unbroadcast(r, ids)

    return point.site(LinearMap(None, apply, adjoint))
