"""Warnings where an input looks unscaled or the output is saturated, and none where all is as it should be."""

from __future__ import annotations

import numpy as np

from onnxdtd.explainer import Explainer
from tests.support.model_text import model

PIXELS = np.arange(0, 240, 5, dtype=np.float32).reshape(1, 3, 4, 4)
WEIGHTS = np.ones((48, 2), np.float32) * np.float32([1, 0])
DENSE = "flat = Flatten(x) y = MatMul(flat, w)"


def warned(body: str, x: np.ndarray, **options: object) -> list[str]:
    proto = model(f"(float[N, 3, 4, 4] x) => (float[N, 2] y) {{ {body} }}", w=WEIGHTS)
    e = Explainer(proto, "attnlrp", **options)(x)  # type: ignore[arg-type]
    return [word for word in ("as pixels do", "saturated") if any(word in text for text in e.warnings)]


def test_pixels_that_nothing_has_scaled() -> None:
    assert warned(DENSE, PIXELS) == ["as pixels do"]
    assert warned(DENSE, PIXELS, preprocess={"resize": 4}) == ["as pixels do"]
    assert warned(DENSE, PIXELS / 255) == []
    assert warned(DENSE, PIXELS - 100) == []
    assert warned(DENSE, PIXELS, input_range=(0, 255)) == []
    inside = "c = Constant <value_float = 255.0> () u = Div(x, c) flat = Flatten(u) y = MatMul(flat, w)"
    assert warned(inside, PIXELS) == []


def test_an_output_that_is_saturated() -> None:
    likely = "flat = Flatten(x) z = MatMul(flat, w) y = Softmax <axis = 1> (z)"
    assert warned(likely, PIXELS) == ["as pixels do", "saturated"]
    assert warned(likely, PIXELS / 255) == []
