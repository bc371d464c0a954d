"""`gradient` on whole networks: torch's autograd where torch made them, central differences elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from onnxdtd.explainer import Explainer
from tests.support.paths import GOLDENS, MODELS

GRADIENTS = GOLDENS / "torch_gradients.npz"
DIGITS = ["mnist_cnn", "mnist_cnn_dynamo", "mnist_cnn_nonpositive_bias", "mnist_resnet"]


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
@pytest.mark.parametrize("name", DIGITS)
def test_the_gradient_of_digits_is_that_of_autograd(name: str, engine: str) -> None:
    golden = np.load(GRADIENTS)
    e = Explainer(MODELS / f"{name}.onnx", "gradient", engine=engine)(golden["digits"])
    relevance, expected = e.relevance["image"].reshape(-1), golden[name]
    np.testing.assert_allclose(relevance, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_the_gradient_of_efficientnet_is_that_of_autograd(engine: str) -> None:
    expected = np.load(GRADIENTS)["efficientnet_lite0"]
    noise = np.random.default_rng(1).random((1, 3, 224, 224), np.float32) * 2 - 1
    explainer = Explainer(MODELS / "efficientnet_lite0.onnx", "gradient", engine=engine)
    relevance = explainer(noise).relevance["image"].reshape(-1)[::7]
    np.testing.assert_allclose(relevance, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("name", "sample"), [("mnist_keras", "mnist_digit_nhwc"), ("wine_mlp", "wine_sample")]
)
def test_the_gradient_elsewhere_is_that_of_differences(
    name: str, sample: str, rng: np.random.Generator
) -> None:
    """In float64, by onnx's reference implementation; noise parts the ties of max pooling."""
    explainer = Explainer(MODELS / f"{name}.onnx", "gradient")
    x = np.load(MODELS / f"{sample}.npy")
    x = x + np.float32(0.01) * rng.random(x.shape, np.float32)
    e = explainer(x)
    ((top,),) = e.target
    (gradient,) = e.relevance.values()
    graph = explainer.graph
    precise = {k: v.astype(np.float64) if v.dtype.kind == "f" else v for k, v in graph.constants.items()}
    target = explainer.plan().target
    evaluator = ReferenceEvaluator(graph.replace(constants=precise).to_proto([target]))
    for _ in range(3):
        v = rng.standard_normal(x.shape)
        ends = [evaluator.run(None, {graph.inputs[0]: x + s * 1e-6 * v})[0][(0, *top)] for s in (1, -1)]
        slope = float((gradient * v).sum())
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(
            slope, rel=1e-4, abs=1e-4 * float(np.linalg.norm(gradient))
        )
