"""A node of several outputs: its rule is asked once for each that relevance reached, and the shares add up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxdtd.compiled.run import OnnxWalker
from onnxdtd.errors import UnsupportedError
from onnxdtd.explainer import Explainer
from onnxdtd.linear import LinearMap, Site
from onnxdtd.methods import METHODS
from onnxdtd.model.canonise import canonise
from onnxdtd.model.graph import Graph
from onnxdtd.model.point import Point
from onnxdtd.ops import OPS
from onnxdtd.plan.plan import make_plan, needed
from onnxdtd.plan.target import parse_target
from onnxdtd.registry import op
from onnxdtd.walk.backward import walk
from onnxdtd.walk.ledger import Ledger
from onnxdtd.walk.outcome import Asked
from onnxdtd.walk.run import NumpyWalker
from tests.support.model_text import graph, normal

CPU = ["CPUExecutionProvider"]
X = np.array([[1, -2, 3, -4, 5, -6]], np.float32)
BRANCHES = """(float[N, 6] x) => (float[N, 2] y) {
    h = MatMul(x, v) a, b, c = Split<axis = 1>(h, sizes)
    r = Relu(b) p = MatMul(r, w) s = MatMul(c, u) y = Add(p, s)
}"""
WEIGHTS = {"v": normal(6, 6), "w": normal(2, 2), "u": normal(3, 2), "sizes": np.array([1, 2, 3])}


def relevance(source: Graph, method: str, target: Any = 1) -> list[Any]:
    """Of either engine; the graph is taken as it is."""
    plan = make_plan(source, method, input_range=(-9, 9))
    return [
        engine(plan, CPU)({"x": X}, [Asked(parse_target(target))])[0].relevance["x"]
        for engine in (NumpyWalker, OnnxWalker)
    ]


@pytest.mark.parametrize("method", METHODS)
def test_a_split_is_as_its_slices(method: str) -> None:
    whole = graph(BRANCHES, **WEIGHTS)
    expected, _ = relevance(canonise(whole), method)
    for actual in relevance(whole, method):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    assert [node.op for node in whole.nodes].count("Split") == 1


def test_parts_of_equal_sizes_by_hand() -> None:
    """y = 3 (x2, x3) + (x4, x5): the part in front carries nothing."""
    text = """(float[N, 6] x) => (float[N, 2] y) {
        a, b, c = Split<axis = 1, num_outputs = 3>(x) t = Mul(b, three) y = Add(t, c)
    }"""
    for shares in relevance(graph(text, 18, three=np.float32(3)), "gradient", 0):
        np.testing.assert_array_equal(shares, [[0, 0, 3, 0, 1, 0]])


def test_sizes_that_only_a_run_shows() -> None:
    """The part behind is explained where no size is known when the model is read."""
    text = "(float[N] x) => (float[a] y, float[b] z) { y, z = Split(x) }"
    explainer = Explainer(graph(text).to_proto(), "gradient_x_input")
    for length in (2, 4):
        x = np.arange(1, length + 1, dtype=np.float32)
        actual = explainer(x, "z").relevance["x"]
        np.testing.assert_array_equal(actual, np.where(np.arange(length) < length // 2, 0, x))


@pytest.fixture
def pair() -> Any:
    """For a while LayerNormalization, which has more than one output, is (2 x, 3 x)."""
    entry = OPS.pop(("", "LayerNormalization"))

    @op("LayerNormalization", kind="linear", outputs=(0, 1))
    def doubled(point: Point) -> Site:
        """y = 2 x, and z = 3 x."""
        factor = np.asarray(2.0 + point.which, point.x.dtype)
        return point.site(LinearMap(factor, lambda w, v: v * w, lambda w, r: r * w, constant=True))

    yield
    OPS["", "LayerNormalization"] = entry


def test_what_rules_derive_is_kept_for_each_output(pair: Any) -> None:
    text = """(float[N, 6] x) => (float[N, 6] y) {
        a, b = LayerNormalization<axis = 1>(x, one) t = Mul(b, ten) y = Add(a, t)
    }"""
    source = graph(text, one=np.ones(6, np.float32), ten=np.float32(10))
    plan = make_plan(source, "gradient")
    ledger = Ledger(plan, {"x": X})
    values = dict(zip(needed(plan), [X] * 9, strict=False))
    assert set(values) >= {"x", "a", "b", "t"}
    kept: dict[Any, Any] = {}
    shares = walk(plan, values, X * 0 + 1, kept=kept, observe=ledger.observe, ledger=ledger.listen)
    np.testing.assert_array_equal(shares["x"], X * 0 + 32)
    names = [report.name for report in ledger.reports]
    assert len(names) == len(set(names)) == 3
    (report,) = [report for report in ledger.reports if report.op == "LayerNormalization"]
    assert (report.arrived, report.left) == (6 + 60, 6 * 32)


@pytest.mark.parametrize("target", [None, "m"])
def test_an_output_that_carries_nothing_is_refused_by_name(target: str | None) -> None:
    text = "(float[N, 6] x) => (float[N, 1] m) { y, m = LayerNormalization<axis = 1>(x, one) }"
    source = graph(text, one=np.ones(6, np.float32))
    with pytest.raises(
        UnsupportedError, match=r"output 1 of .*LayerNormalization, which carries no relevance"
    ):
        make_plan(source, "gradient", target)
