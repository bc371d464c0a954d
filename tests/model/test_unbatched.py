"""Which models have no batch axis, and the function that one gives them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnxdtd.model.graph import Graph
from onnxdtd.model.load import graph_of
from onnxdtd.model.unbatched import batched, is_unbatched, with_batch_axis
from tests.support.model_text import feeds_for, graph, run

LACKING = [
    ("float[3, 8, 8] x", "float[5] y"),  # a picture and its scores
    ("float[3, 8, 8] x", "float[1, 5] y"),  # a batch of one is made inside
    ("float[3, 8, 8] x", "float[2, 8, 8] y"),  # a map of classes
    ("float[4] x", "float[3] y"),
    ("float[4] x", "float y"),
    ("float[4, 3, 8, 8] x", "float[5] y"),  # frames of a film
    ("float[4, 3, 8, 8] x", "float[1, 5] y"),
    ("float[T, 6] x", "float[5] y"),
    ("float[T] x", "float[5] y"),
    ("float[?] x", "float[5] y"),
    ("float[3, 8, 8] x, float[2] z", "float[5] y"),
]
HAVING = [
    ("float[N, 4] x", "float[N, 5] y"),
    ("float[N, 4] x", "float[5] y"),  # a squeezed batch of one, by its name
    ("float[?, 4] x", "float[5] y"),
    ("float[1, 4] x", "float[5] y"),
    ("float[1, 3, 8, 8] x", "float[1, 5] y"),
    ("float[2, 4] x", "float[2, 5] y"),
    ("float[2, 4] x", "float[4] y"),  # along an axis of the input
    ("float[3, 2] x", "float[2, 5] y"),  # transposed, two samples of three
    ("float[2, 3, 8, 8] x", "float[7, 6] y"),  # the boxes of two pictures
    ("float[T, 6] x", "float[T, 5] y"),
    ("float[T, 6] x", "float y"),  # a loss, perhaps
    ("float[3, 8, 8] x, float[N] z", "float[5] y"),
]


def of_shapes(ins: str, outs: str) -> Graph:
    """A graph of which nothing is known but the shapes that the file states."""
    names = ", ".join(part.split()[-1] for part in ins.split(", ") if part.count(" "))
    head = '<ir_version: 8, opset_import: ["" : 17, "own" : 1]>'
    proto = onnx.parser.parse_model(f"{head} m ({ins}) => ({outs}) {{ y = own.Made({names}) }}")
    return graph_of(proto, {"": 17, "own": 1}, {})


@pytest.mark.parametrize(("ins", "outs"), LACKING)
def test_models_of_one_sample(ins: str, outs: str) -> None:
    assert is_unbatched(of_shapes(ins, outs))


@pytest.mark.parametrize(("ins", "outs"), HAVING)
def test_models_of_samples(ins: str, outs: str) -> None:
    net = of_shapes(ins, outs)
    assert not is_unbatched(net)
    assert batched(net) is net


TWICE, SIZE = "t () => (float[3] p) { p = Mul(x, two) }", "e () => (float[3] q) { q = Abs(x) }"
BRANCH = f"If(c) <then_branch = {TWICE}, else_branch = {SIZE}>"
FUNCTIONS = [
    "(float[3] x) => (float[2] y) { y = MatMul(x, w) }",
    "(float[3] x) => (float[1, 2] y) { z = MatMul(x, w) y = Unsqueeze(z, zero) }",
    "(float[3] x) => (float y) { y = ReduceSum<keepdims = 0>(x) }",
    "(float[3] x) => (float[2] y, float[3] x) { y = MatMul(x, w) }",
    "(float[3] x, float[2] z) => (float[2] y, float[2] v) { y = MatMul(x, w) v = Add(y, z) }",
    f"(float[3] x, bool c) => (float[2] y) {{ h = {BRANCH} y = MatMul(h, w) }}",
]


@pytest.mark.parametrize("opset", [11, 17])
@pytest.mark.parametrize("text", FUNCTIONS)
def test_the_function_is_the_same(text: str, opset: int) -> None:
    if opset < 13:
        text = text.replace("Unsqueeze(z, zero)", "Unsqueeze<axes = [0]>(z)")
    rng = np.random.default_rng(0)
    weights = {"w": rng.normal(size=(3, 2)).astype(np.float32), "two": np.float32(2), "zero": np.array([0])}
    net = graph(text, opset, **weights)
    given, names = with_batch_axis(net)
    feeds = {name: np.asarray(x[0]) for name, x in feeds_for(given).items()}
    expected = run(net, feeds)
    actual = run(given, {name: x[None] for name, x in feeds.items()})
    for name, one, other in zip(net.outputs, expected, actual, strict=True):
        assert given.value(name).shape == other.shape == ((1, *one.shape) if name in names else one.shape)
        np.testing.assert_array_equal(other.reshape(one.shape), one)
    assert all(given.value(name).unbatched for name in given.inputs)
