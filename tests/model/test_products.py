"""Products in disguise are marked once, when the graph is canonised."""

from __future__ import annotations

import numpy as np
import pytest

from onnxdtd.model.canonise import canonise
from onnxdtd.model.graph import Graph, Mark
from onnxdtd.model.load import load
from tests.support.model_text import graph
from tools.bench.long_graphs import Chain

X = "(float[N, 4] x) => (float[N, 4] y)"
XV = "(float[N, 4] x, float[N, 4] v) => (float[N, 4] y)"
CONSTANTS = {"two": np.float32(2), "half": np.float32(-0.5), "shape": np.array([-1, 4])}


def mark_of(source: Graph, value: str = "y") -> Mark | None:
    """The mark of the node that makes the value."""
    return canonise(source).producers[value].mark


@pytest.mark.parametrize(
    ("body", "signal"),
    [
        ("g = Tanh(x) y = Mul(x, g)", 0),
        ("g = Tanh(x) y = Mul(g, x)", 1),
        ("e = Erf(x) g = Add(e, two) y = Mul(x, g)", 0),
        ("h = Mul(x, two) g = Tanh(x) y = Mul(h, g)", 0),
        ("s = Exp(x) i = Reciprocal(s) j = Mul(i, two) r = Reshape(j, shape) y = Mul(x, r)", 0),
        ("s = Exp(x) i = Pow(s, half) y = Mul(i, x)", 1),
        ("s = Exp(x) i = Div(two, s) y = Mul(x, i)", 0),
    ],
)
def test_a_product_with_a_gate_of_its_own(body: str, signal: int) -> None:
    assert mark_of(graph(f"{X} {{ {body} }}", **CONSTANTS)) == Mark("gated", signal)


@pytest.mark.parametrize(
    "body",
    [
        "a = Sigmoid(x) b = Sigmoid(v) y = Mul(a, b)",
        "y = Mul(x, v)",
        "f = Floor(x) y = Mul(v, f)",
        "y = Mul(x, two)",
    ],
)
def test_other_products_are_not_marked(body: str) -> None:
    assert mark_of(graph(f"{XV} {{ {body} }}", **CONSTANTS)) is None


def test_attention_is_a_product_behind_a_softmax() -> None:
    body = "k = Transpose<perm = [1, 0]>(x) s = MatMul(x, k) p = Softmax(s) r = MatMul(p, x) y = MatMul(r, w)"
    source = graph(f"{X} {{ {body} }}", w=np.eye(4, dtype=np.float32))
    assert [mark_of(source, value) for value in ("s", "r", "y")] == [None, Mark("attention"), None]


def test_a_one_hot_vector_is_a_comparison_with_all_values() -> None:
    source = graph(
        "(int64[N, 1] x) => (float[N, 4] y) { e = Equal(x, all) y = Cast<to = 1>(e) }", all=np.arange(4)[None]
    )
    assert mark_of(source, "e") == Mark("one_hot")


def test_a_gate_behind_a_thousand_factors() -> None:
    c = Chain()
    h = c("Relu", "x")
    c.h = h
    for _ in range(1500):
        c.h = c("Mul", c.h, c.constant(np.float32(1.0 - 1e-3)))
    c.h = c("Mul", c.h, c("Sigmoid", h))
    assert mark_of(load(c.model("N", 4)), "y") == Mark("gated", 0)
