"""float16 and bfloat16 are explained in float32: the shipped models, halved, keep their relevance."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnxdtd
from onnxdtd.model.canonise.precision import HALVES, precision
from onnxdtd.model.load import load
from tests.support.model_text import graph, normal, ops, run
from tests.support.paths import MODELS

KINDS = {"float16": (TensorProto.FLOAT16, np.float16), "bfloat16": (TensorProto.BFLOAT16, ml_dtypes.bfloat16)}


def rounded(name: str, kind: str) -> onnx.ModelProto:
    """A shipped model with its weights rounded to half precision, in float32."""
    model = onnx.load(MODELS / f"{name}.onnx")
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            weights = numpy_helper.to_array(tensor).astype(KINDS[kind][1]).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(weights, tensor.name))
    return model


def halved(name: str, kind: str) -> onnx.ModelProto:
    """A shipped model with every float32 tensor, type and Cast in half precision."""
    code, dtype = KINDS[kind]
    model = onnx.load(MODELS / f"{name}.onnx")
    model.opset_import[0].version = 22  # the first in which Conv takes bfloat16
    tensors = [
        *model.graph.initializer,
        *(a.t for n in model.graph.node for a in n.attribute if a.HasField("t")),
    ]
    for tensor in tensors:
        if tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(dtype), tensor.name))
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = code
    for attribute in (a for n in model.graph.node for a in n.attribute if a.name == "to"):
        attribute.i = code if attribute.i == TensorProto.FLOAT else attribute.i
    return model


def sample_of(name: str) -> np.ndarray:
    return np.load(MODELS / "mnist_digit.npy")[:1].astype(np.float32)


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["mnist_cnn", "mnist_resnet"])
@pytest.mark.parametrize("method", ["epsilon_plus", "gradient"])
def test_shipped_models_halved_are_explained_as_they_were(name, kind, engine, method):
    x, options = sample_of(name), {"engine": engine, "input_range": (0, 1)}
    half = onnxdtd.Explainer(halved(name, kind), method, verify=True, **options)
    e = half(x, 3)
    (relevance,) = e.relevance.values()
    assert relevance.dtype == np.float32
    assert all(output.dtype == np.float32 for output in e.outputs.values())
    assert any(f"{kind} widened to float32" in note for note in e.notes)
    (same,) = onnxdtd.Explainer(rounded(name, kind), method, **options)(x, 3).relevance.values()
    np.testing.assert_allclose(relevance, same, atol=1e-5 * np.abs(same).max())
    (whole,) = onnxdtd.Explainer(MODELS / f"{name}.onnx", method, **options)(x, 3).relevance.values()
    assert cosine(relevance, whole) > {"float16": 0.999, "bfloat16": 0.97}[kind]
    (narrow,) = half(x.astype(KINDS[kind][1]), 3).relevance.values()
    assert cosine(relevance, narrow) > {"float16": 0.999, "bfloat16": 0.97}[kind]


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.vdot(a, b) / np.sqrt(np.vdot(a, a) * np.vdot(b, b)))


def test_conservation_is_that_of_single_precision():
    e = onnxdtd.Explainer(halved("mnist_cnn", "float16"), "epsilon_plus")(sample_of("mnist_cnn"))
    assert e.conservation.relative < 1e-5


MIXED = """(float[N, 3] x) => (float[N, 2] y, float16[N, 2] z) {
    h = Cast<to = 10>(x) a = MatMul(h, w) b = Relu(a) y = Cast<to = 1>(b) z = CastLike(y, w)
}"""


def test_mixed_models_lose_their_casts():
    before = graph(MIXED, 19, w=normal(3, 2).astype(np.float16))
    after = precision(before)
    kinds = {after.value(v).elem_type for n in after.nodes for v in (*n.inputs, *n.outputs)}
    assert kinds == {TensorProto.FLOAT}
    assert after.notes == ("float16 widened to float32",)
    assert precision(after) is after
    assert ops(onnxdtd.Explainer(before.to_proto()).graph) == ["MatMul", "Relu", "Cast"]


@pytest.mark.parametrize("code", HALVES)
def test_whatever_names_a_type_is_widened(code):
    model = onnx.parser.parse_model(f"""<ir_version: 10, opset_import: ["" : 22]>
        m (float[2] x) => (float[2] y) {{
            n = RandomUniformLike<dtype = {code}>(x) m = Cast<to = {code}>(x) s = Sum(n, m) y = Cast<to = 1>(s)
        }}""")
    constant = helper.make_tensor("value", code, [1], [0.5])
    model.graph.node.append(helper.make_node("Shape", ["x"], ["size"]))
    model.graph.node.append(helper.make_node("ConstantOfShape", ["size"], ["c"], value=constant))
    model.graph.node.append(helper.make_node("Cast", ["c"], ["d"], to=1))
    model.graph.output.append(helper.make_tensor_value_info("d", TensorProto.FLOAT, [2]))
    after = precision(load(model))
    attributes = {n.op: dict(n.attributes) for n in after.nodes}
    assert attributes["RandomUniformLike"]["dtype"] == 1
    assert attributes["Cast"]["to"] == 1
    assert attributes["ConstantOfShape"]["value"].data_type == TensorProto.FLOAT


def test_bodies_of_control_flow_are_widened_with_what_is_around_them():
    body = helper.make_graph(
        [helper.make_node("Cast", ["h"], ["k"], to=10), helper.make_node("Add", ["k", "one"], ["t"])],
        "body", [], [helper.make_tensor_value_info("t", TensorProto.FLOAT16, [2])],
        [numpy_helper.from_array(np.ones(1, np.float16), "one")],
    )  # fmt: skip
    nodes = [
        helper.make_node("Cast", ["x"], ["h"], to=10),
        helper.make_node("If", ["c"], ["y"], then_branch=body, else_branch=body),
    ]
    values = [helper.make_tensor_value_info("x", 1, [2]), helper.make_tensor_value_info("c", 9, [])]
    out = [helper.make_tensor_value_info("y", TensorProto.FLOAT16, [2])]
    model = helper.make_model(
        helper.make_graph(nodes, "g", values, out), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    after = precision(load(model))
    branch = after.producers["y"].attributes["then_branch"]
    assert branch.initializer[0].data_type == branch.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    assert helper.get_attribute_value(branch.node[0].attribute[0]) == TensorProto.FLOAT
    feeds = {"x": np.array([1, 2], np.float32), "c": np.array(True)}
    onnx.checker.check_model(after.to_proto())
    np.testing.assert_array_equal(run(after, feeds)[0], [2, 3])


def test_models_without_half_precision_are_left_alone():
    before = load(MODELS / "mnist_cnn.onnx")
    assert precision(before) is before
