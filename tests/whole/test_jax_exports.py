"""What jax2onnx writes is explained: the gradient is JAX's own, and LRP keeps account."""

from __future__ import annotations

import numpy as np
import pytest

from onnxdtd.explainer import Explainer
from tests.support.paths import EXPORTS

NAMES = ["transformer", "conv"]


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_is_that_of_jax(name: str, engine: str) -> None:
    golden = np.load(EXPORTS / f"jax_{name}.npz")
    e = Explainer(EXPORTS / f"jax_{name}.onnx", "gradient", engine=engine)(golden["x"])
    (relevance,), (y,) = e.relevance.values(), e.outputs.values()
    np.testing.assert_allclose(y, golden["y"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        relevance, golden["gradient"], rtol=1e-4, atol=1e-4 * np.abs(golden["gradient"]).max()
    )


@pytest.mark.parametrize("method", ["auto", "attnlrp", "epsilon_plus", "dtd", "composite"])
@pytest.mark.parametrize("name", NAMES)
def test_relevance_is_finite_and_accounted_for(name: str, method: str) -> None:
    golden = np.load(EXPORTS / f"jax_{name}.npz")
    e = Explainer(EXPORTS / f"jax_{name}.onnx", method, input_range=(-4, 4))(golden["x"])
    (relevance,) = e.relevance.values()
    assert np.isfinite(relevance).all()
    assert np.abs(relevance).sum() > 0
    assert abs(e.conservation.error) < 1e-3 * max(1.0, abs(e.conservation.target))
