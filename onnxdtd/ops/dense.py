"""Gemm and MatMul: matrix products with the model's weights, or of two values."""

from __future__ import annotations

from math import prod
from typing import Any

from onnxdtd.domains.interval import At
from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.ops.scale import scaled, whole_each
from onnxdtd.primitives import largest, matmul, reduce_sum, swap_last, unbroadcast, unsqueeze
from onnxdtd.registry import op


@op(
    "MatMul", kind="linear", family="dense", data=(0, 1), factors=(0, 1),
    work=lambda at: at.outputs * prod(at.lengths(0)[-1:]),
)  # fmt: skip
def product(point: Point) -> Site:
    """y = x W or W x, batched and broadcast as NumPy's matmul; of two values, each is the other's weights."""
    maps = [
        _product(point.value(1 - slot), point.value(slot), slot == 0, point.is_constant(1 - slot))
        for slot in point.slots
    ]
    return whole_each(point, maps)


def _work_of_gemm(at: At) -> int:
    x = at.lengths(0)
    return at.outputs * prod(x[:1] if at.attribute("transA", 0) else x[-1:])


@op("Gemm", kind="linear", family="dense", data=(0, 1, 2), factors=(0, 1), work=_work_of_gemm)
def gemm(point: Point) -> Site:
    """y = alpha A' B' + beta C, where A' and B' may be transposed."""
    alpha, beta = point.attribute("alpha", 1.0), point.attribute("beta", 1.0)
    flips = (bool(point.attribute("transA", 0)), bool(point.attribute("transB", 0)))
    maps = []
    for slot in point.slots:
        if slot == 2:
            maps.append(scaled(beta, point.value(2)))
            continue
        w = point.value(1 - slot)
        w = swap_last(w) if flips[1 - slot] else w
        w = w if alpha == 1 else w * alpha
        maps.append(_product(w, point.value(slot), slot == 0, point.is_constant(1 - slot), flips[slot]))
    bias = None
    if point.has(2) and 2 not in point.slots:
        bias = point.value(2) if beta == 1 else point.value(2) * beta
    elif point.slots == (2,):
        bias = point.output - beta * point.value(2)
    if point.slots[:2] == (0, 1):
        # Both maps are the whole product, which is there once.
        summand = beta * point.value(2) if point.has(2) else 0.0
        bias = summand - point.output if bias is None else 2.0 * bias - point.output
    return point.site(*maps, bias=bias)


def _product(w: Any, x: Any, left: bool, constant: bool, flip: bool = False) -> LinearMap:
    """x @ w (left: x stands left) or w @ x; flip: x is transposed first."""

    def apply(w: Any, x: Any) -> Any:
        x = swap_last(x) if flip else x
        return matmul(x, w) if left else matmul(w, x)

    def adjoint(w: Any, r: Any) -> Any:
        # A product has lost the axis that a vector, as a row or a column, stood along: give it back.
        row, column = (x, w) if left else (w, x)
        r = unsqueeze(r, axes=(-1,)) if column.ndim == 1 else r
        r = unsqueeze(r, axes=(-2,)) if row.ndim == 1 else r
        if w.ndim == 1:
            back = r * w if left else r * unsqueeze(w, axes=(1,))
        else:
            back = matmul(r, swap_last(w)) if left else matmul(swap_last(w), r)
        if x.ndim == 1:
            own = back.ndim - (1 if left else 2)
            return reduce_sum(back, axes=[i for i in range(back.ndim) if i != own], keepdims=False)
        back = swap_last(back) if flip else back
        return unbroadcast(back, x)

    def sizes(w: Any) -> tuple[Any, Any]:
        """Along the axis that is summed over, which the output has not; it has x's other one."""
        along = w.ndim - 2 if left and w.ndim > 1 else w.ndim - 1
        size = largest(w, axes=(along,))
        own = unsqueeze(size, axes=(along,))
        return own, own if not left and x.ndim > 1 and w.ndim > 1 else size

    return LinearMap(w, apply, adjoint, constant, sizes)
