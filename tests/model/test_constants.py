from __future__ import annotations

import sys

import numpy as np
import pytest
from onnx import TensorProto, helper

from onnxdtd.model.canonise.constants import constants
from onnxdtd.model.load import load
from onnxdtd.model.reference import evaluate
from tests.support.examples import EXAMPLES
from tests.support.model_text import OPSETS, RNG, changed, graph, model, normal, ops, unchanged
from tests.support.single_op import draw, model_of, run_ort


@pytest.mark.parametrize("opset", OPSETS)
def test_constants_are_lifted_and_folded(opset):
    net = graph(
        """(float[N, 3] x) => (float[N, 2] y) {
            c = Constant<value = float[2] {1, 2}>()
            d = Neg(c)
            e = Transpose(w)
            h = MatMul(x, e)
            y = Add(h, d)
        }""",
        opset,
        w=normal(2, 3),
    )
    after = changed(net, constants)
    assert ops(after) == ["MatMul", "Add"]
    np.testing.assert_array_equal(after.constants["d"], np.float32([-1, -2]))
    assert set(after.constants) == {"d", "e"}
    assert after.value("e").shape == (3, 2)
    assert after.notes == ("Constant lifted: 1 node", "constants folded: 2 nodes")


def test_what_is_folded_is_what_onnxruntime_computes(rng):
    """onnx's reference implementation normalises as many channels as there are samples (LRN), pads nothing for
    SAME_UPPER, and the like: such operators are left as they are."""
    differ, folded = [], 0
    for example in EXAMPLES:
        net, feeds = model_of(example), draw(example, rng)
        loaded = load(net)
        (node, *more) = loaded.nodes
        if more or (made := evaluate(node, loaded.opsets, {**loaded.constants, **feeds})) is None:
            continue
        folded += 1
        y = run_ort(net, feeds)
        if made["y"].shape != y.shape or not np.allclose(made["y"], y, rtol=1e-4, atol=1e-5):
            differ.append(str(example))
    assert differ == []
    unchanged(
        graph("(float[N, 4] x) => (float[N, 4] y) { c = Softmax(w) y = Add(x, c) }", 11, w=normal(2, 4)),
        constants,
    )
    assert folded > len(EXAMPLES) // 2


CONSTANT_FORMS = {
    "value_float = 2.5": np.float32(2.5),
    "value_floats = [2.5, 3.0]": np.float32([2.5, 3]),
    "value_int = 3": np.int64(3),
    "value_ints = [3, 4]": np.int64([3, 4]),
    "value = double[1] {2}": np.float64([2]),
}


@pytest.mark.parametrize("form", CONSTANT_FORMS)
def test_every_form_of_constant(form):
    text = f"(float[2] x) => (float[2] y) {{ c = Constant<{form}>() d = Cast<to = 1>(c) y = Add(x, d) }}"
    net = graph(text)
    after = changed(net, constants)
    lifted = constants(
        graph(text.replace("float[2] y)", "float[2] y, int64[n] c)") if "int" in form else text)
    )
    if "int" in form:
        assert lifted.constants["c"].dtype == np.int64
        np.testing.assert_array_equal(lifted.constants["c"], CONSTANT_FORMS[form])
    np.testing.assert_array_equal(after.constants["d"], CONSTANT_FORMS[form].astype(np.float32))


def test_string_and_sparse_constants():
    proto = model("(float[4] x) => (float[4] y, string[n] s) { y = Add(x, c) }")
    values = helper.make_tensor("values", TensorProto.FLOAT, [2], [5, 7])
    indices = helper.make_tensor("indices", TensorProto.INT64, [2], [1, 3])
    sparse = helper.make_sparse_tensor(values, indices, [4])
    proto.graph.node.insert(0, helper.make_node("Constant", [], ["c"], sparse_value=sparse))
    proto.graph.node.insert(0, helper.make_node("Constant", [], ["s"], value_strings=["a", "b"]))
    after = constants(load(proto))
    np.testing.assert_array_equal(after.constants["c"], [0, 5, 0, 7])
    np.testing.assert_array_equal(after.constants["s"], ["a", "b"])


@pytest.mark.parametrize("opset", [11, 13, 17, 22])
def test_weights_in_another_type_are_decoded(opset):
    net = graph(
        """(float[N, 3] x) => (float[N, 2] y) {
            a = Cast<to = 1>(half)
            b = DequantizeLinear(integers, scale, zero)
            h = MatMul(x, a)
            y = MatMul(h, b)
        }""",
        opset,
        half=normal(3, 4).astype(np.float16),
        integers=RNG.integers(-100, 100, (4, 2)).astype(np.int8),
        scale=np.float32(0.1),
        zero=np.int8(3),
    )
    assert ops(changed(net, constants)) == ["MatMul", "MatMul"]


