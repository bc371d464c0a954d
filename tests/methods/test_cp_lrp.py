"""Attention weights as constants: what they weigh takes all, and which products are meant."""

from __future__ import annotations

import numpy as np
import pytest

from onnxdtd.explainer import Explainer
from tests.support.model_text import model

ENGINES = ("numpy", "onnx")


def explained(body: str, x: np.ndarray, engine: str = "numpy", target: object = None, **constants: object):
    text = f"(float[N, 2, 2] x) => (float[N, 2, 2] y) {{ {body} }}"
    return Explainer(model(text, **constants), "cp_lrp", engine=engine)(x, target)


@pytest.mark.parametrize("engine", ENGINES)
def test_values_take_all_and_scores_nothing(engine: str) -> None:
    """Scores 0 and log 3: each y is a quarter of the first value and three quarters of the second one."""
    x = np.array([[[4.0, 1.0], [2.0, -3.0]]], np.float32)
    scores = np.log(np.array([[[1, 3], [1, 3]]], np.float32))
    e = explained(
        "n = Mul(x, none) z = Add(n, scores) a = Softmax(z) y = MatMul(a, x)", x, engine, (0, 0),
        none=np.float32(0), scores=scores,
    )  # fmt: skip
    np.testing.assert_allclose(e.relevance["x"], [[[1, 0], [1.5, 0]]], rtol=1e-5)


def test_a_mix_of_weights_is_a_weight_and_a_product_of_what_was_weighed_is_none() -> None:
    """Talking heads mix weights before they weigh; scores of a second layer are a product like any other."""
    x = np.array([[[4.0, 1.0], [2.0, -3.0]]], np.float32)
    mix = np.array([[2.0, 0.0], [0.0, 1.0]], np.float32)
    e = explained("a = Softmax(x) b = MatMul(a, mix) y = MatMul(b, x)", x, target=(0, 0), mix=mix)
    first, second = np.exp([4, 1]) / np.exp([4, 1]).sum()
    np.testing.assert_allclose(
        e.relevance["x"], [[[2 * first * 4, 0], [second * 2, 0]]], rtol=1e-5, atol=1e-6
    )
    layers = "a = Softmax(x) v = MatMul(a, x) t = Transpose<perm = [0, 2, 1]>(v) y = MatMul(v, t)"
    plan = Explainer(model(f"(float[N, 2, 2] x) => (float[N, 2, 2] y) {{ {layers} }}"), "cp_lrp").plan()
    families = [step.op.family for step in plan.steps if step.node.op == "MatMul"]
    assert families == ["pool", "gate"]


def test_other_methods_of_the_same_explainer_still_go_through_the_weights() -> None:
    softmax = model("(float[N, 2, 2] x) => (float[N, 2, 2] y) { a = Softmax(x) y = MatMul(a, x) }")
    held = Explainer(softmax, "cp_lrp")
    assert "Softmax" not in {step.node.op for step in held.plan().steps}
    assert "Softmax" in {step.node.op for step in held.by("attnlrp").plan().steps}
    assert "Softmax" not in {step.node.op for step in held.by("attnlrp").by("cp_lrp").plan().steps}
