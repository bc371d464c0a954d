"""Scan and Loop: relevance goes back through their bodies, on both engines, as often as they ran."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onnxdtd import Explainer, InputError, TargetError, UnsupportedError, UsageError
from onnxdtd.theory.roots import find_roots
from onnxdtd.theory.scene import Scene
from tests.support.loops import (
    CELLS,
    GROWING,
    NESTED,
    POWERS,
    RECURRENT,
    SWITCHED,
    TURNED,
    cell_and_scan,
    fixed,
    loop_model,
)
from tests.support.model_text import model, run

RNG = np.random.default_rng(3)
X = {"x": RNG.standard_normal((2, 3))}
SERIES = {"x": RNG.standard_normal((5, 2, 3))}
BOTH = ("numpy", "onnx")

CASES: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "recurrent": (RECURRENT, SERIES, BOTH),
    "one step": (RECURRENT, {"x": SERIES["x"][:1]}, BOTH),
    "turned": (TURNED, {"x": RNG.standard_normal((2, 4, 5))}, BOTH),
    "all trips": (POWERS, {**X, "trips": 4, "most": 1e9}, BOTH),
    "early end": (POWERS, {**X, "trips": 10, "most": 12.0}, BOTH),
    "no trip": (POWERS, {**X, "trips": 0, "most": 1e9}, BOTH),
    "nested": (NESTED.replace("COUNT", "inner"), {**X, "trips": 3, "inner": 2}, BOTH),
    "nested, none inside": (NESTED.replace("COUNT", "inner"), {**X, "trips": 3, "inner": 0}, BOTH),
    "nested, as often as the step says": (NESTED.replace("COUNT", "i"), {**X, "trips": 4, "inner": 0}, ("numpy",)),
    "branches by step": (SWITCHED, {**X, "trips": 5}, BOTH),
    "growing": (GROWING, {**X, "trips": 4}, ("numpy",)),
    "growing, no trip": (GROWING, {**X, "trips": 0}, ("numpy",)),
}  # fmt: skip


def fed(feeds: dict[str, Any], kind: Any) -> dict[str, np.ndarray]:
    return {k: np.asarray(v, kind if k in ("x", "most") else np.int64) for k, v in feeds.items()}


def differences(text: str, feeds: dict[str, Any], step: float = 1e-6) -> np.ndarray:
    """Of the sum over the batch of the first output's first element, in float64."""
    proto, feeds = loop_model(text, double=True), fed(feeds, np.float64)

    def value(x: np.ndarray) -> float:
        (y, *_) = run(proto, {**feeds, "x": x})
        return float(y.reshape(len(y), -1)[:, 0].sum())

    slopes = np.zeros(feeds["x"].shape)
    for place in np.ndindex(*slopes.shape):
        ahead, behind = feeds["x"].copy(), feeds["x"].copy()
        ahead[place] += step
        behind[place] -= step
        slopes[place] = (value(ahead) - value(behind)) / (2 * step)
    return slopes


@pytest.mark.parametrize(
    ("name", "engine"), [(name, engine) for name, (*_, engines) in CASES.items() for engine in engines]
)
def test_the_gradient_is_that_of_differences(name: str, engine: Any) -> None:
    text, feeds, _ = CASES[name]
    e = Explainer(loop_model(text), "gradient", engine)(fed(feeds, np.float32), target=0)
    slopes = differences(text, feeds)
    np.testing.assert_allclose(e.relevance["x"], slopes, atol=2e-5 * abs(slopes).max())


@pytest.mark.parametrize("name", [name for name, (*_, engines) in CASES.items() if engines == BOTH])
def test_both_engines_answer_alike(name: str) -> None:
    text, feeds, _ = CASES[name]
    for method in ("epsilon_plus", "dtd", "attnlrp"):
        one, other = (
            Explainer(loop_model(text), method, engine)(fed(feeds, np.float32), target=0) for engine in BOTH
        )
        np.testing.assert_allclose(other.relevance["x"], one.relevance["x"], atol=1e-5)
        assert one.conservation.relative < 1e-5


