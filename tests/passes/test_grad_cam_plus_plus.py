"""Grad-CAM++: by hand, as its source has it, and where its formula has no meaning."""

from __future__ import annotations

import numpy as np
import pytest

from onnxdtd.passes.grad_cam import bilinear
from tests.passes.test_maps import HEAD, POOLED, setting
from tests.passes.test_passes import explained
from tests.support.model_text import model


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_grad_cam_plus_plus_by_hand(engine: str) -> None:
    """One channel, A = ((1, 2), (0, 5)), sum 8. f weighs its places with 1, -3, 0.5, 0.25, so the
    alphas of the source are 1 / (2 + 8 g) = 1/10, -, 1/6, 1/4, and the weight is 1/10 + 0.5/6 + 0.25/4."""
    text = HEAD + "{ c = Conv<strides = [2, 2]>(x, k) f = Relu(c) v = Flatten(f) y = MatMul(v, w) }"
    w = np.array([[1, 0], [-3, 0], [0.5, 0], [0.25, 0]], np.float32)
    source = model(text, k=np.ones((1, 1, 2, 2), np.float32), w=w)
    x = np.kron([[1, 2], [-4, 5]], np.ones((2, 2)) / 4).astype(np.float32)[None, None]
    e = explained(source, "grad_cam_plus_plus", x, 0, engine)
    small = (1 / 10 + 0.5 / 6 + 0.25 / 4) * np.array([[1, 2], [0, 5]])
    rows = np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    np.testing.assert_allclose(e.relevance["x"][0, 0], rows @ small @ rows.T, rtol=1e-5)
    assert e.method == "grad_cam_plus_plus"
    # The mean of the slopes is below zero: Grad-CAM sees nothing.
    assert not explained(source, "grad_cam", x, 0, engine).relevance["x"].any()


def test_grad_cam_plus_plus_follows_the_source(rng: np.random.Generator) -> None:
    """Derivatives of e^f to any order in A are e^f g^n: equation 19 of the source, up to the factor e^f."""
    x, weights = setting(rng)
    e = explained(model(HEAD + POOLED, **weights), "grad_cam_plus_plus", x, 1)
    features = np.maximum(np.einsum("iajb,kab->kij", x[0, 0].reshape(2, 2, 2, 2), weights["k"][:, 0]), 0)
    g = np.broadcast_to(weights["w"][:, 1, None, None] / 4, features.shape).astype(np.float64)
    alpha = g**2 / (2 * g**2 + features.sum(axis=(1, 2), keepdims=True) * g**3)
    channels = (alpha * np.maximum(g, 0)).sum(axis=(1, 2))
    small = np.maximum(np.einsum("k,kij->ij", channels, features), 0)
    rows = bilinear(2, 4)
    np.testing.assert_allclose(e.relevance["x"][0, 0], rows @ small @ rows.T, rtol=1e-5, atol=1e-6)
    assert small.any()


def test_places_without_a_weight_are_said() -> None:
    """The map is before the Relu and sums to -6: 2 - 6 * 1 is negative, 2 - 6 * 0.25 is 0.5."""
    text = HEAD + "{ c = Conv<strides = [2, 2]>(x, k) v = Flatten(c) y = MatMul(v, w) }"
    w = np.array([[1, 0], [0.25, 0], [0, 0], [0, 0]], np.float32)
    source = model(text, k=np.ones((1, 1, 2, 2), np.float32), w=w)
    x = np.kron([[1, 2], [-4, -5]], np.ones((2, 2)) / 4).astype(np.float32)[None, None]
    e = explained(source, "grad_cam_plus_plus", x, 0)
    small = 0.25 / 0.5 * np.array([[1, 2], [0, 0]])
    rows = bilinear(2, 4)
    np.testing.assert_allclose(e.relevance["x"][0, 0], rows @ small @ rows.T, rtol=1e-5)
    assert any("not defined at 1 of 4 places" in warning for warning in e.warnings)
