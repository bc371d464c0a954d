"""The fault that is told is the reason: the operator without a rule, not what follows from it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnxdtd.errors import UnsupportedError
from onnxdtd.model.canonise import canonise
from onnxdtd.model.load import load
from onnxdtd.plan.plan import make_plan


def faults_of(
    nodes: list[onnx.NodeProto], kind: int, constants: dict[str, np.ndarray] | None = None
) -> list[str]:
    """What stands against a model from x (N, 4) of this element type to y."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, ("N", 4))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ("N", 4))],
        [onnx.numpy_helper.from_array(a, name) for name, a in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)]
    with pytest.raises(UnsupportedError) as caught:
        make_plan(canonise(load(helper.make_model(graph, opset_imports=opsets, ir_version=8))))
    return str(caught.value).splitlines()


@pytest.mark.parametrize("kind", [TensorProto.INT64, TensorProto.FLOAT])
def test_an_unknown_operator_that_reads_the_input(kind: int) -> None:
    embed = helper.make_node("Embed", ["x"], ["e"], "lookup", domain="com.example")
    (fault,) = faults_of([embed, helper.make_node("Relu", ["e"], ["y"])], kind)
    assert fault.startswith("'lookup' Embed (com.example opset 1, ")


def test_what_follows_from_a_fault_is_not_told() -> None:
    """The second output of the unknown operator, and a CastLike whose type it decides, are no faults of their own;
    another unknown operator behind it is."""
    nodes = [
        helper.make_node("Embed", ["x"], ["e", "other"], "lookup", domain="com.example"),
        helper.make_node("CastLike", ["one", "e"], ["scale"], "follows"),
        helper.make_node("Mul", ["other", "scale"], ["h"], "product"),
        helper.make_node("Head", ["h"], ["y"], "head", domain="com.example"),
    ]
    faults = faults_of(nodes, TensorProto.FLOAT, {"one": np.ones(1, np.float32)})
    assert [fault.split(" ")[0] for fault in faults] == ["'lookup'", "'head'"]
