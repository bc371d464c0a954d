"""What onnxruntime runs and onnx's checker refuses: loaded, set right, and noted."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper

import onnxdtd
from onnxdtd.model.load import load
from tests.support.model_text import model

X = np.float32([[1, -2, 3, 4], [0, 5, -6, 7]])


def original(proto: onnx.ModelProto) -> np.ndarray:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    return ort.InferenceSession(proto.SerializeToString(), options).run(None, {"x": X})[0]


def unsorted() -> onnx.ModelProto:
    """What a branch of an If reads counts, too."""
    return model(
        "(float[N, 4] x) => (float[N, 4] y) { y = Relu(b) b = Neg(a) c = Constant<value_int = 1>() "
        "k = Cast<to = 9>(c) a = If(k) <then_branch = t () => (float[N, 4] o) { p = Abs(d) o = Neg(p) }, "
        "else_branch = e () => (float[N, 4] q) { q = Identity(x) }> d = Mul(x, x) }"
    )


def unshaped() -> onnx.ModelProto:
    proto = model("(float[N, 4] x) => (float[N, 4] y) { y = Neg(x) }")
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    return proto


def unversioned() -> onnx.ModelProto:
    proto = model("(float[N, 4] x) => (float[N, 4] y) { y = Identity(x) }")
    proto.graph.node[0].CopyFrom(
        helper.make_node("Scaler", ["x"], ["y"], "scale", domain="ai.onnx.ml", offset=[1.0], scale=[2.0])
    )
    return proto


def grouped(opset: int = 18) -> onnx.ModelProto:
    return model(
        "(float[N, 4] x) => (float[N, 4] y) { a = Unsqueeze(x, two) "
        "n = GroupNormalization<num_groups = 2, epsilon = 0.01>(a, s, b) y = Squeeze(n, two) }",
        opset=opset,
        two=np.int64([2]),
        s=np.float32([2, -1]),
        b=np.float32([0.5, 3]),
    )


CASES = {
    "nodes sorted": unsorted(),
    "the shape of output 'y' is not stated": unshaped(),
    "the version of ai.onnx.ml is not stated": unversioned(),
    "GroupNormalization of opset 18": grouped(),
}


@pytest.mark.parametrize("note", CASES)
@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_what_the_runtime_runs_is_explained(note: str, engine: str) -> None:
    e = onnxdtd.explain(CASES[note], X, 0, method="gradient_x_input", engine=engine)
    np.testing.assert_allclose(e.outputs["y"], original(CASES[note]), rtol=1e-5)
    assert any(note in line for line in e.notes)


def test_an_input_without_a_shape_takes_any() -> None:
    proto = model("(float[N, 4] x) => (float[N, 4] y) { y = Neg(x) }")
    proto.graph.input[0].type.tensor_type.ClearField("shape")
    assert load(proto).value("x").shape is None
    np.testing.assert_allclose(onnxdtd.explain(proto, X, 0).outputs["y"], -X)
