"""Normalisations: y = scale (x - mean) / deviation + shift.

Rules see the map with the statistics held fixed, of which the shift is the bias; the gradient sees the derivative.
Source: Achtibat et al. 2024 (AttnLRP), section 3.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxdtd.domains.interval import SIGNED_UNIT
from onnxdtd.domains.rows import within
from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.ops.scale import scaled
from onnxdtd.primitives import (
    absolute,
    along,
    cast_like,
    count_up,
    expand_like,
    less,
    power,
    quotient,
    reduce_mean,
    reduce_sum,
    reshape,
    reshape_like,
    sign,
    size,
    sqrt,
    swap_last,
    unbroadcast,
    unsqueeze,
)
from onnxdtd.registry import op

Move = Callable[[Any], Any]
INPUT, SCALE, SHIFT = range(3)


@op("LayerNormalization", kind="norm", data=(0, 1, 2), factors=(0, 1), constant="norm shift")
def layer_normalization(point: Point) -> Site:
    """y = scale (x - mean) / deviation + shift, over the axes from `axis` on."""
    axes = _from(point)
    return _normalised(point, lambda v: reduce_mean(v, axes=axes))


@op("RMSNormalization", kind="norm", family="scale", data=(0, 1), factors=(0, 1))
def rms_normalization(point: Point) -> Site:
    """y = scale x / root mean square, over the axes from `axis` on."""
    axes = _from(point)
    return _normalised(point, lambda v: reduce_mean(v, axes=axes), centred=False)


@op("InstanceNormalization", kind="norm", data=(0, 1, 2), factors=(0, 1), constant="norm shift")
def instance_normalization(point: Point) -> Site:
    """y = scale (x - mean) / deviation + shift, over the spatial axes."""
    rank = point.output.ndim
    axes = tuple(range(2, rank))
    return _normalised(point, lambda v: reduce_mean(v, axes=axes), _channels(rank))


@op("GroupNormalization", kind="norm", data=(0, 1, 2), factors=(0, 1), since=21, constant="norm shift")
def group_normalization(point: Point) -> Site:
    """y = scale (x - mean) / deviation + shift, over groups of channels and the spatial axes."""
    groups = point.attribute("num_groups")

    def mean(v: Any) -> Any:
        grouped = reshape(v, shape=[0, groups, -1])
        return reshape_like(expand_like(reduce_mean(grouped, axes=(2,)), grouped), v)

    return _normalised(point, mean, _channels(point.output.ndim))


@op("MeanVarianceNormalization", kind="norm")
def mean_variance_normalization(point: Point) -> Site:
    """y = (x - mean) / (deviation + 1e-9), over the given axes."""
    rank = point.x.ndim
    axes = [a % rank for a in point.attribute("axes", (0, 2, 3))]
    return _normalised(point, lambda v: reduce_mean(v, axes=axes), outside=1e-9)


@op("LpNormalization", kind="norm", family="scale", range=within(SIGNED_UNIT))
def lp_normalization(point: Point) -> Site:
    """y = x / |x|_p along one axis, p = 1 or 2; 0 where the norm is."""
    x, y = point.x, point.output
    axes, p = (point.attribute("axis", -1) % x.ndim,), point.attribute("p", 2)
    sizes = absolute(x) if p == 1 else x * x
    total = reduce_sum(sizes, axes=axes)
    inverse = quotient(np.ones((), x.dtype), total if p == 1 else sqrt(total))
    slope = sign(x) if p == 1 else y

    def apply(w: Any, v: Any) -> Any:
        return inverse * (v - y * reduce_sum(slope * v, axes=axes))

    def adjoint(w: Any, r: Any) -> Any:
        return inverse * (r - slope * reduce_sum(y * r, axes=axes))

    return point.site(scaled(inverse, x), jacobian=(LinearMap(None, apply, adjoint),))


@op("LRN", kind="norm", family="scale")
def local_response_normalization(point: Point) -> Site:
    """y_c = x_c / (bias + alpha / size * sum of x^2 over the channels around c)^beta."""
    x, reach, beta = point.x, point.attribute("size"), point.attribute("beta", 0.75)
    per_cell = point.attribute("alpha", 1e-4) / reach
    channels = cast_like(count_up(size(x, 1)), x)
    # near[i, o]: channel i is within the window of channel o.
    ahead = unsqueeze(channels, axes=(1,)) - channels
    within_reach = less(absolute(ahead - (reach % 2 == 0) * 0.5), reach / 2)
    near = cast_like(within_reach, x)
    base = along(x * x, near, axis=1) * per_cell + point.attribute("bias", 1.0)
    factor = power(base, -beta)
    slope = factor * x / base * (2.0 * beta * per_cell)

    def apply(w: Any, v: Any) -> Any:
        return factor * v - slope * along(x * v, near, axis=1)

    def adjoint(w: Any, r: Any) -> Any:
        return factor * r - x * along(slope * r, swap_last(near), axis=1)

    return point.site(scaled(factor, x), jacobian=(LinearMap(None, apply, adjoint),))


@dataclass(frozen=True)
class _Placed:
    """How a scale or shift is brought to where it multiplies, and the adjoint of that."""

    forth: Move = lambda v: v
    back: Move = lambda r: r


def _channels(rank: int) -> _Placed:
    """A vector over the channels."""
    shape = [1, -1, *[1] * (rank - 2)]
    return _Placed(lambda v: reshape(v, shape=shape), lambda r: reshape(r, shape=[-1]))


def _from(point: Point) -> tuple[int, ...]:
    rank = point.output.ndim
    return tuple(range(point.attribute("axis", -1) % rank, rank))


def _normalised(
    point: Point, mean: Move, placed: _Placed = _Placed(), *, centred: bool = True, outside: float = 0.0
) -> Site:
    """The site of y = scale unit + shift with unit = (x - mean(x)) / deviation.

    mean: a projection, broadcastable. outside: what is added to the deviation, in place of an epsilon to the
    variance.
    """
    x = point.value(INPUT)
    scale, shift = (placed.forth(point.value(s)) if point.has(s) else None for s in (SCALE, SHIFT))
    centre = x - mean(x) if centred else x
    variance = mean(centre * centre) + (0.0 if outside else point.attribute("epsilon", 1e-5))
    inverse = 1.0 / (sqrt(variance) + outside)
    unit = centre * inverse
    factor = inverse if scale is None else inverse * scale

    def centring(v: Any) -> Any:
        return v - mean(v) if centred else v

    def slope(v: Any) -> Any:
        """The derivative of unit, times the deviation; its own adjoint."""
        return centring(v) - unit * mean(unit * v)

    def times_scale(v: Any) -> Any:
        return v if scale is None else v * scale

    fixed = LinearMap(None, lambda w, v: centring(v) * factor, lambda w, r: centring(r * factor))
    exact = LinearMap(
        None,
        lambda w, v: times_scale(slope(v) * inverse),
        lambda w, r: slope(times_scale(r) * inverse),
    )
    maps, jacobian = [], []
    for slot in point.slots:
        value = point.value(slot)
        other = fixed if centred else scaled(factor, x)
        if slot != INPUT:
            other = _placed_map(unit if slot == SCALE else np.ones((), unit.dtype), value, placed)
        maps.append(other)
        jacobian.append(exact if slot == INPUT else other)
    return point.site(*maps, bias=_bias(point, shift), jacobian=tuple(jacobian))


def _placed_map(factor: Any, vector: Any, placed: _Placed) -> LinearMap:
    def apply(w: Any, v: Any) -> Any:
        return w * placed.forth(v)

    def adjoint(w: Any, r: Any) -> Any:
        return placed.back(unbroadcast(w * r, placed.forth(vector)))

    return LinearMap(factor, apply, adjoint)


def _bias(point: Point, shift: Any) -> Any:
    """What the maps leave out; x and the scale have each the whole product as their map."""
    products = sum(slot != SHIFT for slot in point.slots)
    rest = None if SHIFT in point.slots else shift
    if products == 1:
        return rest
    core = point.output if shift is None else point.output - shift
    missing = core * (1.0 - products)
    return missing if rest is None else missing + rest
