"""Taylor decomposition: exact on linear models, honest about residual, region and missing roots."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import onnxdtd
from onnxdtd.composed.passes import Passes
from onnxdtd.composed.plane import nearest_on_plane
from onnxdtd.composed.search import Best, Search, budget
from onnxdtd.errors import UsageError
from tests.model_text import model
from tests.test_composed import DIGIT, LINEAR, MODELS, W, X, digits, explained


def test_a_linear_model_has_one_root_and_it_is_exact() -> None:
    x, g = X * [[-1, -1, -1, 1], [3, 1, 1, 1]], W[:, 2]
    e = explained(LINEAR, "taylor", x, 2)
    f = x @ g + 2
    assert (f > 0).all()
    root = x - (f / (g @ g))[:, None] * g
    np.testing.assert_allclose(e.extras["distance"], f / np.linalg.norm(g), rtol=1e-9)
    np.testing.assert_allclose(e.relevance["x"], g * (x - root), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(e.relevance["x"].sum(axis=1), f, rtol=1e-9)
    np.testing.assert_allclose([*e.extras["residual"], *e.extras["remainder"]], 0, atol=1e-9)
    assert e.extras["root_found"] == e.extras["region"] == [True, True]
    assert e.extras["region_verdict"] == ["inside", "inside"]
    assert e.warnings == ()


def boxed(x: np.ndarray, g: np.ndarray, drop: float, low: float, high: float) -> np.ndarray | None:
    """The nearest point by trying which elements stand at which wall: 3^D cases, each solved in closed form."""
    best = None
    for case in itertools.product((0, 1, 2), repeat=len(x)):
        free = np.array(case) == 0
        point = np.where(np.array(case) == 1, low, np.where(np.array(case) == 2, high, x))
        left = drop - g @ (x - point)
        if not free.any() or not g[free].any():
            if abs(left) > 1e-12:
                continue
        else:
            point = np.where(free, x - left / (g[free] @ g[free]) * g, point)
        inside = (point >= low - 1e-12).all() and (point <= high + 1e-12).all()
        if inside and (best is None or np.linalg.norm(point - x) < np.linalg.norm(best - x)):
            best = point
    return best


def test_the_nearest_point_of_the_plane_in_the_box(rng: np.random.Generator) -> None:
    unreachable = 0
    for _ in range(200):
        x, g = rng.random(4), rng.standard_normal(4) * (rng.random(4) > 0.2)
        drop = 1.5 * rng.standard_normal()
        expected = boxed(x, g, drop, 0, 1)
        found = nearest_on_plane(x, g, drop, np.zeros(4), np.ones(4))
        assert (found >= 0).all()
        assert (found <= 1).all()
        if expected is None:
            unreachable += 1
            corner = np.where(g * np.sign(drop) > 0, 0.0, np.where(g == 0, x, 1.0))
            np.testing.assert_array_equal(found, corner)
        else:
            np.testing.assert_allclose(found, expected, atol=1e-9)
    assert 10 < unreachable < 190


def test_the_root_stays_inside_the_range(rng: np.random.Generator) -> None:
    g = np.array([2.0, -1.0, 0.5, 1.0])
    source = model(
        "(double[N, 4] x) => (double[N, 1] y) { y = Gemm(x, w, b) }", w=g[:, None], b=np.array([-0.3])
    )
    for x in rng.random((10, 4)):
        f = g @ x - 0.3
        if f <= 0:
            continue
        e = explained(source, "taylor", x[None], 0, input_range=(0, 1))
        root = x - np.divide(e.relevance["x"][0], g)
        np.testing.assert_allclose(root, boxed(x, g, f, 0, 1), atol=1e-7)


def test_a_model_without_a_root_in_the_range_says_so() -> None:
    source = model("(double[N, 2] x) => (double[N, 1] y) { s = MatMul(x, w) y = Add(s, b) }",
                   w=np.ones((2, 1)), b=np.array([5.0]))  # fmt: skip
    x = np.array([[0.5, 1.0], [0.25, 0.0]])
    e = explained(source, "taylor", x, 0, input_range=(0, 1))
    assert e.extras["root_found"] == [False, False]
    np.testing.assert_allclose(e.extras["residual"], 5, atol=1e-6)
    np.testing.assert_allclose(e.relevance["x"], x, atol=1e-6)
    assert [w.split(";")[0] for w in e.warnings] == [
        f"sample {n}: no root found in the input's range" for n in (0, 1)
    ]
    assert "5 of 6.5. Relevance is expanded there" in e.warnings[0]
    wider = explained(source, "taylor", x, 0, input_range=(-5, 1))
    assert wider.extras["root_found"] == [True, True]
    assert wider.warnings == ()


def test_nothing_to_explain_is_said() -> None:
    e = explained(LINEAR, "taylor", np.array([[0.0, -9.0, 0.0, 0.0]]), 1)
    assert e.target_value[0] < 0
    assert not e.relevance["x"].any()
    assert e.seed[0] == 0
    assert "not positive, so there is nothing to explain" in e.warnings[0]


def test_a_flat_zero_is_met_at_its_edge_with_the_slope_before_it() -> None:
    """f = max(0, x_1) + max(0, x_2) never changes its sign; at (2, -3) its nearest root is (0, -3), R = (2, 0)."""
    source = model("(double[N, 2] x) => (double[N, 1] y) { r = Relu(x) y = MatMul(r, w) }", w=np.ones((2, 1)))
    e = explained(source, "taylor", np.array([[2.0, -3.0]]), 0)
    np.testing.assert_allclose(e.relevance["x"], [[2, 0]], atol=1e-6)
    assert e.extras["distance"] == [pytest.approx(2)]
    assert e.extras["region"] == [True]
    # The nearest root of (1, 2) is the corner (0, 0), which the search nears within its steps.
    corner = explained(source, "taylor", np.array([[1.0, 2.0]]), 0)
    assert np.sqrt(5) <= corner.extras["distance"][0] < 1.02 * np.sqrt(5)
    assert corner.extras["root_found"] == [True]


def test_a_root_inside_a_flat_zero_is_moved_to_its_edge() -> None:
    source = model("(double[N, 2] x) => (double[N, 1] y) { r = Relu(x) y = MatMul(r, w) }", w=np.ones((2, 1)))
    passes = Passes(onnxdtd.Explainer(source, "taylor"), np.array([[2.0, -3.0]]), 0)
    search = Search(passes, passes.all)
    found = search.exact(Best(search.origin, search.zero, np.array([[-2.0, -3.0]]), np.zeros(1)))
    np.testing.assert_allclose(found.point, [[0, -3]], atol=0.003)
    assert found.value == 0


def test_refining_comes_nearer_and_never_goes_back(rng: np.random.Generator) -> None:
    before, after = [], []
    for _ in range(10):
        source, f = network(rng, 4)
        x = rng.uniform(-1, 1, (20, 4))
        x = x[f(x) > 0.05][:5]
        passes = Passes(onnxdtd.Explainer(source, "taylor"), x, 0)
        search = Search(passes, passes.all)
        best = search.exact(search.descend(search.start(0, 0), 5))
        there = np.abs(best.value) <= search.zero
        before += np.linalg.norm(best.point - x, axis=1)[there].tolist()
        after += np.linalg.norm(search.refine(best).point - x, axis=1)[there].tolist()
    gains = 1 - np.array(after) / np.array(before)
    assert len(gains) > 15
    assert (gains >= 0).all()
    assert gains.max() > 0.01


def test_a_fixed_batch_is_filled_up() -> None:
    fixed = model(
        "(double[2, 4] x) => (double[2, 3] y) { y = Gemm(x, w, b) }", w=W, b=np.array([0.5, -1.0, 2.0])
    )
    x = np.array([[0.0, -9.0, 0.0, 0.0], X[0]])
    one, other = (explained(source, "taylor", x, 1) for source in (fixed, LINEAR))
    assert one.target_value[0] < 0 < one.target_value[1]
    np.testing.assert_allclose(one.relevance["x"], other.relevance["x"], rtol=1e-9)
    assert one.extras["region"] == [True, None]
    assert "the model's batch is fixed" in one.extras["region_verdict"][1]


def network(rng: np.random.Generator, inputs: int) -> tuple[Any, Any]:
    """A random ReLU network of two layers, as a model and as a function."""
    w, b = rng.standard_normal((inputs, 12)), rng.standard_normal(12) * 0.3
    u, c = rng.standard_normal((12, 1)), rng.standard_normal(1) * 0.3
    text = (
        f"(double[N, {inputs}] x) => (double[N, 1] y) {{ h = Gemm(x, w, b) r = Relu(h) y = Gemm(r, u, c) }}"
    )
    return model(text, w=w, b=b, u=u, c=c), lambda x: (np.maximum(x @ w + b, 0) @ u + c)[..., 0]


def test_relu_networks_have_small_residuals_and_true_verdicts(rng: np.random.Generator) -> None:
    inside = 0
    for _ in range(12):
        source, f = network(rng, 5)
        x = rng.uniform(-1, 1, (20, 5))
        x = x[f(x) > 0.05][:6]
        if not len(x):
            continue
        e = explained(source, "taylor", x, 0, input_range=(-2, 2))
        total = e.relevance["x"].sum(axis=1)
        for n, found in enumerate(e.extras["root_found"]):
            value, residual, remainder = (a[n] for a in (f(x), e.extras["residual"], e.extras["remainder"]))
            assert total[n] + residual + remainder == pytest.approx(value, rel=1e-9)
            assert found == (abs(residual) <= 1e-3 * value)
            if found:
                assert abs(residual) <= 2e-6 * value
            if found and e.extras["region"][n]:
                inside += 1
                assert abs(remainder) <= 1e-5 * value
                assert e.extras["gradient_change"][n] < 1e-9
            else:
                assert any(w.startswith(f"sample {n}: ") for w in e.warnings)
    assert inside >= 3


def test_the_root_is_nearly_the_nearest_in_two_dimensions(rng: np.random.Generator) -> None:
    """Against a grid of 401 x 401 points: never nearer than the truth, and rarely much farther."""
    axis = np.linspace(-2, 2, 401)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    ratios, missed = [], 0
    for _ in range(15):
        source, f = network(rng, 2)
        values = f(grid)
        x = rng.uniform(-1, 1, (4, 2))
        x = x[f(x) > 0.05]
        if (values > 0).all() or not len(x):
            continue
        e = explained(source, "taylor", x, 0, input_range=(-2, 2))
        for point, distance, found in zip(x, e.extras["distance"], e.extras["root_found"], strict=True):
            truth = np.linalg.norm(grid[values <= 0] - point, axis=1).min()
            if not found:
                missed += 1
                continue
            assert distance >= truth - 0.015  # the grid's own error: a diagonal
            ratios.append(distance / truth)
    assert len(ratios) > 15
    assert missed <= 2
    assert np.median(ratios) < 1.005
    assert np.mean(np.array(ratios) < 1.02) > 0.8
    assert np.mean(np.array(ratios) < 1.1) > 0.9


def test_smooth_models_have_no_region() -> None:
    source = model("(double[N, 4] x) => (double[N, 1] y) { t = Tanh(x) y = Gemm(t, w, b) }",
                   w=W[:, :1], b=np.array([0.2]))  # fmt: skip
    e = explained(source, "taylor", X[:1], 0)
    assert e.extras["region"] == [None]
    assert "no region: remainder" in e.extras["region_verdict"][0]
    assert abs(e.extras["remainder"][0]) > 1e-3


def test_roots_of_digits() -> None:
    x = digits(3)
    e = explained(MODELS / "mnist_cnn.onnx", "taylor", x, None, "onnx", restarts=1)
    explainer = onnxdtd.Explainer(MODELS / "mnist_cnn.onnx", "taylor", "onnx", options={"restarts": 1})
    assert e.extras["root_found"] == [True] * 3
    most = budget(3, 25, 1)
    assert e.extras["gradients"] <= most[0] + 6
    assert e.extras["forwards"] <= most[1]
    np.testing.assert_allclose(e.extras["residual"] / e.target_value, 0, atol=1e-5)
    alone = explainer(x[1:2])
    assert alone.extras["distance"][0] == pytest.approx(e.extras["distance"][1], rel=0.05)
    assert alone == explainer(x[1:2])


def test_wrong_options_are_refused() -> None:
    for options in ({"steps": 0}, {"restarts": 0}, {"tolerance": 0.0}):
        with pytest.raises(UsageError, match="taylor takes steps >= 1, restarts >= 1, tolerance > 0"):
            explained(LINEAR, "taylor", X, **options)


def test_passes_know_their_range() -> None:
    passes = Passes(onnxdtd.Explainer(MODELS / "mnist_cnn.onnx", "taylor"), DIGIT, None)
    assert passes.low.shape == passes.high.shape == (1, 784)
    assert (passes.low.min(), passes.high.max()) == (0, 1)
