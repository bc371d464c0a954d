"""Sensitivity, integrated gradients, SmoothGrad and occlusion: closed forms, completeness, seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import onnxdtd
from tests.support.model_text import model
from tests.support.paths import MODELS

DIGIT = np.load(MODELS / "mnist_digit.npy")
W = np.array([[1.0, -2.0, 0.5], [3.0, 0.25, -1.0], [-1.5, 2.0, 4.0], [0.0, 1.0, 1.0]])
LINEAR = model(
    "(double[N, 4] x) => (double[N, 3] y) { y = Gemm(x, w, b) }", w=W, b=np.array([0.5, -1.0, 2.0])
)
X = np.array([[1.0, 2.0, -0.5, 3.0], [0.2, 0.0, 2.0, -1.0]])


def explained(
    source: Any, method: str, x: np.ndarray, target: Any = 1, engine: str = "numpy", **options: Any
) -> Any:
    """An explanation by a method with its options."""
    input_range = options.pop("input_range", None)
    return onnxdtd.Explainer(source, method, engine, input_range=input_range, options=options)(x, target)


def digits(count: int) -> np.ndarray:
    return np.load(MODELS / "mnist_heldout.npz")["images"][:count, None].astype(np.float32) / 255


def test_sensitivity_is_the_squared_gradient() -> None:
    e = explained(LINEAR, "sensitivity", X)
    np.testing.assert_allclose(e.relevance["x"], np.tile(W[:, 1] ** 2, (2, 1)))
    slope = explained(MODELS / "mnist_cnn.onnx", "gradient", DIGIT, 3).relevance["image"]
    for engine in ("numpy", "onnx"):
        relevance = explained(MODELS / "mnist_cnn.onnx", "sensitivity", DIGIT, 3, engine).relevance["image"]
        np.testing.assert_allclose(relevance, slope**2, rtol=1e-4, atol=1e-4 * (slope**2).max())
        assert relevance.sum() == pytest.approx((slope**2).sum(), rel=1e-4)


@pytest.mark.parametrize("rule", ["midpoint", "trapezoid"])
@pytest.mark.parametrize("steps", [1, 5])
def test_integrated_gradients_of_a_linear_model_is_gradient_x_input(rule: str, steps: int) -> None:
    e = explained(LINEAR, "integrated_gradients", X, rule=rule, steps=steps)
    np.testing.assert_allclose(e.relevance["x"], W[:, 1] * X, rtol=1e-12)
    np.testing.assert_allclose(e.extras["completeness_error"], 0, atol=1e-12)
    b = np.array([0.0, 1.0, 2.0, 3.0])
    from_b = explained(LINEAR, "integrated_gradients", X, rule=rule, steps=steps, baseline=b)
    np.testing.assert_allclose(from_b.relevance["x"], W[:, 1] * (X - b), rtol=1e-12)
    np.testing.assert_allclose(from_b.extras["baseline_value"], b @ W[:, 1] - 1)
    np.testing.assert_allclose(from_b.seed, from_b.target_value - (b @ W[:, 1] - 1))


def test_quadratures_differ_where_the_gradient_does() -> None:
    """f = tanh(x) at 2: a midpoint gives 2 (1 - tanh(1)^2), a trapezoid 1 + (1 - tanh(2)^2), many tanh(2)."""
    source = model("(double[N, 1] x) => (double[N, 1] y) { y = Tanh(x) }")
    x = np.array([[2.0]])
    rows = {("midpoint", 1): 2 * (1 - np.tanh(1) ** 2), ("trapezoid", 1): 2 - np.tanh(2) ** 2}
    rows |= {("midpoint", 400): np.tanh(2), ("trapezoid", 400): np.tanh(2)}
    for (rule, steps), expected in rows.items():
        e = explained(source, "integrated_gradients", x, 0, rule=rule, steps=steps)
        assert e.relevance["x"][0, 0] == pytest.approx(expected, rel=1e-5)
        assert e.extras["completeness_error"][0] == pytest.approx(expected - np.tanh(2), abs=1e-5)
        assert bool(e.warnings) == (steps == 1)


def test_integrated_gradients_is_complete_on_the_cnn() -> None:
    x = digits(3)
    errors = []
    for steps in (16, 256):
        e = explained(MODELS / "mnist_cnn.onnx", "integrated_gradients", x, None, "onnx", steps=steps)
        total = e.relevance["image"].sum(axis=(1, 2, 3), dtype=np.float64)
        change = e.target_value - np.array(e.extras["baseline_value"])
        np.testing.assert_allclose(total - change, e.extras["completeness_error"], atol=1e-3)
        errors.append(np.abs(total - change).max() / np.abs(change).min())
    assert errors[1] < 0.002
    assert errors[1] < errors[0]


def test_smoothgrad_without_noise_is_the_gradient() -> None:
    slope = explained(MODELS / "mnist_cnn.onnx", "gradient", DIGIT, 3).relevance["image"]
    for squared in (False, True):
        e = explained(
            MODELS / "mnist_cnn.onnx", "smoothgrad", DIGIT, 3, sigma=0.0, samples=3, squared=squared
        )
        np.testing.assert_allclose(e.relevance["image"], slope**2 if squared else slope, rtol=1e-4, atol=1e-5)
        assert e.extras["standard_error"][0] < 1e-5


def test_smoothgrad_of_a_kink_is_the_share_of_noise_beyond_it() -> None:
    """f = max(0, x) at 0.1 with noise of deviation 0.1: the slope's mean is P(noise > -1 deviation) = 0.8413."""
    source = model("(double[N, 1] x) => (double[N, 1] y) { y = Relu(x) }")
    e = explained(
        source, "smoothgrad", np.array([[0.1]]), 0, sigma=0.05, samples=4000, input_range=(-1, 1), batch=500
    )
    assert e.relevance["x"][0, 0] == pytest.approx(0.8413, abs=0.02)
    assert e.extras["standard_error"][0] == pytest.approx(np.sqrt(0.8413 * 0.1587 / 4000) / 0.8413, rel=0.05)


