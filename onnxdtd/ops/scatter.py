"""Scatter: data with updates written, added or multiplied in at the places that indices name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxdtd.domains.interval import ANY, At, Domain
from onnxdtd.errors import UnsupportedError
from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.ops.move import moved, zeros_like
from onnxdtd.ops.scale import scaled
from onnxdtd.primitives import cast_like, equal, operator
from onnxdtd.registry import op


@dataclass(frozen=True)
class Places:
    """Where a Scatter writes. pick(r): what stands there; lay(data, v): v added in there, or `reduction`."""

    pick: Callable[[Any], Any]
    lay: Callable[..., Any]


def _places(point: Point) -> Places:
    """A ScatterElements reads its places by GatherElements, a ScatterND by GatherND."""
    opset, indices = point.opset, point.value(1)
    suffix = "ND" if point.node.op == "ScatterND" else "Elements"
    along = {} if suffix == "ND" else {"axis": point.attribute("axis", 0)}

    def pick(r: Any) -> Any:
        return operator("Gather" + suffix, r, indices, opset=opset, **along)

    def lay(data: Any, v: Any, reduction: str = "add") -> Any:
        return operator("Scatter" + suffix, data, indices, v, opset=opset, reduction=reduction, **along)

    return Places(pick, lay)


SUMS = {("reduction", "add"): ("linear", "sum")}


def _of_scatter(at: At) -> Domain:
    return at.x | at.domain(2) if at.attribute("reduction", "none") == "none" else ANY


@op(
    "Scatter", "ScatterElements", "ScatterND", kind="route", data=(0, 2), variants=SUMS, range=_of_scatter,
)  # fmt: skip
def scatter(point: Point) -> Site:
    """Data with updates at the indices: written there, added, or the larger (smaller) of both."""
    match point.attribute("reduction", "none"):
        case "none":
            return moved(point, 0, 2)
        case "add":
            return _added(point, _places(point))
        case "mul":
            return _multiplied(point, _places(point))
    return _chosen(point, _places(point))


def _added(point: Point, places: Places) -> Site:
    """y = data + updates laid where the indices say: a sum, in which several updates may meet at one place."""
    data, updates = point.value(0), point.value(2)
    laid = LinearMap(
        np.asarray(1.0, updates.dtype),
        lambda w, v: places.lay(zeros_like(data, v), v if w is None else v * w),
        lambda w, r: cast_like(places.pick(r if w is None else r * w), r),
        constant=True,
    )
    maps = {0: scaled(np.asarray(1.0, data.dtype), data, True), 2: laid}
    fixed = None
    if 0 not in point.slots:
        fixed = data
    elif 2 not in point.slots:
        fixed = places.lay(zeros_like(data, updates), updates)
    return point.site(*(maps[slot] for slot in point.slots), bias=fixed)


def _multiplied(point: Point, places: Places) -> Site:
    if 2 in point.slots:
        raise UnsupportedError(
            f"{point.node}: multiplies by updates that depend on the model's input, several perhaps at one place; "
            "no rule serves that"
        )
    data = point.value(0)
    return point.site(scaled(places.lay(zeros_like(data, data) + 1.0, point.value(2), "mul"), data))


def _chosen(point: Point, places: Places) -> Site:
    """Each place's relevance goes to the values that won it, in equal parts."""
    data, updates, y = point.value(0), point.value(2), point.output
    kept, put = cast_like(equal(data, y), y), cast_like(equal(updates, places.pick(y)), y)
    part = 1.0 / places.lay(kept, put)
    maps = {
        0: LinearMap(None, lambda w, v: v * kept * part, lambda w, r: r * kept * part),
        2: LinearMap(
            None,
            lambda w, v: places.lay(zeros_like(data, v), v * put) * part,
            lambda w, r: places.pick(r * part) * put,
        ),
    }
    chosen = [maps[slot] for slot in point.slots]
    alone = len(chosen) == 1
    bias = y - chosen[0].apply(None, point.x) if alone else None
    return point.site(*chosen, bias=bias, fills=alone)
