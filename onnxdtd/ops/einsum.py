"""Einsum: sums of products by index letters. Each operand's map has the product of the others for weights."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_letters
from typing import Any

import numpy as np

from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.equation import letters
from onnxdtd.model.point import Point
from onnxdtd.ops.scale import whole_each
from onnxdtd.primitives import einsum, expand_like, size, unbroadcast, unit, unsqueeze
from onnxdtd.registry import op


@op("Einsum", kind="linear", family="dense", data=None, factors=tuple(range(32)))
def contraction(point: Point) -> Site:
    """y = sum over the letters that the output lacks of the product of all operands."""
    operands = [point.value(slot) for slot in range(len(point.node.inputs))]
    terms, result = letters(point.attribute("equation"), [x.ndim for x in operands])
    maps = [_map(point, operands, terms, result, slot) for slot in point.slots]
    return whole_each(point, maps)


def _map(point: Point, operands: Sequence[Any], terms: Sequence[str], result: str, slot: int) -> LinearMap:
    x, own = operands[slot], terms[slot]
    others = [i for i in range(len(operands)) if i != slot]
    constant = all(point.is_constant(i) for i in others)
    # A letter that x has twice takes its diagonal: a second name for it, tied to the first by a unit matrix.
    ties: dict[str, Any] = {}
    unique = ""
    spare = iter(c for c in ascii_letters if c not in "".join(terms))
    for axis, c in enumerate(own):
        fresh = next(spare) if c in unique else c
        if fresh != c:
            ties[c + fresh] = unit(size(x, axis), x)
        unique += fresh
    parts = {i: terms[i] for i in others}
    weight_letters = "".join(
        dict.fromkeys(c for c in "".join((*parts.values(), *ties)) if c in unique or c in result)
    )
    equation = ",".join((*parts.values(), *ties)) + "->" + weight_letters
    factors = [*(operands[i] for i in others), *ties.values()]
    weights = einsum(*factors, equation=equation) if factors else np.ones((), x.dtype)
    kept = "".join(c for c in unique if c in weight_letters or c in result)

    def apply(w: Any, v: Any) -> Any:
        return einsum(v, w, equation=f"{unique},{weight_letters}->{result}")

    def adjoint(w: Any, r: Any) -> Any:
        back = einsum(r, w, equation=f"{result},{weight_letters}->{kept}")
        summed = [axis for axis, c in enumerate(unique) if c not in kept]
        if summed:
            back = expand_like(unsqueeze(back, axes=summed), x)
        return unbroadcast(back, x)

    return LinearMap(weights, apply, adjoint, constant and (not ties or point.is_fixed(slot, *range(x.ndim))))