def test_smoothgrad_seeds() -> None:
    one, same, other = (
        explained(
            MODELS / "wine_mlp.onnx", "smoothgrad", np.load(MODELS / "wine_sample.npy"), None, seed=seed
        )
        for seed in (1, 1, 2)
    )
    assert one == same
    assert np.abs(one.relevance["input"] - other.relevance["input"]).max() > 1e-4


def test_noise_follows_the_range_or_the_spread_of_each_input(rng: np.random.Generator) -> None:
    source = model("(double[N, 2] a, double[N, 2] b) => (double[N, 2] y) { y = Add(a, b) }")
    feeds = {"a": np.array([[0.0, 10.0]]), "b": np.array([[3.0, 4.0]])}
    seen: list[dict[str, np.ndarray]] = []
    explainer = onnxdtd.Explainer(
        source, "smoothgrad", input_range={"a": (0, 2)}, options={"samples": 500, "sigma": 0.5}
    )
    run = explainer.run("y")

    def watched(batch: dict[str, np.ndarray], *rest: object) -> object:
        seen.append(batch)
        return run(batch, *rest)

    watched.engine, watched.plan = run.engine, run.plan  # type: ignore[attr-defined]
    explainer.run = lambda *_: watched  # type: ignore[assignment, method-assign, return-value]
    explainer(feeds, 0)
    noise = {name: np.concatenate([batch[name] for batch in seen[1:]]) - feeds[name] for name in feeds}
    assert noise["a"].std() == pytest.approx(1.0, rel=0.1)
    assert noise["b"].std() == pytest.approx(0.5, rel=0.1)


def test_occlusion_of_a_linear_model_is_gradient_x_input() -> None:
    e = explained(LINEAR, "occlusion", X)
    np.testing.assert_allclose(e.relevance["x"], W[:, 1] * X, rtol=1e-12, atol=1e-15)
    assert e.extras["patches"] == 4
    b = np.array([0.0, 1.0, 2.0, 3.0])
    np.testing.assert_allclose(
        explained(LINEAR, "occlusion", X, baseline={"x": b}).relevance["x"],
        W[:, 1] * (X - b),
        rtol=1e-12,
        atol=1e-15,
    )


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_occlusion_of_a_linear_image(layout: str, rng: np.random.Generator) -> None:
    shape = (2, 5, 7) if layout == "NCHW" else (5, 7, 2)
    w, x = rng.standard_normal((70, 1)), rng.standard_normal((1, *shape))
    axes = ", ".join(map(str, shape))
    text = f"(double[N, {axes}] x) => (double[N, 1] y) {{ v = Flatten(x) y = MatMul(v, w) }}"
    source, exact = model(text, w=w), w.reshape(shape) * x
    each = explained(source, "occlusion", x, 0, patch=1, channels="each").relevance["x"]
    np.testing.assert_allclose(each, exact, rtol=1e-9, atol=1e-12)
    channel = 1 if layout == "NCHW" else 3
    together = explained(source, "occlusion", x, 0, patch=1).relevance["x"]
    np.testing.assert_allclose(
        together, np.broadcast_to(exact.mean(channel, keepdims=True), exact.shape), atol=1e-12
    )
    tiles = explained(source, "occlusion", x, 0, patch=(5, 7), stride=(5, 7))
    assert tiles.extras["patches"] == 1
    np.testing.assert_allclose(tiles.relevance["x"], exact.sum() / 70, rtol=1e-9)
    # Windows of 3 x 4 with stride 2, by hand: rows at 0, 2; columns at 0, 2, 3 (the last one ends at the border).
    plane = exact.sum(channel)[0]
    total, count = np.zeros((5, 7)), np.zeros((5, 7))
    for i in (0, 2):
        for j in (0, 2, 3):
            total[i : i + 3, j : j + 4] += plane[i : i + 3, j : j + 4].sum() / 24
            count[i : i + 3, j : j + 4] += 1
    explanation = explained(source, "occlusion", x, 0, patch=[3, 4], stride=2)
    np.testing.assert_allclose(
        np.take(explanation.relevance["x"][0], 0, axis=channel - 1), total / count, rtol=1e-9
    )
    np.testing.assert_allclose(explanation.extras["sum_of_losses"], [2 * total.sum()], rtol=1e-9)
