"""A Softmax written node by node becomes one node, and only if it is one."""

from __future__ import annotations

import numpy as np
import pytest

from onnxdtd.explainer import Explainer
from onnxdtd.model.canonise.softmax import softmax
from onnxdtd.model.graph import Graph
from onnxdtd.model.load import load
from onnxdtd.walk.verify import check_same
from tests.support.model_text import model

KEPT = """(float[N, 4] x) => (float[N, 4] y) {
    m = ReduceMax<axes = [1]>(x) u = Sub(x, m) e = Exp(u) s = ReduceSum(e, one) y = Div(e, s) }"""
DROPPED = """(float[N, 4] x) => (float[N, 4] y) {
    m = ReduceMax<axes = [1], keepdims = 0>(x) k = Reshape(m, column) u = Sub(x, k) e = Exp(u)
    s = ReduceSum<keepdims = 0>(e, one) t = Unsqueeze(s, one) y = Div(e, t) }"""
BARE = "(float[N, 4] x) => (float[N, 4] y) { e = Exp(x) s = ReduceSum(e, one) y = Div(e, s) }"
FIRST_OF_TWO = """(float[N, 4, 3] x) => (float[N, 4, 3] y) {
    m = ReduceMax<axes = [1]>(x) u = Sub(x, m) e = Exp(u) s = ReduceSum(e, one) y = Div(e, s) }"""
OTHER_SUM = (
    "(float[N, 4] x) => (float[N, 4] y) { e = Exp(x) f = Relu(x) s = ReduceSum(f, one) y = Div(e, s) }"
)
TWO_AXES = "(float[N, 4, 3] x) => (float[N, 4, 3] y) { e = Exp(x) s = ReduceSum(e, both) y = Div(e, s) }"
NOT_CONSTANT = """(float[N, 4] x, float[N, 4] v) => (float[N, 4] y) {
    u = Sub(x, v) e = Exp(u) s = ReduceSum(e, one) y = Div(e, s) }"""


def graph_of(text: str) -> Graph:
    proto = model(
        text, one=np.array([1]), both=np.array([1, 2]), column=np.array([-1, 1])
    )  # the initializers that a text does not use are dropped
    return load(proto)


@pytest.mark.parametrize("text", [KEPT, DROPPED, BARE, FIRST_OF_TWO])
def test_it_becomes_one_node_that_computes_the_same(text: str, rng: np.random.Generator) -> None:
    before = graph_of(text)
    after = softmax(before)
    assert [(node.op, node.attributes) for node in after.nodes] == [("Softmax", {"axis": 1})]
    assert after.nodes[0].inputs == ("x",)
    shape = [3 if d == "N" else d for d in before.value("x").shape]
    check_same(before, after, {"x": rng.standard_normal(shape).astype(np.float32)})


@pytest.mark.parametrize("text", [OTHER_SUM, TWO_AXES])
def test_what_is_none_stays(text: str) -> None:
    before = graph_of(text)
    assert softmax(before) is before


def test_what_varies_along_the_axis_is_no_shift() -> None:
    after = softmax(graph_of(NOT_CONSTANT))
    assert [node.op for node in after.nodes] == ["Sub", "Softmax"]


def test_the_logit_before_it_is_explained(rng: np.random.Generator) -> None:
    text = KEPT.replace("m = ", "h = MatMul(x, w) m = ").replace("(x) u = Sub(x,", "(h) u = Sub(h,")
    proto = model(text, one=np.array([1]), w=np.eye(4, dtype=np.float32))
    x = rng.random((2, 4)).astype(np.float32)
    e = Explainer(proto, "epsilon_plus")(x)
    np.testing.assert_allclose(e.target_value, x.max(axis=1), rtol=1e-6)
    np.testing.assert_allclose(e.relevance["x"].sum(axis=1), x.max(axis=1), rtol=1e-5)
