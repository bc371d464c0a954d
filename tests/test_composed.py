"""Methods of many passes: closed forms, batches, engines, seeds, options, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxdtd
from onnxdtd.composed.passes import Passes
from onnxdtd.errors import TargetError, UsageError
from tests.model_text import model

MODELS = Path(__file__).parent.parent / "models"
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
    given = options.pop("input_range", None)
    return onnxdtd.Explainer(source, method, engine, input_range=given, options=options)(x, target)


def digits(count: int) -> np.ndarray:
    return np.load(MODELS / "mnist_heldout.npz")["images"][:count, None].astype(np.float32) / 255


def test_sensitivity_is_the_squared_gradient() -> None:
    e = explained(LINEAR, "sensitivity", X)
    np.testing.assert_allclose(e.relevance["x"], np.tile(W[:, 1] ** 2, (2, 1)))
    slope = explained(MODELS / "mnist_cnn.onnx", "gradient", DIGIT, 3).relevance["image"]
    for engine in ("numpy", "onnx"):
        found = explained(MODELS / "mnist_cnn.onnx", "sensitivity", DIGIT, 3, engine).relevance["image"]
        np.testing.assert_allclose(found, slope**2, rtol=1e-4, atol=1e-4 * (slope**2).max())
        assert found.sum() == pytest.approx((slope**2).sum(), rel=1e-4)


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
    """f = tanh(x) at 2: one midpoint gives 2 (1 - tanh(1)^2), one trapezoid 1 + (1 - tanh(2)^2), many give tanh(2)."""
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
    explainer._runs["y"] = lambda given, *rest: seen.append(given) or run(given, *rest)  # type: ignore[assignment,func-returns-value]
    explainer(feeds, 0)
    noise = {name: np.concatenate([given[name] for given in seen[1:]]) - feeds[name] for name in feeds}
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
    text = f"(double[N, {shape[0]}, {shape[1]}, {shape[2]}] x) => (double[N, 1] y) {{ v = Flatten(x) y = MatMul(v, w) }}"
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
    found = explained(source, "occlusion", x, 0, patch=[3, 4], stride=2)
    np.testing.assert_allclose(
        np.take(found.relevance["x"][0], 0, axis=channel - 1), total / count, rtol=1e-9
    )
    np.testing.assert_allclose(found.extras["sum_of_losses"], [(total * 24 / 24).sum()], rtol=1e-9)


METHODS = {
    "integrated_gradients": {"steps": 7},
    "smoothgrad": {"samples": 5},
    "occlusion": {"patch": 9},
    "grad_cam": {},
}


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
@pytest.mark.parametrize("method", METHODS)
def test_a_batch_is_its_samples_one_by_one(method: str, engine: str) -> None:
    x = digits(5)
    explainer = onnxdtd.Explainer(MODELS / "mnist_cnn.onnx", method, engine, options=METHODS[method])
    targets = [1, 2, 3, 4, 5]
    whole = explainer(x, targets)
    for n in range(5):
        alone = explainer(x[n : n + 1], [targets[n]])
        scale = np.abs(alone.relevance["image"]).max()
        np.testing.assert_allclose(
            whole.relevance["image"][n], alone.relevance["image"][0], rtol=1e-4, atol=1e-4 * scale
        )
        assert whole.target[n] == alone.target[0]


@pytest.mark.parametrize("name", ["mnist_cnn.onnx", "mnist_resnet.onnx", "mnist_keras.onnx"])
@pytest.mark.parametrize("method", METHODS)
def test_engines_agree(name: str, method: str) -> None:
    x = DIGIT if "keras" not in name else np.load(MODELS / "mnist_digit_nhwc.npy")
    one, other = (
        explained(MODELS / name, method, x, None, engine, **METHODS[method]) for engine in ("numpy", "onnx")
    )
    assert (one.engine, other.engine) == ("numpy", "onnx")
    for key, r in one.relevance.items():
        assert r.shape == x.shape
        assert r.dtype == x.dtype
        np.testing.assert_allclose(other.relevance[key], r, rtol=1e-3, atol=1e-3 * np.abs(r).max())


def test_a_fixed_batch_is_filled_up(rng: np.random.Generator) -> None:
    w = rng.standard_normal((4, 3))
    fixed = model("(double[2, 4] x) => (double[2, 3] y) { h = MatMul(x, w) y = Tanh(h) }", w=w)
    free = model("(double[N, 4] x) => (double[N, 3] y) { h = MatMul(x, w) y = Tanh(h) }", w=w)
    for method, options in {
        "integrated_gradients": {"steps": 5},
        "occlusion": {},
        "smoothgrad": {"samples": 3},
    }.items():
        one, other = (
            explained(source, method, X, [0, 2], **options).relevance["x"] for source in (fixed, free)
        )
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_outputs_of_rank_one_and_three(rng: np.random.Generator) -> None:
    w = rng.standard_normal((4, 3))
    flat = model(
        "(double[N, 4] x) => (double[N] y) { s = Tanh(x) y = ReduceSum<keepdims=0>(s, a) }", a=np.array([1])
    )
    e = explained(flat, "integrated_gradients", X, None, steps=500)
    np.testing.assert_allclose(e.relevance["x"], np.tanh(X), atol=1e-4)
    deep = model("(double[N, 2, 4] x) => (double[N, 2, 3] y) { y = MatMul(x, w) }", w=w)
    x = rng.standard_normal((2, 2, 4))
    e = explained(deep, "integrated_gradients", x, (1, 2), steps=2)
    np.testing.assert_allclose(
        e.relevance["x"], np.stack([np.zeros((2, 4)), w[:, 2] * x[:, 1]], axis=1), atol=1e-12
    )
    with pytest.raises(TargetError, match="explains one element of each sample, not 2; give one index"):
        explained(deep, "integrated_gradients", x, None)


def test_integers_stay_as_they_are() -> None:
    source = model("(double[N, 3] x, int64[N, 3] k) => (double[N, 3] y) { c = Cast<to=11>(k) y = Mul(x, c) }")
    feeds = {"x": np.array([[1.0, 2, 3], [4, 5, 6]]), "k": np.array([[2, 3, 4], [5, 6, 7]])}
    for method in ("integrated_gradients", "occlusion"):
        e = explained(source, method, feeds, [0, 2], batch=1)
        np.testing.assert_allclose(e.relevance["x"], [[2, 0, 0], [0, 0, 42]])


def test_progress_counts_to_its_total() -> None:
    for method in sorted(onnxdtd.COMPOSED):
        if method == "natural":
            continue
        told: list[tuple[int, int]] = []
        explainer = onnxdtd.Explainer(
            MODELS / "mnist_cnn.onnx", method, "numpy", options=METHODS.get(method, {})
        )
        explainer(DIGIT, progress=lambda done, total, told=told: told.append((done, total)))
        done, totals = [d for d, _ in told], {t for _, t in told}
        assert done == sorted(done), method
        assert totals == {done[-1]}, method


def test_what_else_was_found_is_saved(tmp_path: Path) -> None:
    e = explained(LINEAR, "integrated_gradients", X, steps=3)
    e.save(tmp_path / "out")
    back = onnxdtd.Explanation.load(tmp_path / "out")
    assert back == e
    assert back.extras["steps"] == 3
    assert back.extras["baseline_value"] == e.extras["baseline_value"]
    assert (back.method, back.nodes) == ("integrated_gradients", ())


def test_wrong_options_are_refused() -> None:
    with pytest.raises(
        UsageError, match=r"integrated_gradients has no option step; it takes baseline, steps, rule, batch"
    ):
        onnxdtd.Explainer(LINEAR, "integrated_gradients", options={"step": 3})
    with pytest.raises(UsageError, match="dtd has no option steps; it takes none"):
        onnxdtd.Explainer(LINEAR, "dtd", options={"steps": 3})
    with pytest.raises(UsageError, match="no method 'magic'.* occlusion, .*taylor"):
        onnxdtd.explain(LINEAR, X, method="magic")
    rows = [
        ("integrated_gradients", {"steps": 0}, "steps >= 1"),
        ("integrated_gradients", {"rule": "simpson"}, "midpoint or trapezoid"),
        (
            "integrated_gradients",
            {"baseline": np.ones(3)},
            r"baseline of 'x' has shape \(3,\), the input \(2, 4\)",
        ),
        ("integrated_gradients", {"baseline": {"z": 1}}, "baseline names 'z'; the explained inputs are 'x'"),
        ("integrated_gradients", {"batch": 0}, "at least 1, not 0"),
        ("smoothgrad", {"sigma": -1}, "sigma >= 0"),
        ("smoothgrad", {"samples": 0}, "samples >= 1"),
        ("occlusion", {"patch": 2, "stride": 3}, "leaves gaps"),
        ("occlusion", {"patch": (1, 2)}, "patch is a positive number, or 1 of them"),
        ("occlusion", {"channels": "some"}, "together or each"),
        ("occlusion", {"layout": "NCHW"}, "does not fit one sample"),
    ]
    for method, options, message in rows:
        with pytest.raises(UsageError, match=message):
            explained(LINEAR, method, X, **options)
    odd = model("(double[N, 2, 5, 6, 7] x) => (double[N, 420] y) { y = Flatten(x) }")
    with pytest.raises(UsageError, match=r"input 'x' of shape \(2, 5, 6, 7\): give layout="):
        explained(odd, "occlusion", np.ones((1, 2, 5, 6, 7)), 0)


def test_chunks_fit_in_memory() -> None:
    big = onnxdtd.Explainer(MODELS / "efficientnet_lite0.onnx", "integrated_gradients")
    small = onnxdtd.Explainer(MODELS / "mnist_cnn.onnx", "integrated_gradients")
    x = np.zeros((1, *big.inputs["image"].shape[1:]), np.float32)
    assert 1 <= max(len(rows) for rows in Passes(big, x, 0).chunks(100)) <= 8
    assert max(len(rows) for rows in Passes(small, DIGIT, 0).chunks(100)) == 32
