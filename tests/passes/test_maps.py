"""Grad-CAM and natural decomposition: by hand, on odd graphs, and refused where they mean nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import onnxdtd
from onnxdtd.errors import UnsupportedError, UsageError
from onnxdtd.passes.grad_cam import bilinear
from tests.passes.test_passes import DIGIT, LINEAR, W, X, explained
from tests.support.model_text import model
from tests.support.paths import MODELS

HEAD = "(float[N, 1, 4, 4] x) => (float[N, 2] y) "
POOLED = "{ c = Conv<strides = [2, 2]>(x, k) f = Relu(c) g = GlobalAveragePool(f) v = Flatten(g) y = MatMul(v, w) }"


def by_hand(x: np.ndarray, k: np.ndarray, w: np.ndarray, target: int) -> np.ndarray:
    """Relu of 2x2 convolutions with stride 2, averaged and weighted: the map (2, 2) before it is enlarged."""
    blocks = x[0, 0].reshape(2, 2, 2, 2)
    features = np.maximum(np.einsum("iajb,kab->kij", blocks, k[:, 0]), 0)
    return np.maximum(np.einsum("k,kij->ij", w[:, target] / 4, features), 0)


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """In float32: onnxruntime has no convolution in float64."""
    return rng.standard_normal(shape).astype(np.float32)


def setting(rng: np.random.Generator) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    return normal(rng, 1, 1, 4, 4), {"k": normal(rng, 3, 1, 2, 2), "w": normal(rng, 3, 2)}


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
@pytest.mark.parametrize("target", [0, 1])
def test_grad_cam_by_hand(target: int, engine: str, rng: np.random.Generator) -> None:
    x, weights = setting(rng)
    e = explained(model(HEAD + POOLED, **weights), "grad_cam", x, target, engine)
    small = by_hand(x, weights["k"], weights["w"], target)
    # 2 cells become 4: at places -0.25 (held at 0), 0.25, 0.75, 1.25 (held at 1).
    rows = np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    np.testing.assert_allclose(e.relevance["x"][0, 0], rows @ small @ rows.T, rtol=1e-5, atol=1e-6)
    assert e.extras == {"feature_map": "f", "feature_map_shape": [3, 2, 2]}
    assert small.any()


def test_bilinear() -> None:
    np.testing.assert_allclose(bilinear(3, 3), np.eye(3))
    np.testing.assert_allclose(bilinear(1, 4), np.ones((4, 1)))
    np.testing.assert_allclose(bilinear(7, 28).sum(axis=1), 1)
    np.testing.assert_allclose(bilinear(4, 2), [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]])


def test_channels_last_behind_a_transpose_is_the_same_map(rng: np.random.Generator) -> None:
    x, weights = setting(rng)
    plain = explained(model(HEAD + POOLED, **weights), "grad_cam", x, 0)
    moved = model(
        "(float[N, 4, 4, 1] x) => (float[N, 2] y) { t = Transpose<perm = [0, 3, 1, 2]>(x)"
        "c = Conv<strides = [2, 2]>(t, k) f = Relu(c) u = Transpose<perm = [0, 2, 3, 1]>(f)"
        "g = ReduceMean<axes = [1, 2], keepdims = 0>(u) y = MatMul(g, w) }",
        **weights,
    )
    e = explained(moved, "grad_cam", np.moveaxis(x, 1, -1), 0, layout="NHWC")
    np.testing.assert_allclose(e.relevance["x"][..., 0], plain.relevance["x"][:, 0], rtol=1e-5)
    assert e.extras["feature_map"] == "f"


def test_a_gate_before_the_last_map_is_passed_by(rng: np.random.Generator) -> None:
    x, weights = setting(rng)
    gate = "{ c = Conv<strides = [2, 2]>(x, k) h = Relu(c) m = GlobalAveragePool(h) s = Neg(m) f = Add(h, s)"
    source = model(HEAD + gate + " g = GlobalAveragePool(f) v = Flatten(g) y = MatMul(v, w) }", **weights)
    assert explained(source, "grad_cam", x, 0).extras["feature_map"] == "f"


def test_grad_cam_refuses(rng: np.random.Generator) -> None:
    x, weights = setting(rng)
    with pytest.raises(UnsupportedError, match=r"needs a spatial feature map \(N, K, H, W\)"):
        explained(LINEAR, "grad_cam", X)
    two = "{ a = Conv(x, k) b = Relu(x) p = GlobalAveragePool(a) q = GlobalAveragePool(b) r = Concat<axis = 1>(p, q)"
    weights["w"] = normal(rng, 4, 2)
    source = model(HEAD + two + " v = Flatten(r) y = MatMul(v, w) }", **weights)
    with pytest.raises(UnsupportedError, match="name the node that makes it") as error:
        explained(source, "grad_cam", x, 0)
    assert len(error.value.faults) == 3
    assert explained(source, "grad_cam", x, 0, node="Conv_0").extras["feature_map"] == "a"
    with pytest.raises(UsageError, match="'nowhere' makes no feature map; nodes that do are Conv_0, Relu_1"):
        explained(source, "grad_cam", x, 0, node="nowhere")
    moved = (
        "{ c = Conv(x, k) t = Transpose<perm = [0, 2, 3, 1]>(c) f = Relu(t) v = Flatten(f) y = MatMul(v, w) }"
    )
    weights["w"] = normal(rng, 27, 2)
    with pytest.raises(UnsupportedError, match=r"'Transpose_1' .* needs the feature map channels first"):
        explained(model(HEAD + moved, **weights), "grad_cam", x, 0)
    flat = model(HEAD + "{ v = Flatten(x) y = MatMul(v, w) }", w=normal(rng, 16, 2))
    with pytest.raises(UnsupportedError, match="with the input itself"):
        explained(flat, "grad_cam", x, 0)


def test_an_empty_map_is_said(rng: np.random.Generator) -> None:
    x, weights = setting(rng)
    e = explained(model(HEAD + POOLED, k=weights["k"], w=-np.ones((3, 2), np.float32)), "grad_cam", x, 0)
    assert any("the map is empty" in warning for warning in e.warnings)
    assert not e.relevance["x"].any()


QUADRANTS = model("(double[N, 2] x) => (double[N, 1] y) { r = Relu(x) y = MatMul(r, w) }", w=np.ones((2, 1)))


def test_natural_is_continuous_where_sensitivity_jumps() -> None:
    """f = max(0, x_1) + max(0, x_2): natural is (max(0, x_1), max(0, x_2)); the squared slopes are 0 or 1."""
    x = np.array([[a, b] for a in (-1e-9, 1e-9) for b in (-1e-9, 1e-9)] + [[2.0, -3.0]])
    natural = explained(QUADRANTS, "natural", x, 0).relevance["x"]
    np.testing.assert_allclose(natural, np.maximum(x, 0))
    assert np.abs(natural[:4] - natural[0]).max() < 1e-8
    sensitivity = explained(QUADRANTS, "sensitivity", x, 0).relevance["x"]
    np.testing.assert_array_equal(sensitivity[:4], [[0, 0], [0, 1], [1, 0], [1, 1]])


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_natural_of_a_network_for_each_column(engine: str, rng: np.random.Generator) -> None:
    """Each column has its own hidden units, summed twice on the way: R_p is the column's own part of f."""
    w, b, u = rng.standard_normal((3, 6)), rng.standard_normal(6), rng.standard_normal((6, 2))
    w *= np.repeat(np.eye(3), 2, axis=1)
    source = model(
        "(float[N, 3] x) => (float[N, 2] y) { h = Gemm(x, w, b) t = Tanh(h) s = MatMul(t, u) n = Neg(s)"
        "y = Add(n, c) }",
        w=w.astype(np.float32), b=b.astype(np.float32), u=u.astype(np.float32), c=np.array([5, 7], np.float32),
    )  # fmt: skip
    x = rng.standard_normal((4, 3)).astype(np.float32)
    e = explained(source, "natural", x, [0, 1, 0, 1], engine)
    parts = -np.tanh(x @ w + b)[:, :, None] * u
    expected = parts.reshape(4, 3, 2, 2).sum(axis=2)[np.arange(4), :, [0, 1, 0, 1]]
    np.testing.assert_allclose(e.relevance["x"], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(e.extras["constant"], [5, 7, 5, 7], rtol=1e-5)


def test_natural_of_a_linear_model_and_of_moved_values(rng: np.random.Generator) -> None:
    e = explained(LINEAR, "natural", X)
    np.testing.assert_allclose(e.relevance["x"], W[:, 1] * X)
    np.testing.assert_allclose(e.extras["constant"], [-1, -1])
    image = model(
        "(float[N, 2, 3, 3] x) => (float[N, 1] y) { r = Relu(x) c = Conv<pads = [1, 1, 1, 1]>(r, k)"
        "p = AveragePool<kernel_shape = [3, 3]>(c) v = Flatten(p) y = ReduceSum<keepdims = 1>(v, a) }",
        k=normal(rng, 4, 2, 3, 3), a=np.array([1]),
    )  # fmt: skip
    x = normal(rng, 2, 2, 3, 3)
    explanation = explained(image, "natural", x, 0)
    expected = explained(image, "gradient_x_input", x, 0).relevance["x"]
    np.testing.assert_allclose(explanation.relevance["x"], expected, atol=1e-5)
    assert np.abs(expected).max() > 0.1


def test_one_input_in_a_constant_border_stays_alone() -> None:
    """A window that sees one input element and padding does not mix; one that sees two does."""
    text = (
        "(float[N, 1, 1, 2] x) => (float[N, 1] y) { c = Conv<pads = [0, 1, 0, 1]>(x, k) r = Relu(c) v = Flatten(r)"
        "y = ReduceSum<keepdims = 1>(v, a) }"
    )
    apart = model(text, k=np.array([[[[2, 0, 0]]]], np.float32), a=np.array([1]))
    x = np.array([[[[1.5, -1]]]], np.float32)
    np.testing.assert_allclose(explained(apart, "natural", x, 0).relevance["x"], [[[[3.0, 0.0]]]])
    mixed = model(text, k=np.array([[[[2, 1e-6, 0]]]], np.float32), a=np.array([1]))
    with pytest.raises(
        UnsupportedError, match=r"'Relu_1' Relu .*acts nonlinearly on a combination of inputs"
    ):
        explained(mixed, "natural", x, 0)


def refusals() -> list[Any]:
    small = {"w": np.ones((2, 1))}
    return [
        ("h = MatMul(x, w) t = Tanh(h) y = Neg(t)", "'Tanh_1' Tanh", small),
        ("e = Unsqueeze(x, a) m = MaxPool<kernel_shape = [2]>(e) y = Squeeze(m, a)",
         "'MaxPool_1' .* a select of several", {"a": np.array([1])}),
        ("s = Sign(x) g = Slice(s, i, j, k) y = Mul(x, g)", "'Mul_2' .* operand 'g' depends on the input too",
         {"i": np.array([1]), "j": np.array([2]), "k": np.array([1])}),
    ]  # fmt: skip


@pytest.mark.parametrize(("body", "message", "weights"), refusals())
def test_natural_refuses_what_mixes(body: str, message: str, weights: dict[str, Any]) -> None:
    source = model(f"(double[N, 2] x) => (double[N, M] y) {{ {body} }}", **weights)
    with pytest.raises(UnsupportedError, match=message):
        explained(source, "natural", np.array([[1.0, -2.0]]), 0)


def test_natural_refuses_the_cnn() -> None:
    with pytest.raises(UnsupportedError, match=r"'/1/Relu' .*not a sum of functions of single inputs"):
        onnxdtd.explain(MODELS / "mnist_cnn.onnx", DIGIT, method="natural")


def test_a_difference_is_the_difference_of_the_summands() -> None:
    e = explained(LINEAR, "natural", X, "0 - 1")
    one, other = (explained(LINEAR, "natural", X, target).relevance["x"] for target in (0, 1))
    np.testing.assert_allclose(e.relevance["x"], one - other, rtol=1e-5, atol=1e-6)


def test_samples_that_move_to_another_axis_are_refused_and_auto_goes_round() -> None:
    source = model("(float[N, 3] x) => (float[3, N] y) { y = Transpose(x) }")
    x = np.array([[1, 2, -1], [0.5, 1, 2]], np.float32)
    with pytest.raises(UnsupportedError, match="samples on its first axis"):
        explained(source, "natural", x, 1)
    e = onnxdtd.Explainer(source)(x, 1)
    assert e.method == "attnlrp"
    np.testing.assert_allclose(e.relevance["x"], [[0, 2, 0], [0, 1, 0]])
