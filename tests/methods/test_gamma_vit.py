"""Gamma where there are weights of the model; products of two values, norms and activations as AttnLRP has them."""

from __future__ import annotations

import numpy as np
import pytest

from onnxdtd.explainer import Explainer
from tests.support.model_text import model

PATCHES = model(
    "(float[N, 1, 2, 4] x) => (float[N, 2] y) "
    "{ p = Conv<strides = [2, 2]>(x, w) f = Reshape(p, flat) t = Transpose<perm = [0, 2, 1]>(f) v = MatMul(t, dense) "
    "s = MatMul(t, f) a = Softmax(s) m = MatMul(a, v) y = ReduceMean<axes = [1], keepdims = 0>(m) }",
    w=np.array([[[[1, 2], [0, -1]]], [[[0, 1], [1, 1]]]], np.float32), flat=np.array([0, 2, -1]),
    dense=np.array([[1, -1], [2, 1]], np.float32),
)  # fmt: skip


def test_which_rule_is_where() -> None:
    rules = {step.node.output: str(step.rule) for step in Explainer(PATCHES, "gamma_vit").plan().steps}
    assert rules["p"].startswith("gamma(gamma=1")
    assert rules["v"].startswith("gamma")
    assert rules["v"] != rules["p"]
    assert {rules["s"], rules["m"]} == {"epsilon(bias=redistribute)"}
    assert rules["a"] == "epsilon"


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_a_dense_layer_by_hand(engine: str) -> None:
    """y = 3 - 1 = 2 of x = (1, 1): with 0.25 w+ more, shares are 3.75 and -1 of 2.75."""
    dense = model(
        "(float[N, 2] x) => (float[N, 1] y) { y = MatMul(x, w) }", w=np.array([[3], [-1]], np.float32)
    )
    e = Explainer(dense, "gamma_vit", engine=engine)(np.ones((1, 2), np.float32))
    np.testing.assert_allclose(e.relevance["x"], [[2 * 3.75 / 2.75, -2 / 2.75]], rtol=1e-5)
