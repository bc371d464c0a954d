"""What all methods of many passes share: batches, engines, targets, progress, options, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import onnxdtd
from onnxdtd.errors import TargetError, UnsupportedError, UsageError
from onnxdtd.passes.passes import Passes
from tests.passes.test_passes import DIGIT, LINEAR, X, digits, explained
from tests.support.model_text import model
from tests.support.paths import MODELS

METHODS = {
    "integrated_gradients": {"steps": 7},
    "smoothgrad": {"samples": 5},
    "occlusion": {"patch": 9},
    "grad_cam": {},
    "grad_cam_plus_plus": {},
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


def test_tokens_alone_cannot_be_moved() -> None:
    source = model("(int64[N, 3] k) => (double[N, 3] y) { c = Cast<to=11>(k) y = Tanh(c) }")
    for method in ("integrated_gradients", "smoothgrad", "occlusion", "taylor"):
        with pytest.raises(UnsupportedError, match="integers cannot be moved so"):
            explained(source, method, {"k": np.array([[1, 2, 3]])}, 0)
    e = explained(source, "natural", {"k": np.array([[1, 2, 3]])}, 0)
    np.testing.assert_allclose(e.relevance["k"], [[np.tanh(1), 0, 0]])


def test_progress_counts_to_its_total() -> None:
    for method in METHODS:
        reports: list[tuple[int, int]] = []
        explainer = onnxdtd.Explainer(MODELS / "mnist_cnn.onnx", method, "numpy", options=METHODS[method])
        explainer(DIGIT, progress=lambda done, total, reports=reports: reports.append((done, total)))
        done, totals = [d for d, _ in reports], {t for _, t in reports}
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
        UsageError,
        match=r"integrated_gradients has no option step; it takes baseline, baseline_token, steps, rule, batch",
    ):
        onnxdtd.Explainer(LINEAR, "integrated_gradients", options={"step": 3})
    with pytest.raises(UsageError, match="dtd has no option steps; it takes none"):
        onnxdtd.Explainer(LINEAR, "dtd", options={"steps": 3})
    with pytest.raises(UsageError, match=r"no method 'magic'.* occlusion, .*taylor"):
        onnxdtd.explain(LINEAR, X, method="magic")
    rows = [
        ("integrated_gradients", {"steps": 0}, "steps >= 1"),
        ("integrated_gradients", {"rule": "simpson"}, "midpoint or trapezoid"),
        (
            "integrated_gradients",
            {"baseline": np.ones(3)},
            r"baseline of 'x' must be a number .* shape \(2, 4\)",
        ),
        ("integrated_gradients", {"baseline": {"z": 1}}, "baseline names 'z'; the explained inputs are 'x'"),
        ("integrated_gradients", {"batch": 0}, "at least 1, not 0"),
        ("smoothgrad", {"sigma": -1}, "sigma >= 0"),
        ("integrated_gradients", {"baseline": "black"}, "must be a number or an array"),
        ("integrated_gradients", {"baseline": np.nan}, "not finite"),
        ("integrated_gradients", {"steps": 2.5}, "takes steps as int, not 2.5"),
        ("integrated_gradients", {"steps": True}, "takes steps as int, not True"),
        ("smoothgrad", {"squared": 1}, "takes squared as bool, not 1"),
        ("smoothgrad", {"sigma": "much"}, "takes sigma as float, not 'much'"),
        ("smoothgrad", {"seed": -1}, "seed >= 0"),
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
