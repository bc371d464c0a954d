"""A mask that adds -inf beside another value of the input: relevance is finite, and alike on both engines."""

from __future__ import annotations

import numpy as np
import pytest

from onnxdtd import Explainer
from onnxdtd.methods import METHODS
from tests.support.model_text import model, normal

MASK = np.array([[0, 0, -np.inf, -np.inf]], np.float32)
X = np.array([[1, -2, 3, 0.5], [0.3, 1, -1, 2]], np.float32)
FORMS = {
    "a bias with a mask": "b = MatMul(x, v) c = Add(b, mask) t = Add(s, c)",
    "a mask on a bias": "b = MatMul(x, v) c = Add(mask, b) d = Reshape(c, shape) t = Sum(d, s)",
    "a choice": "b = MatMul(x, v) c = Where(hidden, low, b) t = Add(s, c)",
    "a mask on scores": "b = MatMul(x, v) c = Add(s, mask) t = Add(b, c)",
    "a mask on both": "b = MatMul(x, v) c = Add(b, mask) d = Add(s, mask) t = Add(c, d)",
}


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("form", FORMS)
def test_a_mask_beside_data(form: str, method: str) -> None:
    text = f"""(float[N, 4] x) => (float[N, 4] y) {{
        s = MatMul(x, w) {FORMS[form]} p = Softmax<axis = -1>(t) y = MatMul(p, u) }}"""
    arrays = {
        "w": normal(4, 4), "v": normal(4, 4), "u": np.abs(normal(4, 4)), "mask": MASK, "hidden": MASK < 0,
        "low": np.float32(-np.inf), "shape": np.array([-1, 4]),
    }  # fmt: skip
    source = model(text, **{name: array for name, array in arrays.items() if name in text.replace("(", " ")})
    walks = [Explainer(source, method, e, input_range=(-3, 3)) for e in ("numpy", "onnx")]
    here, there = (walk(X, 0).relevance["x"] for walk in walks)
    assert np.isfinite(here).all()
    np.testing.assert_allclose(there, here, rtol=1e-4, atol=1e-6 * np.abs(here).max())
