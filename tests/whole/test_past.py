"""Keys and values of earlier positions: relevance of an empty past is empty, that of a full one is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxdtd.errors import InputError
from onnxdtd.explainer import Explainer
from onnxdtd.explanation import Explanation
from onnxdtd.reading import shares

NAMES = ("x", "cache.0.self.key", "cache.0.cross.key")


def decoder() -> onnx.ModelProto:
    """y = the sum over all positions, those of the past among them, of 2 x, and of what was kept for another."""
    nodes = [
        helper.make_node("Mul", ["x", "two"], ["k"]),
        helper.make_node("Concat", [NAMES[1], "k"], ["present"], axis=1),
        helper.make_node("Concat", ["present", NAMES[2]], ["all"], axis=1),
        helper.make_node("ReduceSum", ["all", "axes"], ["y"], keepdims=0),
    ]
    tensors = [
        numpy_helper.from_array(np.float32([2]), "two"),
        numpy_helper.from_array(np.array([1, 2]), "axes"),
    ]
    sizes = (("n", "new", 3), ("n", "past", 3), ("n", 1, 3))
    inputs = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in zip(NAMES, sizes, strict=True)
    ]
    outputs = [
        helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"]),
        helper.make_tensor_value_info("present", TensorProto.FLOAT, ["n", "all", 3]),
    ]
    graph = helper.make_graph(nodes, "g", inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def feeds(length: int) -> dict[str, np.ndarray]:
    return {
        "x": np.ones((2, 1, 3), np.float32),
        NAMES[1]: np.full((2, length, 3), 0.5, np.float32),
        NAMES[2]: np.full((2, 1, 3), 0.5, np.float32),
    }


def test_the_past_is_told_apart(tmp_path: Path) -> None:
    e = Explainer(decoder(), "epsilon_plus")(feeds(4), target="y")
    assert e.past == NAMES[1:]  # the second by the name that both begin with
    assert e.of_past(1) == pytest.approx(7.5, rel=1e-5)
    assert shares(e, 0) == "13.5 = 6.0 input + 7.5 past"
    assert Explanation.load(e.save(tmp_path / "e")) == e


def test_an_empty_past_has_an_empty_relevance() -> None:
    x = feeds(0)
    x[NAMES[2]] *= 0
    e = Explainer(decoder(), "epsilon_plus")(x, target="y")
    assert e.relevance[NAMES[1]].shape == (2, 0, 3)
    assert shares(e, 0) == "6.00 = 6.00 input"
    assert f"'{NAMES[1]}' float32 (2, 0, 3): empty" in repr(e)


def test_an_empty_batch_is_a_fault() -> None:
    with pytest.raises(InputError, match="is empty"):
        Explainer(decoder(), "epsilon_plus")({k: v[:0] for k, v in feeds(1).items()}, target="y")
