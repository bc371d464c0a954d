"""w-square does not depend on the scale of a neuron's weights: by hand, where their squares leave float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import onnxdtd
from tests.support.model_text import model

SCALES = (1e-20, 1.0, 1e20)
# Every neuron's weights are 1 and 2 (or 2 and 1), so its squared shares are 1/5 and 4/5, at a scale of its own.
DENSE = {
    "Gemm": ("y = Gemm(x, w)", np.float32([[1, 2, 2], [2, 1, 1]]) * np.float32(SCALES)),
    "Gemm transposed": (
        "y = Gemm<transB = 1>(x, w)",
        (np.float32([[1, 2, 2], [2, 1, 1]]) * np.float32(SCALES)).T.copy(),
    ),
    "MatMul": ("y = MatMul(x, w)", np.float32([[1, 2, 2], [2, 1, 1]]) * np.float32(SCALES)),
    "MatMul from the left": (
        "t = Transpose(x) m = MatMul(w, t) y = Transpose(m)",
        (np.float32([[1, 2, 2], [2, 1, 1]]) * np.float32(SCALES)).T.copy(),
    ),
}
SHARES = np.array([[0.2, 0.8], [0.8, 0.2], [0.8, 0.2]])


def relevance(text: str, x: Any, target: Any, engine: str, **constants: Any) -> Any:
    explained = onnxdtd.explain(model(text, **constants), np.float32(x), target, "dtd", engine)
    return explained.relevance["x"] / explained.target_value.reshape(-1)[0]


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
@pytest.mark.parametrize("neuron", [0, 1, 2])
@pytest.mark.parametrize("form", DENSE)
def test_dense(form: str, neuron: int, engine: str) -> None:
    text, w = DENSE[form]
    share = relevance(f"(float[N, 2] x) => (float[N, 3] y) {{ {text} }}", [[1, 1]], neuron, engine, w=w)
    np.testing.assert_allclose(share, [SHARES[neuron]], rtol=1e-6)


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
@pytest.mark.parametrize("channel", [0, 1, 2])
@pytest.mark.parametrize("op", ["Conv", "ConvTranspose"])
def test_convolutions(op: str, channel: int, engine: str) -> None:
    kernel = np.float32([[1, 2, 2], [2, 1, 1]]) * np.float32(SCALES)
    w = (kernel if op == "ConvTranspose" else kernel.T)[..., None, None].copy()
    text = f"(float[N, 2, 1, 1] x) => (float[N, 3, 1, 1] y) {{ y = {op}(x, w) }}"
    share = relevance(text, np.ones((1, 2, 1, 1)), (channel, 0, 0), engine, w=w)
    np.testing.assert_allclose(share.ravel(), SHARES[channel], rtol=1e-6)


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
@pytest.mark.parametrize("channel", [0, 1])
@pytest.mark.parametrize("op", ["Conv", "ConvTranspose"])
def test_groups(op: str, channel: int, engine: str) -> None:
    """Channel c sees inputs 2c and 2c + 1 with the weights 1 and 2 of its own scale."""
    rows = np.float32([[1, 2], [1, 2]]) * np.float32([[1e-20], [1e20]])
    w = rows.reshape((2, 2, 1, 1) if op == "Conv" else (4, 1, 1, 1))
    text = f"(float[N, 4, 1, 1] x) => (float[N, 2, 1, 1] y) {{ y = {op}<group = 2>(x, w) }}"
    share = relevance(text, np.ones((1, 4, 1, 1)), (channel, 0, 0), engine, w=w)
    by_hand = np.zeros(4)
    by_hand[2 * channel : 2 * channel + 2] = 0.2, 0.8
    np.testing.assert_allclose(share.ravel(), by_hand, rtol=1e-6)


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
@pytest.mark.parametrize("scale", SCALES)
def test_a_bias_that_takes_a_share_is_in_the_same_units(scale: float, engine: str) -> None:
    """1 + 4 + 4: a ninth and four ninths arrive."""
    text = "(float[N, 2] x) => (float[N, 1] y) { y = Gemm(x, w, b) }"
    w, b = np.float32([[1], [2]]) * np.float32(scale), np.float32([2]) * np.float32(scale)
    explained = onnxdtd.explain(model(text, w=w, b=b), np.float32([[1, 1]]), 0, "dtd", engine, bias="absorb")
    np.testing.assert_allclose(explained.relevance["x"] / np.float32(5 * scale), [[1 / 9, 4 / 9]], rtol=1e-6)


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
@pytest.mark.parametrize("scale", SCALES)
def test_boxes_too(scale: float, engine: str) -> None:
    """z-box in [-1, 1] at x = (1, 1): 1 w + 1 w = 2 w for each input, so a third and two thirds."""
    source = model(
        "(float[N, 2] x) => (float[N, 1] y) { y = MatMul(x, w) }",
        w=np.float32([[1], [2]]) * np.float32(scale),
    )
    for method in ("dtd", "epsilon_gamma_box"):
        explained = onnxdtd.explain(source, np.float32([[1, 1]]), 0, method, engine, input_range=(-1, 1))
        np.testing.assert_allclose(
            explained.relevance["x"] / np.float32(3 * scale), [[1 / 3, 2 / 3]], rtol=1e-5, err_msg=method
        )
