"""The order of a compiled walk's nodes, which decides how much it holds at one time."""

from __future__ import annotations

import numpy as np
import pytest

from onnxdtd.compiled import order
from onnxdtd.compiled.trace import compile_plan
from onnxdtd.explainer import Explainer
from onnxdtd.primitives import Tracer, scan
from onnxdtd.primitives.body import alive
from tests.support.paths import MODELS


def test_denominators_are_computed_when_relevance_has_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "LARGE", 100)
    model = compile_plan(Explainer(MODELS / "mnist_cnn.onnx", "epsilon_plus").plan()).model
    nodes = [node for node in model.graph.node if node.output[0].startswith(("onnxdtd/", "relevance/"))]
    seed = next(node.output[0] for node in nodes if node.op_type == "Where" and "logits" in node.input)
    arrived, begun, ready = {seed}, False, set()
    for node in nodes:
        if arrived.intersection(node.input):
            arrived.update(node.output)
            begun = True
        else:
            assert not begun, f"{node.name} does not wait for relevance, but stands behind what does"
            ready.update(node.output)
    makers = {value: node for node in nodes for value in node.output}
    handed = [makers[node.input[1]] for node in nodes if node.op_type == "Div" and node.input[1] in ready]
    assert sum(node.op_type == "Reshape" and node.name.endswith("_late") for node in handed) >= 2
    assert not any(node.op_type in ("Conv", "Add") and "Conv" in node.input[0] for node in handed)


def test_small_denominators_are_not_worth_a_node() -> None:
    model = compile_plan(Explainer(MODELS / "mnist_cnn.onnx", "epsilon_plus").plan()).model
    assert not any(node.name.endswith("_late") for node in model.graph.node)


def test_what_a_body_captures_is_alive_and_stands_before_it() -> None:
    """The body reads what comes of the seed and what does not; nothing else reads them."""
    tracer = Tracer(17)
    x, seed = (tracer.value(name, np.float32, ("T", 4)) for name in ("x", "seed"))
    factor, late, unread = x * 2.0, seed * 3.0, x * 5.0
    _, (y,) = scan(lambda _, s: ((), (s[0] * factor + late,)), (), (x,))
    nodes, used = alive(order.walk_last(tracer, tracer.nodes, "seed"), [y.name])
    names = [node.outputs[0] for node in nodes]
    assert unread.name not in used
    assert {factor.name, late.name, "x", "seed"} <= used
    assert names.index(factor.name) < names.index(late.name) < names.index(y.name) == len(nodes) - 1
