"""The float twin of a quantised model: the same graph and the same weights without rounding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnxdtd.model.canonise.draft import Draft, free
from onnxdtd.model.graph import Graph, Node, Value
from onnxdtd.registry import OPS
from onnxdtd.types import Array


def float_twin(graph: Graph) -> Graph:
    """DQ(Q(x)) -> x within the range of Q: files without a ReLU have it as the end of a range, so ranges stay.

    A dequantise that does not read what a quantise makes stays as it is.
    """
    draft = Draft(graph)
    for node in graph.nodes:
        step = draft.maker(node.inputs[0]) if _rounds(node) else None
        if step is None or not _rounds(step):
            continue
        scales = node.inputs[1], step.inputs[1] if len(step.outputs) == 1 else step.outputs[1]
        x = _bounded(step, draft) if len(step.outputs) == 1 else step.inputs[0]
        if scales[0] != scales[1]:
            x = _made(draft, "Div", (x, scales[1]), node)
        other = (x,) if scales[0] == scales[1] else (x, scales[0])
        draft.put(Node(node.name, "Identity" if len(other) == 1 else "Mul", other, node.outputs), at=node)
    return draft.graph()


def _rounds(node: Node) -> bool:
    entry = OPS.get((node.domain, node.op))
    return entry is not None and entry.rounds


def _bounded(step: Node, draft: Draft) -> str:
    """x within the range of a quantise whose scale is constant."""
    x, scale, *more = step.inputs
    zero = more[0] if more else ""
    if scale not in draft.constants or (zero and zero not in draft.constants):
        return x
    s = draft.constants[scale]
    kind = draft.value(step.output).dtype
    z = draft.constants[zero] if zero else np.zeros((), kind)
    try:
        info = np.iinfo(kind)
    except ValueError:  # four bits, or eight that are a float
        return x
    ends = [((end - z.astype(np.float64)) * s).astype(s.dtype) for end in (info.min, info.max)]
    for op, end in zip(("Max", "Min"), ends, strict=True):
        shaped = _along(end, step, draft)
        if shaped is None:
            return step.inputs[0]
        x = _made(draft, op, (x, draft.constant(f"{step.name}/end", shaped)), step)
    return x


def _along(end: Array, step: Node, draft: Draft) -> Array | None:
    """An end of each place on the axis of the scales, so that it broadcasts to x; None where x has no known rank."""
    if end.size == 1:
        return end.reshape(())
    rank = draft.rank(step.inputs[0])
    if rank is None:
        return None
    axis = step.attributes.get("axis", 1) % rank
    return end.reshape([-1 if i == axis else 1 for i in range(rank)])


def _made(draft: Draft, op: str, inputs: tuple[str, ...], at: Node) -> str:
    """A new node beside another; its output."""
    name = free(f"{at.name}/{op}", draft.nodes)
    draft.values[name] = Value(name, draft.value(inputs[0]).elem_type, draft.value(inputs[0]).shape)
    draft.put(replace(at, name=name, op=op, inputs=inputs, outputs=(name,), attributes={}), at=at)
    return name
