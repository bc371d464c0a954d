"""A site in units of its weights, for rules whose shares do not depend on the scale of the weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from onnxdtd.linear import Site
from onnxdtd.primitives import cast_like, clipped, equal, greater, largest, where

# A bias of this many times the largest weight leaves the inputs nothing, and its square still is a float32.
MOST = 1e18


def in_units(site: Site) -> Site:
    """w_ij / s_j and b_j / s_j, s_j = max_i |w_ij| (1 where all are 0).

    Where several inputs meet, or the weights do not tell neurons apart, s is one number for the layer.
    """
    if any(linear.structure is None for linear in site.maps):
        return site
    own = site.maps[0].largest if len(site.maps) == 1 else None
    name = f"{site.name} in units"

    def kept(key: object, make: Callable[[], Any]) -> Any:
        if not all(linear.constant for linear in site.maps):
            return make()
        if (name, key) not in site.kept:
            site.kept[name, key] = make()
        return site.kept[name, key]

    def sizes() -> tuple[Any, Any]:
        weights = _weights(site, 0)
        pair: tuple[Any, Any] = kept(
            "sizes", lambda: own(weights) if own else (size := _of_layer(site), size)
        )
        return pair

    def weights_of(which: int) -> Any:
        return kept(which, lambda: _divided(_weights(site, which), sizes()[0]))

    def bias() -> Any:
        return clipped(_divided(site.bias, sizes()[1]), -MOST, MOST)

    maps = tuple(replace(m, structure=partial(weights_of, i)) for i, m in enumerate(site.maps))
    return replace(site, name=name, maps=maps, constant=None if site.constant is None else bias)


def _weights(site: Site, which: int) -> Any:
    weights = site.maps[which].weights
    return np.asarray(weights, site.output.dtype) if isinstance(weights, float) else weights


def _of_layer(site: Site) -> Any:
    size: Any = None
    for weights in (_weights(site, i) for i in range(len(site.maps))):
        part = largest(weights, axes=tuple(range(weights.ndim)))
        size = part if size is None else where(greater(part, size), part, size)
    return size


def _divided(value: Any, size: Any) -> Any:
    return value / cast_like(where(equal(size, 0.0), 1.0, size), value)
