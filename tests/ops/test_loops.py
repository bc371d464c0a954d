"""Scan and Loop: relevance goes back through their bodies, on both engines, as often as they ran."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest

from onnxdtd import Explainer, InputError, UnsupportedError, UsageError
from tests.support.loops import GROWING, NESTED, POWERS, RECURRENT, SWITCHED, TURNED, fixed, loop_model
from tests.support.model_text import run

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
