"""Steps from floats to integers and back: one value of one value, so relevance stays with it.

The gradient is the straight-through estimator (Bengio et al. 2013) as torch's and TensorFlow's fake quantisation have
it: the slope of the line through the stairs, and 0 where they have ended. Quantised files hold no ReLU; it is the
lower end of a range.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from onnx import TensorProto

from onnxdtd.domains.interval import ANY, NONNEGATIVE, ZERO, At, Domain
from onnxdtd.domains.pieces import Pieces
from onnxdtd.domains.rows import anywhere, within
from onnxdtd.errors import UnsupportedError
from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.node import Node
from onnxdtd.model.point import Point
from onnxdtd.primitives import at_hand, cast_like, greater, less, reshape
from onnxdtd.registry import op

SCALE, ZERO_POINT = 1, 2
_HALF = 0.5
_DYNAMIC_STEPS = 255


ENDS: dict[int, tuple[float, float]] = {
    **{TensorProto.DataType.Value(f"UINT{bits}"): (0.0, 2.0**bits - 1) for bits in (2, 4, 8, 16)},
    **{TensorProto.DataType.Value(f"INT{bits}"): (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1)
       for bits in (2, 4, 8, 16, 32)},
    TensorProto.FLOAT8E4M3FN: (-448.0, 448.0),
    TensorProto.FLOAT8E4M3FNUZ: (-240.0, 240.0),
    TensorProto.FLOAT8E5M2: (-57344.0, 57344.0),
    TensorProto.FLOAT8E5M2FNUZ: (-57344.0, 57344.0),
}  # fmt: skip
"""The least and the largest number of each type to which values are quantised."""


def stairs(point: Point) -> Pieces:
    """Refuses: each step is a region of its own, in which nothing depends on x."""
    raise UnsupportedError(
        f"{point.node}: it rounds, and on a step nothing moves: regions are too many and empty"
    )


def _along(point: Point, parameter: Any, like: Any) -> Any:
    """A scale or zero point so that it broadcasts to x: one for all, or one for each place on an axis."""
    if parameter.ndim != 1 or like.ndim < 2:
        return parameter
    axis = point.attribute("axis", 1) % like.ndim
    return reshape(parameter, shape=[-1 if i == axis else 1 for i in range(like.ndim)])


def _ends(point: Point) -> tuple[float, float]:
    elem_type = point.graph.value(point.node.output).elem_type
    if elem_type not in ENDS:
        raise UnsupportedError(
            f"{point.node}: rounding to {TensorProto.DataType.Name(elem_type)} is not known"
        )
    return ENDS[elem_type]


def _stepwise(point: Point, slope: Any, like: Any) -> Site:
    """The site of a step with this slope, whose numbers are of the type of `like`."""

    def apply(w: Any, x: Any) -> Any:
        return cast_like(x, like) if w is None else w * cast_like(x, like)

    def adjoint(w: Any, r: Any) -> Any:
        return r if w is None else w * r

    linear = LinearMap(slope, apply, adjoint)
    return point.site(linear, bias=lambda: cast_like(point.output, like) - apply(linear.weights, point.x))


def _rounding(point: Point, scale: Any, zero: Any) -> Callable[[], Any]:
    """e / v of each value v = (q - z) s = x + e, where x is taken within the range; 0 where v is."""

    def share() -> Any:
        x, (low, high) = point.x, _ends(point)
        steps = np.clip(x / scale, low - zero.astype(x.dtype), high - zero.astype(x.dtype))
        rounded = point.output.astype(x.dtype) - zero.astype(x.dtype)
        return np.divide(rounded - steps, rounded, out=np.zeros_like(steps), where=rounded != 0)

    return share


def _of_dequantised(at: At) -> Domain:
    """What the type can hold; of what was quantised with the same scale, the domain of the float behind it."""
    scale, elem_type = at.domain(SCALE), at.graph.value(at.node.inputs[0]).elem_type
    if elem_type not in ENDS or scale.low < 0:
        return ANY
    zero = at.domain(ZERO_POINT) if at.has(ZERO_POINT) else ZERO
    held = (Domain(*ENDS[elem_type]) + -zero) * scale if scale.bounded else ANY
    before = at.maker(0)
    if before is None or before.op not in ("QuantizeLinear", "DynamicQuantizeLinear") or before.domain:
        return held
    x = at.domains.get(before.inputs[0], ANY)
    if before.op == "DynamicQuantizeLinear":
        return _of_dynamic(x, before.outputs[1] == at.node.inputs[SCALE]) if x != ANY else held
    steps = at.graph.constants.get(before.inputs[SCALE])
    if steps is None or steps.size > 1 or scale.low < scale.high or not _one_zero(at, before):
        return held
    return _meet(
        _on_grid(x, float(steps.item())) * Domain(scale.low / steps.item(), scale.low / steps.item()), held
    )


def _of_dynamic(x: Domain, scaled: bool) -> Domain:
    """The range is that of the input with 0 in it, up to half a step; q - z alone has the signs of x."""
    hull = Domain(min(x.low, 0.0), max(x.high, 0.0))
    if not scaled:
        return Domain(0.0 if hull.low == 0 else -_DYNAMIC_STEPS, 0.0 if hull.high == 0 else _DYNAMIC_STEPS)
    slack = (hull.high - hull.low) / (2 * _DYNAMIC_STEPS) if hull.bounded else 0.0
    return Domain(hull.low - slack * (hull.low < 0), hull.high + slack * (hull.high > 0))


def _on_grid(x: Domain, step: float) -> Domain:
    """The multiples of the step next to the ends."""
    return Domain(
        *(float(np.round(end / step) * step) if np.isfinite(end) else end for end in (x.low, x.high))
    )


def _meet(one: Domain, other: Domain) -> Domain:
    low, high = max(one.low, other.low), min(one.high, other.high)
    return Domain(min(low, high), max(low, high))


def _one_zero(at: At, before: Node) -> bool:
    """Whether a quantise and this dequantise have one zero point."""
    names = [node.inputs[ZERO_POINT] if len(node.inputs) > ZERO_POINT else "" for node in (before, at.node)]
    one, other = (at.graph.constants.get(name) if name else np.zeros(()) for name in names)
    return one is not None and other is not None and np.array_equal(one, other)


@op(
    "QuantizeLinear", kind="elementwise", family="rounding", rounds=True, pieces=stairs, range=anywhere,
    constant="quantisation",
)  # fmt: skip
def quantize(point: Point) -> Site:
    """q = x / s + z, rounded and bounded; slope 1 / s within the bounds and half a step beyond, else 0."""
    x, scale = point.x, _along(point, point.value(SCALE), point.x)
    zero = _along(point, point.value(ZERO_POINT), x) if point.has(ZERO_POINT) else np.zeros((), np.uint8)

    def slope() -> Any:
        low, high = _ends(point)
        q = x / scale + (zero.astype(x.dtype) if at_hand(zero) else cast_like(zero, x))
        inside = cast_like(greater(q, low - _HALF), x) * cast_like(less(q, high + _HALF), x)
        return inside / scale

    return replace(_stepwise(point, slope, x), rounding=_rounding(point, scale, zero))


@op(
    "DequantizeLinear", kind="elementwise", family="rounding", rounds=True, embeds=(0,), pieces=stairs,
    range=_of_dequantised, constant="quantisation",
)  # fmt: skip
def dequantize(point: Point) -> Site:
    """x = (q - z) s; slope s."""
    return _stepwise(point, lambda: _along(point, point.value(SCALE), point.x), point.output)


@op(
    "DynamicQuantizeLinear", kind="elementwise", family="rounding", rounds=True, pieces=stairs,
    range=within(NONNEGATIVE), constant="quantisation",
)  # fmt: skip
def dynamic_quantize(point: Point) -> Site:
    """q = x / s + z, rounded; s and z, made of the least and the largest x, count as constants. Slope 1 / s."""
    scale, zero = (point.values[name] for name in point.node.outputs[1:])
    return replace(_stepwise(point, lambda: 1.0 / scale, point.x), rounding=_rounding(point, scale, zero))