@pytest.mark.parametrize("opset", OPSETS)
def test_shape_arithmetic_on_a_static_shape_is_folded(opset):
    unsqueeze = "Unsqueeze<axes = [0]>(g)" if opset < 13 else "Unsqueeze(g, zero)"
    net = graph(
        f"""(float[2, 3, 4] x) => (float[n, m] y) {{
            s = Shape(x)
            g = Gather<axis = 0>(s, i)
            u = {unsqueeze}
            t = Concat<axis = 0>(u, rest)
            y = Reshape(x, t)
        }}""",
        opset,
        i=np.array(0),
        zero=np.array([0]),
        rest=np.array([-1]),
    )
    after = changed(net, constants)
    assert ops(after) == ["Reshape"]
    np.testing.assert_array_equal(after.constants["t"], [2, -1])


def test_shape_attributes_and_size():
    text = """(float[2, 3, 4] x) => (int64[n] a, int64 b) {
        a = Shape<start = 1, end = -1>(x)  b = Size(x)
    }"""
    after = changed(graph(text), constants)
    assert not after.nodes
    np.testing.assert_array_equal(after.constants["a"], [3])
    assert after.constants["b"] == 24


def test_an_open_shape_stays():
    unchanged(graph("(float[N, 3] x) => (int64[2] y) { y = Shape(x) }"), constants)


@pytest.mark.parametrize(
    "body",
    [
        "r = RandomNormal<shape = [3]>() y = Add(x, r)",
        "r = RandomUniformLike(w) y = Add(x, r)",
        "r = Bernoulli(w) y = Add(x, r)",
        "r = Dropout(w, half, yes) y = Add(x, r)",
        "r = ConstantOfShape(endless) s = ReduceMax<keepdims = 0>(r) y = Add(x, s)",
        "r = ConstantOfShape(huge) s = ReduceMax<keepdims = 0>(r) y = Add(x, s)",
        "r = Expand(w, huge) s = ReduceMax<keepdims = 0>(r) y = Add(x, s)",
        "r = Tile(w, many) s = ReduceMax<keepdims = 0>(r) y = Add(x, s)",
        "r = custom.Op(w) y = Add(x, r)",
    ],
)
def test_what_is_random_huge_or_unknown_is_not_folded(body):
    text = f"(float[3] x) => (float[3] y) {{ {body} }}"
    arrays = {"huge": np.array([1 << 24, 3]), "endless": np.array([1 << 40, 3]), "many": np.array([1 << 24])}
    proto = model(text, w=np.ones(3, np.float32), half=np.float32(0.5), yes=np.array(True), **arrays)
    proto.opset_import.add(domain="custom", version=1)
    unchanged(load(proto), constants)


def test_outer_products_of_constants_are_measured_before_they_are_made():
    text = "(float[3] x) => (float[3] y) { r = Mul(a, b) s = ReduceMax<keepdims = 0>(r) y = Add(x, s) }"
    unchanged(
        graph(text, a=np.ones((1 << 13, 1), np.float32), b=np.ones((1, 1 << 12), np.float32)), constants
    )


def test_subgraphs_are_not_run():
    text = """(float[3] x) => (float[3] y) {
        r = If (yes) <
            then_branch = g1 () => (float a) {
                many = Constant<value_int = 3>()
                w = Constant<value_float = 2.0>()
                l = Loop (many, , w) <
                    body = g (int64 i, bool c, float v) => (bool d, float u) { d = Identity(c) u = Neg(v) }
                >
                a = ReduceMax<keepdims = 0>(l)
            },
            else_branch = g2 () => (float b) { b = Constant<value_float = 1.0>() }
        >
        y = Add(x, r)
    }"""
    unchanged(graph(text, yes=np.array(True)), constants)


def test_weights_stored_in_halves_are_widened_as_the_reference_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each number of float16 is one of float32; nothing else is left to NumPy."""
    asked: list[str] = []
    folding = sys.modules["onnxdtd.model.canonise.constants"]  # whose function has its name
    monkeypatch.setattr(folding, "evaluate", lambda node, *_: asked.append(node.op))
    text = """(float[N, 3] x) => (float[N, 3] y) {
        v = Cast<to = 1>(h) i = Cast<to = 7>(f) t = Cast<to = 1>(i) s = Mul(x, v) y = Add(s, t)
    }"""
    half = np.array([1 / 3, -65504, 6e-8], np.float16)
    folded = constants(graph(text, h=half, f=np.float32([1.5, 2, 3])))
    np.testing.assert_array_equal(folded.constants["v"], half.astype(np.float32))
    assert folded.constants["v"].dtype == np.float32
    assert asked == ["Cast"]  # the one to integers
