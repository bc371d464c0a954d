"""Products in disguise: activations and divisions that exporters write as a Mul of two values."""

from __future__ import annotations

import numpy as np
import pytest

from onnxdtd.explainer import Explainer
from tests.support.model_text import model

X = "(float[N, 4] x) => (float[N, 4] y)"
NORM = """{ m = ReduceMean<axes = [1]>(x) d = Sub(x, m) q = Mul(d, d) v = ReduceMean<axes = [1]>(q)
            e = Add(v, tiny) s = Sqrt(e) %s }"""
FORMS = {
    "reciprocal": "i = Reciprocal(s) y = Mul(d, i)",
    "reciprocal scaled first": "i = Reciprocal(s) g = Mul(i, gain) y = Mul(d, g)",
    "one over": "i = Div(one, s) y = Mul(i, d)",
    "power": "i = Pow(e, minus_half) y = Mul(d, i)",
    "division": "y = Div(d, s)",
}
CONSTANTS = {
    "tiny": np.float32(1e-5),
    "one": np.float32(1),
    "minus_half": np.float32(-0.5),
    "gain": np.array([1, 1, 1, 1], np.float32),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_product_with_one_over_the_deviation_is_a_division(form: str, rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 4)).astype(np.float32)
    relevance, expected = (
        Explainer(model(f"{X} {NORM % FORMS[name]}", **CONSTANTS), "attnlrp")(x, 2).relevance["x"]
        for name in (form, "division")
    )
    np.testing.assert_allclose(relevance, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_its_gradient_is_the_true_one(form: str, rng: np.random.Generator) -> None:
    explainer = Explainer(model(f"{X} {NORM % FORMS[form]}", **CONSTANTS), "gradient")
    x, v = (rng.standard_normal((3, 4)).astype(np.float32) for _ in range(2))
    ahead, behind = (explainer(x + s * np.float32(1e-2) * v, 2).target_value for s in (1, -1))
    slope = (explainer(x, 2).relevance["x"] * v).sum(axis=1)
    np.testing.assert_allclose(slope, (ahead - behind) / 2e-2, rtol=2e-2, atol=2e-3)


def test_silu_written_out_hands_all_to_x(rng: np.random.Generator) -> None:
    x = rng.random((3, 4)).astype(np.float32) + 0.1
    e = Explainer(model(f"{X} {{ g = Sigmoid(x) y = Mul(x, g) }}"), "attnlrp")(x, 1)
    np.testing.assert_allclose(e.relevance["x"][:, 1], e.target_value, rtol=1e-4)  # epsilon is 1e-6


GATED = "(float[N, 4] x, float[N, 4] v) => (float[N, 4] y)"
SIGNAL_TAKES_ALL = {
    "sigmoid": "{ g = Sigmoid(v) y = Mul(x, g) }",
    "written first": "{ g = HardSigmoid(v) y = Mul(g, x) }",
    "one minus it": "{ s = Sigmoid(v) g = Sub(one, s) y = Mul(x, g) }",
    "moved": "{ s = Sigmoid(v) a = Reshape(s, column) b = Transpose<perm = [0, 2, 1]>(a) g = Squeeze(b, axis) "
    "y = Mul(x, g) }",
    "scaled": "{ s = Sigmoid(v) g = Mul(s, two) y = Mul(x, g) }",
}
HALF_TO_EACH = {
    "two signals": "{ y = Mul(x, v) }",
    "two gates": "{ a = Sigmoid(x) b = Sigmoid(v) y = Mul(a, b) }",
}
MOVES = {
    "one": np.float32(1),
    "two": np.float32(2),
    "column": np.int64([-1, 4, 1]),
    "axis": np.int64([1]),
}


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
@pytest.mark.parametrize("method", ["attnlrp", "epsilon_plus", "composite", "excitation_backprop", "dtd"])
@pytest.mark.parametrize("form", SIGNAL_TAKES_ALL)
def test_behind_a_gate_the_signal_takes_all(
    form: str, method: str, engine: str, rng: np.random.Generator
) -> None:
    x, v = (rng.random((3, 4)).astype(np.float32) for _ in range(2))
    source = model(f"{GATED} {SIGNAL_TAKES_ALL[form]}", **MOVES)
    e = Explainer(source, method, engine)({"x": x, "v": v}, 1)
    np.testing.assert_allclose(e.relevance["x"][:, 1], e.target_value, rtol=1e-5)
    np.testing.assert_array_equal(e.relevance["v"], 0)


@pytest.mark.parametrize("form", HALF_TO_EACH)
def test_two_signals_and_two_gates_get_half_each(form: str, rng: np.random.Generator) -> None:
    x, v = (rng.random((3, 4)).astype(np.float32) for _ in range(2))
    source = model(f"{GATED} {HALF_TO_EACH[form]}")
    e = Explainer(source, "epsilon_plus", bias="redistribute")({"x": x, "v": v}, 1)
    for name in ("x", "v"):
        np.testing.assert_allclose(e.relevance[name][:, 1], e.target_value / 2, rtol=1e-4)


def test_a_cell_written_out_stays_bounded_over_forty_steps(rng: np.random.Generator) -> None:
    """c = f c + i tanh(W x), h = o tanh(c): half to each would end with relevance of 1e8."""
    lines, h, c = [], "h0", "c0"
    for t in range(40):
        lines += [f"x{t} = Slice(x, at{t}, at{t + 1}, axis) a{t} = MatMul(x{t}, w) b{t} = MatMul({h}, u)"]
        lines += [
            f"g{t} = Add(a{t}, b{t}) s{t} = Sigmoid(g{t}) i{t}, f{t}, o{t}, k{t} = Split<axis = 1>(s{t})"
        ]
        lines += [f"n{t} = MatMul(x{t}, wn) m{t} = MatMul({h}, un) q{t} = Add(n{t}, m{t}) z{t} = Tanh(q{t})"]
        lines += [f"p{t} = Mul(f{t}, {c}) r{t} = Mul(i{t}, z{t}) c{t}_ = Add(p{t}, r{t}) e{t} = Tanh(c{t}_)"]
        lines += [f"h{t}_ = Mul(o{t}, e{t})"]
        h, c = f"h{t}_", f"c{t}_"
    text = f"(float[1, 120] x) => (float[1, 2] y) {{ {' '.join(lines)} y = MatMul({h}, v) }}"
    shapes = {"w": (3, 32), "u": (8, 32), "wn": (3, 8), "un": (8, 8), "v": (8, 2), "h0": (1, 8), "c0": (1, 8)}
    weights = {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}
    bounds = {f"at{t}": np.int64([3 * t]) for t in range(41)}
    source = model(text, axis=np.int64([1]), **bounds, **weights)
    e = Explainer(source, "attnlrp")(rng.normal(size=(1, 120)).astype(np.float32), 0)
    assert np.abs(e.relevance["x"]).sum() < 100 * abs(e.target_value[0])
