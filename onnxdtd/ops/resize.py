"""Resize and Upsample: one matrix per resized axis, in the arithmetic of onnxruntime (float32, its corner cases).

    y = M_1 (x) M_2 (x) ... x      M_a (in, out): column o holds the weights of output position o on axis a

Linear and nearest weights are >= 0. Cubic ones are not; the product over axes is then shared out as P+ - P-, so
that rules see the sign of each weight of the whole map: structure (1, -1), the factors of P+ and P-.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from onnxdtd.domains.interval import ANY, At, Domain
from onnxdtd.errors import UnsupportedError
from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.ops.resize_weights import Axis, axis_weights
from onnxdtd.primitives import (
    Size,
    along,
    at_hand,
    cast_like,
    entries,
    greater,
    larger,
    number,
    operator,
    reduce_sum,
    relu,
    reshape,
    size,
    smaller,
    swap_last,
    unit,
    vector,
)
from onnxdtd.registry import op

Matrices = dict[int, Any]
FLOAT = np.zeros((), np.float32)
CROP = "tf_crop_and_resize"
KERNEL = {
    "antialias", "coordinate_transformation_mode", "cubic_coeff_a", "exclude_outside", "mode", "nearest_mode",
}  # fmt: skip
"""The attributes that say how an axis is read."""


def _of_resize(at: At) -> Domain:
    if at.attribute("mode", "nearest") == "cubic":
        return ANY
    outside = at.attribute("extrapolation_value", 0.0)
    crops = at.attribute("coordinate_transformation_mode") == CROP
    return at.x | Domain(outside, outside) if crops else at.x


@op("Resize", "Upsample", kind="linear", family="pool", since=7, range=_of_resize)
def resize(point: Point) -> Site:
    """y = x interpolated: a weighted sum of neighbours on each axis (nearest, linear or cubic)."""
    x, y = point.x, point.output
    weights = {axis: _weights(point, axis, form) for axis, form in _axes(point).items()}
    matrices = {axis: cast_like(matrix, x) for axis, (matrix, _) in weights.items()}
    inside: Any = np.ones((1,) * x.ndim, y.dtype)
    for axis, (_, within) in weights.items():
        inside = inside * reshape(cast_like(within, y), shape=[-1 if i == axis else 1 for i in range(x.ndim)])
    outside = np.asarray(point.attribute("extrapolation_value", 0.0), y.dtype)
    crops = point.attribute("coordinate_transformation_mode") == CROP
    bias = (1.0 - inside) * outside if crops and outside else None
    signed = point.attribute("mode", "nearest") == "cubic"
    if at_hand(*matrices.values()):
        signed = any((matrix < 0).any() for matrix in matrices.values())
    return point.site(separable(matrices, signed, x.dtype), bias=bias, spread_dead=not signed)


def separable(matrices: Matrices, signed: bool, dtype: Any) -> LinearMap:
    """The product of one matrix (in, out) per axis. signed: some weights are negative."""
    structure = np.array([1.0, -1.0] if signed else 1.0, dtype)
    back = {axis: swap_last(matrix) for axis, matrix in matrices.items()}
    fixed = at_hand(*matrices.values())
    return LinearMap(structure, lambda w, x: _times(x, w, matrices), lambda w, r: _times(r, w, back), fixed)


def _times(x: Any, w: Any, matrices: Matrices) -> Any:
    if w.ndim == 0 or w[0] == -w[1]:
        for axis, matrix in matrices.items():
            x = along(x, matrix, axis=axis)
        factor = w if w.ndim == 0 else w[0]
        return x if factor == 1 else x * factor
    plus, minus = x, None
    for axis, matrix in matrices.items():
        above, below = relu(matrix), relu(-matrix)
        straight, crossed = along(plus, above, axis=axis), along(plus, below, axis=axis)
        if minus is not None:
            straight = straight + along(minus, below, axis=axis)
            crossed = crossed + along(minus, above, axis=axis)
        plus, minus = straight, crossed
    return plus * w[0] + minus * w[1]


def _weights(point: Point, axis: int, form: Axis) -> tuple[Any, Any]:
    """As `axis_weights`; of open lengths, what the node itself makes of each place alone along this axis."""
    if at_hand(form.before, form.after, form.scale):
        return axis_weights(form)
    if point.attribute("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise UnsupportedError(
            f"{point.node}: with keep_aspect_ratio_policy its sizes must be fixed to compile; fix the model's input "
            "sizes, give scales instead of sizes, or use engine='numpy'"
        )
    alone = unit(form.before, FLOAT)
    lengths, scales = vector([form.before, form.after]), None
    if at_hand(form.scale):
        lengths, scales = None, np.array([1.0, form.scale], np.float32)
    region = np.array([0.0, form.roi[0], 1.0, form.roi[1]], np.float32)
    attributes = {name: value for name, value in point.node.attributes.items() if name in KERNEL}
    matrix = operator("Resize", alone, region, scales, lengths, opset=point.opset, **attributes)
    return matrix, greater(reduce_sum(matrix, axes=(0,), keepdims=False), 0.5)


@dataclass(frozen=True)
class _Sizes:
    """What the node asks for, by axis: the factor, and the part that is cropped."""

    scales: dict[int, Any]
    roi: dict[int, tuple[float, float]]


def _axes(point: Point) -> dict[int, Axis]:
    """Every axis that is resized."""
    x, y = point.x, point.output
    asked = _asked(point)
    mode = point.attribute("mode", "nearest")
    nearest = point.attribute("nearest_mode", "round_prefer_floor") if point.opset > 10 else "simple"
    coordinates = point.attribute("coordinate_transformation_mode", "half_pixel")
    axes = {}
    for axis, scale in asked.scales.items():
        if scale != 1:
            axes[axis] = Axis(
                before=size(x, axis),
                after=size(y, axis),
                scale=scale,
                roi=asked.roi.get(axis, (0.0, 1.0)),
                mode=mode.replace("bilinear", "linear").replace("trilinear", "linear"),
                nearest=nearest,
                coordinates=coordinates if point.opset > 10 else "asymmetric",
                cubic=point.attribute("cubic_coeff_a", -0.75),
                exclude=bool(point.attribute("exclude_outside", 0)),
                antialias=bool(point.attribute("antialias", 0)),
            )
    return axes


def _asked(point: Point) -> _Sizes:
    x, y, rank = point.x, point.output, point.x.ndim
    axes = [a % rank for a in point.attribute("axes") or range(rank)]
    if "scales" in point.node.attributes:
        return _Sizes(dict(enumerate(point.attribute("scales"))), {})
    slot = 2 if point.opset > 10 else 1
    scales = _constant(point, slot) if point.has(slot) else np.zeros(0)
    roi = {}
    if point.attribute("coordinate_transformation_mode", "") == CROP:
        bounds = _constant(point, 1)
        roi = {axis: (bounds[i], bounds[len(axes) + i]) for i, axis in enumerate(axes)}
    if scales.size:
        return _Sizes(dict(zip(axes, scales, strict=True)), roi)
    # An axis that keeps its name keeps its length, whatever that is; a batch of unknown size is not resized.
    changed = [a for a in axes if x.shape[a] != y.shape[a] and (a > 0 or isinstance(x.shape[0], int))]
    policy = point.attribute("keep_aspect_ratio_policy", "stretch")
    if policy != "stretch":
        asked = zip(axes, entries(point.value(3), len(axes)), strict=True)
        one, *others = (_ratio(length, size(x, axis)) for axis, length in asked)
        ratio = reduce(smaller if policy == "not_larger" else larger, others, one)
        return _Sizes(dict.fromkeys(axes, ratio), roi)
    return _Sizes({axis: _ratio(size(y, axis), size(x, axis)) for axis in changed}, roi)


def _ratio(after: Size, before: Size) -> Any:
    return number(after, FLOAT) / number(before, FLOAT)


def _constant(point: Point, slot: int) -> Any:
    value = point.value(slot)
    if not at_hand(value):
        raise UnsupportedError(
            f"{point.node}: its scales, sizes and roi must be constants to compile; use engine='numpy'"
        )
    return value
