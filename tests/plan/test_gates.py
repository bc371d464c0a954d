"""Products in disguise: activations and divisions that exporters write as a Mul of two values."""

from __future__ import annotations

import numpy as np
import pytest

from onnxdtd.explainer import Explainer
from tests.support.model_text import model

X = "(float[N, 4] x) => (float[N, 4] y)"
NORM = """{ m = ReduceMean<axes = [1]>(x) d = Sub(x, m) q = Mul(d, d) v = ReduceMean<axes = [1]>(q)
            e = Add(v, tiny) s = Sqrt(e) %s }"""
FORMS = {
    "reciprocal": "i = Reciprocal(s) y = Mul(d, i)",
    "reciprocal scaled first": "i = Reciprocal(s) g = Mul(i, gain) y = Mul(d, g)",
    "one over": "i = Div(one, s) y = Mul(i, d)",
    "power": "i = Pow(e, minus_half) y = Mul(d, i)",
    "division": "y = Div(d, s)",
}
CONSTANTS = {
    "tiny": np.float32(1e-5),
    "one": np.float32(1),
    "minus_half": np.float32(-0.5),
    "gain": np.array([1, 1, 1, 1], np.float32),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_product_with_one_over_the_deviation_is_a_division(form: str, rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 4)).astype(np.float32)
    found, expected = (
        Explainer(model(f"{X} {NORM % FORMS[name]}", **CONSTANTS), "attnlrp")(x, 2).relevance["x"]
        for name in (form, "division")
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_its_gradient_is_the_true_one(form: str, rng: np.random.Generator) -> None:
    explainer = Explainer(model(f"{X} {NORM % FORMS[form]}", **CONSTANTS), "gradient")
    x, v = (rng.standard_normal((3, 4)).astype(np.float32) for _ in range(2))
    ahead, behind = (explainer(x + s * np.float32(1e-2) * v, 2).target_value for s in (1, -1))
    slope = (explainer(x, 2).relevance["x"] * v).sum(axis=1)
    np.testing.assert_allclose(slope, (ahead - behind) / 2e-2, rtol=2e-2, atol=2e-3)


def test_silu_written_out_hands_all_to_x(rng: np.random.Generator) -> None:
    x = rng.random((3, 4)).astype(np.float32) + 0.1
    e = Explainer(model(f"{X} {{ g = Sigmoid(x) y = Mul(x, g) }}"), "attnlrp")(x, 1)
    np.testing.assert_allclose(e.relevance["x"][:, 1], e.target_value, rtol=1e-4)  # epsilon is 1e-6


def test_a_gate_of_another_value_gets_half(rng: np.random.Generator) -> None:
    x, v = (rng.random((3, 4)).astype(np.float32) for _ in range(2))
    source = model("(float[N, 4] x, float[N, 4] v) => (float[N, 4] y) { g = Sigmoid(v) y = Mul(x, g) }")
    e = Explainer(source, "attnlrp")({"x": x, "v": v}, 1)
    for name in ("x", "v"):
        np.testing.assert_allclose(e.relevance[name][:, 1], e.target_value / 2, rtol=1e-4)
