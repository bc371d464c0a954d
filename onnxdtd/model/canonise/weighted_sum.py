"""A weighted sum that was written as a product and a sum."""

from __future__ import annotations

from string import ascii_letters

import numpy as np

from onnxdtd.model.canonise.draft import Draft, free, nodes
from onnxdtd.model.graph import Graph, Node, Value
from onnxdtd.types import Array

EINSUM_SINCE, AXES_AS_INPUT = 12, 13


def weighted_sum(graph: Graph) -> Graph:
    """sum_i x_i w_ij = einsum(x, w): a ReduceSum over axes along which a constant factor varies is a contraction with
    weights, as MatMul and Gemm are.
    """
    draft = Draft(graph)
    count = 0
    for node in graph.nodes if draft.opset >= EINSUM_SINCE else ():
        count += node.op == "ReduceSum" and not node.domain and _contract(node, draft)
    return draft.graph(f"Mul and ReduceSum written as Einsum: {nodes(count)}") if count else graph


def _contract(node: Node, draft: Draft) -> bool:
    product, axes = draft.maker(node.inputs[0]), draft.integers(node, "axes", 1)
    if product is None or product.op != "Mul" or product.domain or not axes:
        return False
    slots = [slot for slot in (0, 1) if draft.array(product, slot) is not None]
    shape = draft.value(product.inputs[1 - slots[0]]).shape if len(slots) == 1 else None
    if shape is None:
        return False
    x, w = product.inputs[1 - slots[0]], draft.constants[product.inputs[slots[0]]]
    rank = max(len(shape), w.ndim)
    axes = sorted(axis % rank for axis in axes)
    aligned = (None,) * (rank - len(shape)) + shape
    equation = _equation(aligned, w.reshape((1,) * (rank - w.ndim) + w.shape), axes)
    if equation is None:
        return False
    weights = draft.constant(f"{product.inputs[slots[0]]}/weights", w.reshape([n for n in w.shape if n > 1]))
    if not node.attributes.get("keepdims", 1):
        draft.put(Node(node.name, "Einsum", (x, weights), node.outputs, {"equation": equation}))
        return True
    flat = free(f"{node.output}/flat", draft.values)
    sizes = tuple(n for i, n in enumerate(draft.value(product.output).shape or ()) if i not in axes)
    draft.values[flat] = Value(flat, draft.value(x).elem_type, sizes)
    name = free(f"{node.name}/sum", draft.nodes)
    draft.put(Node(name, "Einsum", (x, weights), (flat,), {"equation": equation}), at=node)
    at = np.array(axes, np.int64)
    back = {"axes": axes} if draft.opset < AXES_AS_INPUT else {}
    places = () if back else (draft.constant(f"{node.output}/axes", at),)
    draft.put(Node(node.name, "Unsqueeze", (flat, *places), node.outputs, back))
    return True


def _equation(shape: tuple[object, ...], w: Array, axes: list[int]) -> str | None:
    """The equation, None where the factor does not vary along a summed axis, or a size is not known. Axes of length 1
    that the factor enlarges get letters of their own."""
    own, spare = ascii_letters[: w.ndim], iter(ascii_letters[w.ndim :])
    x_term = w_term = ""
    for letter, n, size in zip(own, w.shape, shape, strict=True):
        if n > 1 and size not in (None, 1, n):
            return None
        if size is None and n == 1:
            return None
        x_term += "" if size is None else next(spare) if size == 1 and n > 1 else letter
        w_term += letter if n > 1 else ""
    if not any(w.shape[axis] > 1 for axis in axes):
        return None
    return f"{x_term},{w_term}->{''.join(letter for i, letter in enumerate(own) if i not in axes)}"
