"""Relevance over value goes on as it is through chains of rules that only divide by z and multiply by it again."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

import onnxdtd
from onnxdtd.rules.epsilon import epsilon
from tests.support.model_text import model
from tests.support.paths import MODELS

STABILISED = [{"kind": kind, "use": "epsilon", "epsilon": 1e-6} for kind in ("linear", "norm")]
W1, W2 = np.array([[1e-5, 2e-5], [3e-5, -1e-5]]), np.array([[1.0, -1.0], [2.0, 1.0]])
SMALL = "(float[1, 2] x) => (float[1, 2] y) { h = MatMul(x, a) y = MatMul(h, b) }"
X = np.array([[1.0, 2.0]], np.float32)


def small() -> onnx.ModelProto:
    return model(SMALL, a=W1.astype(np.float32), b=W2.astype(np.float32))


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_small_activations_lose_nothing_to_a_stabiliser(engine: str) -> None:
    """h = (7e-5, 0), y_0 = 7e-5: x_i sum_j a_ij b_j0 is all there is."""
    e = onnxdtd.explain(small(), X, method="attnlrp", target=0, engine=engine)
    np.testing.assert_allclose(e.relevance["x"], [[1 * (1e-5 + 4e-5), 2 * (3e-5 - 2e-5)]], rtol=1e-5)


def test_a_number_stabilises_every_division() -> None:
    """h_0 gets 7e-5 7e-5 / 7.1e-5, and hands on h_0 / (h_0 + 1e-6) of that; h_1 = 0 has none."""
    e = onnxdtd.explain(small(), X, method="attnlrp", target=0, rules=STABILISED)
    share = (7e-5 / 7.1e-5) ** 2
    np.testing.assert_allclose(e.relevance["x"], [[share * 1e-5, share * 6e-5]], rtol=1e-4)
    assert e.conservation.lost_to("epsilon") == pytest.approx(7e-5 * (1 - share), rel=1e-3)


@pytest.mark.parametrize("method", ["attnlrp", "epsilon_plus", "epsilon_gamma"])
@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_chains_are_the_divided_form_but_for_the_stabiliser(method: str, engine: str) -> None:
    x = np.random.default_rng(2).uniform(size=(2, 1, 28, 28)).astype(np.float32)
    chained, divided = (
        onnxdtd.explain(MODELS / "mnist_resnet.onnx", x, method=method, rules=rules, engine=engine)
        for rules in (
            [],
            [{"family": f, "use": "epsilon", "epsilon": 1e-7} for f in ("dense", "sum", "pool")],
        )
    )
    for one, other in zip(chained.relevance.values(), divided.relevance.values(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3 * np.abs(other).max())


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_a_sum_below_another_rule_does_not_divide_by_what_that_has_multiplied_by(engine: str) -> None:
    """a = (1, 2, 1) 1e-5, b = (1, 4, -3) 1e-5 and relu(a + b) = (2, 6, 0) 1e-5, which z+ gives itself: a sum that
    divided it by a + b and a stabiliser of 1e-6 would lose a twentieth of it. Nothing goes where a + b < 0."""
    source = model(
        "(float[1, 3] x) => (float[1, 1] y) { b = MatMul(x, v) s = Add(b, x) h = Relu(s) y = MatMul(h, w) }",
        v=np.diag([1, 2, -3]).astype(np.float32), w=np.ones((3, 1), np.float32),
    )  # fmt: skip
    x = np.array([[1e-5, 2e-5, 1e-5]], np.float32)
    rules = [{"family": "dense", "use": "zplus", "epsilon": 0.0}]
    e = onnxdtd.explain(source, x, method="epsilon_plus", rules=rules, engine=engine, keep=["h", "b"])
    np.testing.assert_allclose(e.kept["h"], [[2e-5, 6e-5, 0]], rtol=1e-5)
    np.testing.assert_allclose(e.kept["b"], [[1e-5, 4e-5, 0]], rtol=1e-5)
    np.testing.assert_allclose(e.relevance["x"], [[2e-5, 6e-5, 0]], rtol=1e-5)


def test_what_is_kept_on_the_way_is_relevance() -> None:
    """After the ReLU 3, 0 and through (1, 5) 3; before it 3, -1."""
    source = model(
        "(float[1, 2] x) => (float[1, 1] y) { h = Relu(x) y = MatMul(h, w) }",
        w=np.array([[1.0], [5.0]], np.float32),
    )
    x = np.array([[3.0, -1.0]], np.float32)
    e = onnxdtd.explain(source, x, method="attnlrp", keep=["h"])
    np.testing.assert_allclose(e.kept["h"], [[3, 0]])
    np.testing.assert_allclose(e.relevance["x"], [[3, 0]])


CURVES = {
    "Relu": "Relu(x)", "LeakyRelu": "LeakyRelu <alpha = 0.1> (x)", "Tanh": "Tanh(x)", "Elu": "Elu(x)",
    "HardSwish": "HardSwish(x)", "Softsign": "Softsign(x)", "Sigmoid": "Sigmoid(x)", "Softplus": "Softplus(x)",
}  # fmt: skip


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
@pytest.mark.parametrize("curve", CURVES)
def test_an_activation_keeps_its_relevance(curve: str, engine: str) -> None:
    """y = sum_j w_j f(x_j): R_j = w_j f(x_j), less the share of f(0) where the curve does not go through zero."""
    w = np.array([[1.0], [5.0], [-2.0]], np.float32)
    source = model(f"(float[1, 3] x) => (float[1, 1] y) {{ h = {CURVES[curve]} y = MatMul(h, w) }}", w=w)
    x = np.array([[1.5, -0.5, 0.0]], np.float32)
    session = onnxruntime.InferenceSession(source.SerializeToString())
    (at_zero,) = session.run(None, {"x": np.zeros_like(x)})
    e = onnxdtd.explain(source, x, method="attnlrp", engine=engine)
    parts = [session.run(None, {"x": np.where(np.arange(3) == i, x, 0)})[0] - at_zero for i in range(3)]
    np.testing.assert_allclose(e.relevance["x"], np.concatenate(parts, axis=1), atol=2e-5)


def test_the_rule_says_what_it_divides_by() -> None:
    assert (str(epsilon()), str(epsilon(1e-6))) == ("epsilon", "epsilon(epsilon=1e-06)")
    assert epsilon().divides
    assert not epsilon(1e-6).divides
    assert not epsilon(0.25, relative=True).divides
