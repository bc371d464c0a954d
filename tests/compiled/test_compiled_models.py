"""Every shipped model by every composite, compiled with either form of weights, says what the NumPy engine says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

import onnxdtd
from tests.support.paths import MODELS

SAMPLES = {
    "mnist_cnn": "mnist_digit",
    "mnist_resnet": "mnist_digit",
    "mnist_keras": "mnist_digit_nhwc",
    "wine_mlp": "wine_sample",
}
METHODS = ("dtd", "epsilon_plus", "composite", "epsilon_gamma_box", "epsilon_alpha2_beta1_flat", "gradient")


@pytest.mark.parametrize("weights", ["store", "derive"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", SAMPLES)
def test_the_file_says_what_the_numpy_engine_says(
    name: str, method: str, weights: str, tmp_path: Path
) -> None:
    x = np.load(MODELS / f"{SAMPLES[name]}.npy")
    options = {"input_range": (0.0, 2000.0 if name == "wine_mlp" else 1.0)}
    onnxdtd.compile(MODELS / f"{name}.onnx", tmp_path / "e.onnx", method=method, weights=weights, **options)
    session = ort.InferenceSession(tmp_path / "e.onnx", providers=["CPUExecutionProvider"])
    image, target = session.get_inputs()
    outputs = session.run(None, {image.name: x, target.name: np.array([-1])})
    e = onnxdtd.Explainer(MODELS / f"{name}.onnx", method, **options)(x)
    (expected,) = e.relevance.values()
    np.testing.assert_allclose(outputs[-1], expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
