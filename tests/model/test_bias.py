from __future__ import annotations

import pytest

from onnxdtd.model.canonise.bias import bias
from tests.support.model_text import OPSETS, changed, graph, normal, ops, unchanged


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("shape", [(2,), (1, 2), (1,), (), (1, 1)])
@pytest.mark.parametrize("order", ["h, b", "b, h"])
def test_matmul_and_add_become_gemm(opset, shape, order):
    text = f"(float[N, 3] x) => (float[N, 2] y) {{ h = MatMul(x, w) y = Add({order}) }}"
    after = changed(graph(text, opset, w=normal(3, 2), b=normal(*shape)), bias)
    assert ops(after) == ["Gemm"]
    assert after.nodes[0].output == "y"
    assert after.constants[after.nodes[0].inputs[2]].shape == (2,)
    assert after.notes == ("Add folded into the bias before it: 1 node",)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("op", ["Conv", "ConvTranspose"])
@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize("shape", [(1, 4, 1, 1), (4, 1, 1), (), (1, 1)])
@pytest.mark.parametrize("own", ["", ", c"])
def test_conv_and_add(opset, op, group, shape, own):
    text = f"""(float[N, 4, 6, 6] x) => (float[N, 4, p, q] y) {{
        h = {op}<group = {group}, pads = [1, 0, 1, 0]>(x, w{own}) y = Add(h, b)
    }}"""
    after = changed(graph(text, opset, w=normal(4, 4 // group, 3, 3), b=normal(*shape), c=normal(4)), bias)
    assert ops(after) == [op]


OF_ANY_SHAPE = {
    "rank 3": ("(float[N, 4, 3] x) => (float[N, 4, 2] y) { h = MatMul(x, w) y = Add(h, b) }", ["MatMul"]),
    "by row": ("(float[2, 3] x) => (float[2, 2] y) { h = MatMul(x, w) y = Add(h, column) }", ["MatMul"]),
    "used twice": (
        "(float[N, 3] x) => (float[N, 2] y) { h = MatMul(x, w) a = Add(h, b) y = Mul(a, h) }",
        ["MatMul", "Gemm", "Mul"],
    ),
    "an output": (
        "(float[N, 3] x) => (float[N, 2] y, float[N, 2] h) { h = MatMul(x, w) y = Add(h, b) }",
        ["MatMul", "Gemm"],
    ),
    "weight first": ("(float[2, N] x) => (float[3, N] y) { h = MatMul(w, x) y = Add(h, one) }", ["MatMul"]),
    "by pixel": ("(float[N, 1, 2, 2] x) => (float[N, 1, 2, 2] y) { h = Conv(x, k) y = Add(h, b) }", ["Conv"]),
    "contraction": (
        '(float[N, 4, 3] x) => (float[N, 2, 4] y) { h = Einsum<equation = "ntc,cd->ndt">(x, w) y = Sub(h, one) }',
        ["Einsum"],
    ),
}


def constants():
    arrays = {"w": normal(3, 2), "v": normal(3, 1), "b": normal(2), "column": normal(2, 1), "one": normal(1)}
    return arrays | {"deep": normal(1, 1, 2), "k": normal(1, 1, 1, 1)}


@pytest.mark.parametrize("case", OF_ANY_SHAPE)
def test_constants_of_any_shape_are_biases_and_a_value_in_between_keeps_a_copy(case):
    text, expected = OF_ANY_SHAPE[case]
    assert sorted(ops(changed(graph(text, **constants()), bias))) == sorted(expected)


NO_BIAS = {
    "unknown rank": "(float x) => (float y) { h = MatMul(x, w) y = Add(h, b) }",
    "widened": "(float[N, 3] x) => (float[N, 2] y) { h = MatMul(x, v) y = Add(h, b) }",
    "higher rank": "(float[N, 3] x) => (float[1, N, 2] y) { h = MatMul(x, w) y = Add(h, deep) }",
    "no constant": "(float[N, 3] x, float[2] z) => (float[N, 2] y) { h = MatMul(x, w) y = Add(h, z) }",
}


@pytest.mark.parametrize("case", NO_BIAS)
def test_adds_that_are_no_bias_stay(case):
    net = graph(NO_BIAS[case], **constants())
    if case == "unknown rank":
        net.values["x"].shape and pytest.fail("the rank is known")
    unchanged(net, bias)


def test_a_shared_weight_serves_both_nodes_after_a_fold():
    text = """(float[N, 3] x) => (float[N, 2] y, float[N, 2] z) {
        h = MatMul(x, w) y = Add(h, b) z = MatMul(x, w)
    }"""
    after = changed(graph(text, w=normal(3, 2), b=normal(2)), bias)
    assert ops(after) == ["Gemm", "MatMul"]
    assert after.nodes[0].inputs[1] == after.nodes[1].inputs[1] == "w"
