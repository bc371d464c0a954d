"""Taylor decomposition: exact on linear models, honest about residual, region and missing roots."""

from __future__ import annotations

import numpy as np
import pytest

import onnxdtd
from onnxdtd.errors import UsageError
from onnxdtd.passes.search import budget
from tests.passes.test_passes import LINEAR, W, X, digits, explained
from tests.passes.test_search import boxed, network
from tests.support.model_text import model
from tests.support.paths import MODELS


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


def test_a_fixed_batch_is_filled_up() -> None:
    fixed = model(
        "(double[2, 4] x) => (double[2, 3] y) { y = Gemm(x, w, b) }", w=W, b=np.array([0.5, -1.0, 2.0])
    )
    x = np.array([[0.0, -9.0, 0.0, 0.0], [-1.0, 2.0, 1.0, 3.0]])
    one, other = (explained(source, "taylor", x, 1) for source in (fixed, LINEAR))
    assert one.target_value[0] < 0 < one.target_value[1]
    np.testing.assert_allclose(one.relevance["x"], other.relevance["x"], rtol=1e-9)
    assert one.extras["region"] == [True, None]
    assert "the model's batch is fixed" in one.extras["region_verdict"][1]


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
        for n, reached in enumerate(e.extras["root_found"]):
            value, residual, remainder = (a[n] for a in (f(x), e.extras["residual"], e.extras["remainder"]))
            assert total[n] + residual + remainder == pytest.approx(value, rel=1e-9)
            assert reached == (abs(residual) <= 1e-3 * value)
            if reached:
                assert abs(residual) <= 2e-6 * value
            if reached and e.extras["region"][n]:
                inside += 1
                assert abs(remainder) <= 1e-5 * value
                assert e.extras["gradient_change"][n] < 1e-9
            else:
                assert any(w.startswith(f"sample {n}: ") for w in e.warnings)
    assert inside >= 3


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
