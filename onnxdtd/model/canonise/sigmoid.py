"""A Sigmoid that was written out with exponentials, which overflow where it does not."""

from __future__ import annotations

from onnxdtd.model.canonise.draft import Draft, nodes
from onnxdtd.model.graph import Graph, Node
from onnxdtd.types import Array


def sigmoid(graph: Graph) -> Graph:
    """1 / (1 + exp(-x)) = exp(x) / (1 + exp(x)) = sigmoid(x): the division becomes a Sigmoid."""
    draft = Draft(graph)
    count = 0
    for node in graph.nodes:
        x = None if node.domain or draft.opset < 7 else _argument(node, draft)
        if x is not None:
            draft.put(Node(node.name, "Sigmoid", (x,), node.outputs))
            count += 1
    return draft.graph(f"Sigmoid written as one node: {nodes(count)}") if count else graph


def _argument(node: Node, draft: Draft) -> str | None:
    """x, or None if the node is not the division of a Sigmoid."""
    power = draft.array(node, 1) if node.op == "Pow" else None
    if node.op == "Reciprocal" or (power is not None and _is(power, -1.0)):
        return _negative(_exponent(node.inputs[0], draft), draft)
    if node.op != "Div":
        return None
    over = draft.array(node, 0)
    if over is not None:
        return _negative(_exponent(node.inputs[1], draft), draft) if _is(over, 1.0) else None
    above, below = draft.maker(node.inputs[0]), _exponent(node.inputs[1], draft)
    return below if above is not None and above.op == "Exp" and above.inputs[0] == below else None


def _exponent(value: str, draft: Draft) -> str | None:
    """u of 1 + exp(u)."""
    total = draft.maker(value)
    if total is None or total.op != "Add" or total.domain:
        return None
    for slot in (0, 1):
        one, exponential = draft.array(total, slot), draft.maker(total.inputs[1 - slot])
        if one is not None and _is(one, 1.0) and exponential is not None and exponential.op == "Exp":
            return exponential.inputs[0]
    return None


def _negative(value: str | None, draft: Draft) -> str | None:
    """x of -x."""
    maker = None if value is None else draft.maker(value)
    if maker is None or maker.domain:
        return None
    if maker.op == "Neg":
        return maker.inputs[0]
    for slot in (0, 1):
        constant = draft.array(maker, slot)
        if constant is not None and (
            (maker.op == "Mul" and _is(constant, -1.0))
            or (maker.op == "Div" and slot == 1 and _is(constant, -1.0))
            or (maker.op == "Sub" and slot == 0 and _is(constant, 0.0))
        ):
            return maker.inputs[1 - slot]
    return None


def _is(constant: Array, number: float) -> bool:
    """Whether it is the number, and adds no axis that matters."""
    return constant.size == 1 and constant.ndim <= 1 and float(constant.item()) == number
