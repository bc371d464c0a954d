"""The constant of an elementwise map, f(0) or a shift: it takes its share where biases absorb."""

from __future__ import annotations

import math

import numpy as np
import pytest

import onnxdtd
from tests.support.model_text import model

ENGINES = ["numpy", "onnx"]
AT_ZERO = {
    "Sigmoid": 0.5, "Exp": 1.0, "Softplus": math.log(2), "Cos": 1.0, "Cosh": 1.0, "HardSigmoid": 0.5,
    "Acos": math.pi / 2,
}  # fmt: skip
SUM = "(float[N, 2] x) => (float[N, 1] y) {{ z = MatMul(x, w) s = {op}(z) y = MatMul(s, v) }}"


def explain(op: str, x: list[float], **options):
    weights = {"w": np.float32([[1], [-1]]), "v": np.float32([[2]])}
    return onnxdtd.explain(model(SUM.format(op=op), **weights), np.float32([x]), 0, **options)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("op", AT_ZERO)
def test_behind_a_sum_of_zero_all_is_the_constants(op: str, engine: str) -> None:
    """f(0) = 2 f(0) / 2: there is nothing for x = (1, 1) to share."""
    e = explain(op, [1, 1], method="epsilon_plus", engine=engine)
    np.testing.assert_allclose(e.target_value, 2 * AT_ZERO[op], rtol=1e-6)
    np.testing.assert_allclose(e.relevance["x"], 0, atol=1e-3)


@pytest.mark.parametrize("engine", ENGINES)
def test_what_a_sigmoid_hands_on(engine: str) -> None:
    """z = ln 3: s = .75, of which .5 is the constant's; the logit 1.5 hands on .5, shared as 2 ln 3 and -ln 3."""
    a = math.log(3)
    e = explain("Sigmoid", [2 * a, a], method="attnlrp", engine=engine)
    np.testing.assert_allclose(e.relevance["x"], [[1.0, -0.5]], rtol=1e-5)
    if engine == "numpy":
        assert e.nodes[1].lost["bias"] == pytest.approx(1.0, rel=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_deep_taylor_passes(engine: str) -> None:
    e = explain("Sigmoid", [3, 1], method="dtd", engine=engine, input_range=(0, 9))
    np.testing.assert_allclose(e.relevance["x"].sum(), e.target_value, rtol=1e-5)


STEPS = {
    "batch normalisation": "s = BatchNormalization<epsilon = 0.0>(a, scale, shift, mean, variance)",
    "product and sum": "p = Mul(a, half) s = Add(p, three)",
    "difference and quotient": "d = Sub(a, minus_six) s = Div(d, two)",
    "difference from the other side": "n = Neg(a) d = Sub(six, n) s = Div(d, two)",
}
CONSTANTS = {
    "scale": np.float32([1]), "shift": np.float32([2]), "mean": np.float32([-2]), "variance": np.float32([4]),
    "half": np.float32(0.5), "three": np.float32(3), "two": np.float32(2), "six": np.float32(6),
    "minus_six": np.float32(-6),
}  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("method", "expected"),
    [("epsilon_plus", 1.0), ("attnlrp", 1.0), ("excitation_backprop", 1.0), ("dtd", 4.0)],
)
@pytest.mark.parametrize("form", STEPS)
def test_a_step_between_nonlinearities(form: str, method: str, expected: float, engine: str) -> None:
    """s = a / 2 + 3 = 4 for a = relu(2): the 3 is the constant's, 1 is left for x."""
    text = f"(float[N, 1] x) => (float[N, 1] y) {{ a = Relu(x) {STEPS[form]} y = Relu(s) }}"
    e = onnxdtd.explain(model(text, **CONSTANTS), np.float32([[2]]), 0, method=method, engine=engine)
    np.testing.assert_allclose(e.relevance["x"], [[expected]], rtol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("method", ["epsilon_plus", "attnlrp", "dtd", "composite"])
@pytest.mark.parametrize("form", STEPS)
def test_a_change_of_units_passes(form: str, method: str, engine: str) -> None:
    """s = x / 2 + 3 at the input: a linear model explains w_i s_i."""
    steps = STEPS[form].replace("(a,", "(x,").replace("(a)", "(x)")
    text = f"(float[N, 1] x) => (float[N, 1] y) {{ {steps} y = Relu(s) }}"
    e = onnxdtd.explain(model(text, **CONSTANTS), np.float32([[2]]), 0, method=method, engine=engine)
    np.testing.assert_allclose(e.relevance["x"], [[4]], rtol=1e-5)