def test_what_a_graph_cannot_stack_is_refused_by_name() -> None:
    for text in (GROWING, NESTED.replace("COUNT", "i")):
        explainer = Explainer(loop_model(text), "gradient", "onnx")
        with pytest.raises(UnsupportedError, match=r"' Loop .*a value inside may change its shape"):
            explainer.run()


def test_losses_inside_are_told_and_of_each_sample() -> None:
    """Biases in the body take their share; two samples together lose what each of them loses alone."""
    explainer = Explainer(loop_model(RECURRENT), "attnlrp")
    x = SERIES["x"].astype(np.float32)
    whole = explainer(x, target=0).conservation
    (loop,) = (node for node in whole.nodes if node.op == "Scan")
    assert abs(loop.lost["bias"]) > 0.01
    for i in range(2):
        alone = explainer(x[:, i : i + 1], target=0).conservation
        (single,) = (node for node in alone.nodes if node.op == "Scan")
        assert loop.sample(i).lost["bias"] == pytest.approx(single.lost["bias"], abs=1e-6)
        assert loop.sample(i).arrived == pytest.approx(single.arrived, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "feeds"),
    [
        (RECURRENT.replace("[T, ", "[5, "), SERIES),
        (TURNED, CASES["turned"][1]),
        (fixed(POWERS, trips=4, most=1e9).replace("Less(size, most)", "Identity(go)"), X),
        (fixed(NESTED.replace("COUNT", "inner"), trips=3, inner=2), X),
        (fixed(GROWING, trips=3), X),
    ],
    ids=["recurrent", "turned", "all trips", "nested", "growing"],
)
def test_a_loop_of_few_steps_is_those_steps(
    text: str, feeds: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is unrolled and what is called answers alike."""
    feeds = fed(feeds, np.float32)
    flat = [Explainer(loop_model(text), method) for method in ("epsilon_plus", "attnlrp", "gradient")]
    assert {node.body for node in flat[0].graph.nodes} == {None}
    monkeypatch.setattr(import_module("onnxdtd.model.canonise.unroll"), "MOST_STEPS", 0)
    for one in flat:
        called = Explainer(loop_model(text), one.method)
        assert any(node.body is not None for node in called.graph.nodes)
        expected = called(feeds, target=0).relevance["x"]
        r = one(feeds, target=0).relevance["x"]
        np.testing.assert_allclose(r, expected, atol=1e-5 * abs(expected).max())


def test_a_state_that_grows_compiles_where_the_number_of_steps_is_fixed() -> None:
    one, other = (Explainer(loop_model(fixed(GROWING, trips=3)), "attnlrp", engine) for engine in BOTH)
    x = fed(X, np.float32)
    np.testing.assert_allclose(other(x, target=0).relevance["x"], one(x, target=0).relevance["x"], atol=1e-6)


ENDLESS = """({f}[N, 3] x) => ({f}[N, 3] y) {{
  n, last = Loop <body = b (int64 i, bool go, {f}[N, 3] h) => (bool on, {f}[N, 3] g, {f}[N, 3] row) {{
    g = Mul(h, h) row = Relu(g) s = ReduceSum <keepdims = 0> (g) on = Less(s, most)
  }}> (, true, x)
  y = ASIDE
}}"""


@pytest.mark.parametrize("aside", ["Identity(n)", "Add(x, stopped)"], ids=["on the way", "beside it"])
@pytest.mark.parametrize("engine", BOTH)
def test_a_loop_without_a_bound_ends_at_the_limit(aside: str, engine: Any) -> None:
    """Whether or not relevance goes through it; what ends by itself is not in its way."""
    text = ENDLESS.replace("ASIDE", aside)
    if "stopped" in aside:
        text = text.replace("y = Add", "size = Floor(n) stopped = Mul(size, nil) y = Add")
    proto = loop_model(text)
    small, large = (np.full((1, 3), value, np.float32) for value in (0.5, 1.5))
    explainer = Explainer(proto, "gradient", engine, max_steps=50)
    with pytest.raises(
        InputError, match=r"^loop '.*' had not ended after 50 steps, the limit; .*--max-steps"
    ):
        explainer(small, target=0)
    assert np.isfinite(explainer(large, target=0).relevance["x"]).all()
    with pytest.raises(InputError, match="after 60 steps"):
        explainer.by(max_steps=60)(small, target=0)


@pytest.mark.parametrize("steps", [0, -1, 1.5, True, "5"])
def test_a_limit_is_a_number_of_steps(steps: Any) -> None:
    with pytest.raises(UsageError, match="max_steps is a number of 1 or more"):
        Explainer(loop_model(POWERS), max_steps=steps)


@pytest.mark.parametrize("op", CELLS)
def test_a_cell_written_as_a_scan_is_the_cell(op: str) -> None:
    """Under every method that gives the cell epsilon, and by its derivative."""
    cell, scan = map(Explainer, cell_and_scan(op))
    x = np.random.default_rng(0).standard_normal((13, 2, 3)).astype(np.float32)
    assert scan.plan().reason.startswith("recurrence")
    for method in ("attnlrp", "epsilon_plus", "epsilon_gamma"):
        expected, r = (e.by(method)(x, target=0).relevance["x"] for e in (cell, scan))
        np.testing.assert_allclose(r, expected, atol=1e-5 * max(1.0, abs(expected).max()))
    slopes, other = (e.by("gradient")(x, target=0).relevance["x"] for e in (cell, scan))
    np.testing.assert_allclose(other, slopes, atol=1e-6)


def test_a_cell_inside_a_loop_and_a_loop_inside_a_function() -> None:
    text = """({f}[5, 2, 3] x, int64 trips) => ({f}[2, 4] y) {{
      h0 = Constant <value = {f}[2, 4] {{0.1, -0.2, 0.3, 0.4, 0.5, -0.6, 0.7, -0.8}}> ()
      y = Loop <body = b (int64 i, bool go, {f}[2, 4] h) => (bool on, {f}[2, 4] g) {{
        on = Identity(go) s = Unsqueeze(h, place) rows, e = RNN <hidden_size = 4> (x, wk, rk, , , s)
        g = Squeeze(e, place)
      }}> (trips, true, h0)
    }}"""
    feeds = {"x": RNG.standard_normal((5, 2, 3)), "trips": 3}
    one, other = (
        Explainer(loop_model(text), "attnlrp", engine)(fed(feeds, np.float32), target=0) for engine in BOTH
    )
    np.testing.assert_allclose(other.relevance["x"], one.relevance["x"], atol=1e-6)
    assert np.abs(one.relevance["x"]).min() > 0
    assert one.conservation.relative < 1e-5
    head = '<ir_version: 8, opset_import: ["" : 17, "own" : 1]> m '
    calling = "(float[N, 3] x, int64 n) => (float[N, 3] y) { y = own.power(x, n) }"
    function = """<opset_import: ["" : 17], domain: "own"> power (a, n) => (z) {
      t = Constant <value = bool {1}> ()
      z = Loop <body = b (int64 i, bool go, float[N, 3] h) => (bool on, float[N, 3] k) {
        on = Identity(go) s = Add(h, a) k = Tanh(s) }> (n, t, a) }"""
    proto = onnx.parser.parse_model(head + calling + function)
    feeds = {**fed(X, np.float32), "n": np.asarray(3)}
    one, other = (Explainer(proto, "attnlrp", engine)(feeds, target=0) for engine in BOTH)
    np.testing.assert_allclose(other.relevance["x"], one.relevance["x"], atol=1e-6)
    assert one.conservation.relative < 1e-5


def test_tokens_are_looked_up_inside() -> None:
    """As torch exports a bag of embeddings: the body reads the tokens by name, and takes one by its counter."""
    text = """(int64[3] x) => ({f}[1, 3] y) {{
      none = Constant <value = {f}[1, 3] {{0.0, 0.0, 0.0}}> () trips = Constant <value_int = 3> ()
      y = Loop <body = b (int64 i, bool go, {f}[1, 3] h) => (bool on, {f}[1, 3] g) {{
        on = Identity(go) j = Unsqueeze(i, place) t = Gather(x, j) e = Gather(w3, t) g = Add(h, e)
      }}> (trips, true, none)
    }}"""
    tokens = np.array([2, 0, 1])
    expected = loop_model(text).graph.initializer
    table = next(numpy_helper.to_array(t) for t in expected if t.name == "w3")
    for engine in BOTH:
        e = Explainer(loop_model(text), "attnlrp", engine)({"x": tokens}, target=1)
        np.testing.assert_allclose(e.relevance["x"], table[tokens, 1], atol=1e-5)


def test_rules_are_given_by_name_inside_and_may_stop_there() -> None:
    x = SERIES["x"].astype(np.float32)
    explainer = Explainer(loop_model(RECURRENT), "attnlrp")
    (inner,) = (n for n, rule in explainer.plan().rules.items() if n.endswith("/MatMul_0"))
    changed = explainer.by(rules=[{"name": inner, "use": "gamma", "gamma": 0.5}], strict_rules=True)
    assert changed.plan().rules[inner] == "gamma(gamma=0.5)"
    assert np.abs(changed(x, target=0).relevance["x"] - explainer(x, target=0).relevance["x"]).max() > 1e-3
    with pytest.raises((UnsupportedError, TargetError)):
        explainer.by(rules=[{"name": inner, "use": "stop"}]).plan()


def test_theory_does_not_look_inside_and_says_so() -> None:
    x = SERIES["x"].astype(np.float32)
    explainer = Explainer(loop_model(RECURRENT), "epsilon_plus")
    (inner,) = (n for n in explainer.plan().rules if n.endswith("/MatMul_0"))
    with pytest.raises(
        UsageError, match="stands in the body of a loop, inside of which roots and regions do not"
    ):
        find_roots(Scene.of(explainer, x[:1], 0), inner)


def test_a_hundred_unrolled_steps_are_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is planned grows with the number of steps, no faster."""
    monkeypatch.setattr(import_module("onnxdtd.model.canonise.unroll"), "MOST_STEPS", 100)
    _, scan = cell_and_scan("RNN")
    scan.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 100
    x = np.random.default_rng(0).standard_normal((100, 1, 3)).astype(np.float32)
    unrolled = Explainer(scan, "attnlrp")
    assert len(unrolled.plan().steps) >= 500
    monkeypatch.setattr(import_module("onnxdtd.model.canonise.unroll"), "MOST_STEPS", 0)
    expected = Explainer(scan, "attnlrp")(x, target=0).relevance["x"]
    np.testing.assert_allclose(unrolled(x, target=0).relevance["x"], expected, atol=1e-6)


def test_scan_of_opset_8_and_loops_over_lists_are_refused_by_name() -> None:
    listed = """(float[N, 3] x, int64 trips) => (float[N, 3] y) {
      none = SequenceEmpty <dtype = 1> ()
      all = Loop <body = b (int64 i, bool go, seq(float[N, 3]) h) => (bool on, seq(float[N, 3]) g) {
        on = Identity(go) g = SequenceInsert(h, x) }> (trips, true, none)
      y = ConcatFromSequence <axis = 0> (all) }"""
    explainer = Explainer(model(listed, true=True))
    with pytest.raises(UnsupportedError, match=r"Loop .*not where states are lists of tensors"):
        explainer.plan()


def test_losses_inside_are_told_of_each_sample_where_the_batch_is_not_first() -> None:
    """The body has features first, samples second, as many of the one as of the other."""
    text = """({f}[T, 3, N] x) => ({f}[3, N] y) {{
      shape = Shape(x) n = Slice(shape, two, three) sizes = Concat <axis = 0> (three, n) h0 = Expand(zero, sizes)
      y, rows = Scan <num_scan_inputs = 1, body = b ({f}[3, N] h, {f}[3, N] u) => ({f}[3, N] g, {f}[3, N] row) {{
        a = MatMul(w3, u) c = Add(a, col) p = Add(c, h) g = Tanh(p) row = Identity(g) }}> (h0, x)
    }}"""
    explainer = Explainer(loop_model(text.replace("three", "fixed3")), "attnlrp")
    x = RNG.standard_normal((4, 3, 3)).astype(np.float32)
    whole = explainer(x, target=(0,)).conservation
    (loop,) = (node for node in whole.nodes if node.op == "Scan")
    for i in range(3):
        alone = explainer(x[:, :, i : i + 1], target=(0,)).conservation
        (single,) = (node for node in alone.nodes if node.op == "Scan")
        assert loop.sample(i).lost["bias"] == pytest.approx(single.lost["bias"], abs=1e-6)
