"""Activations that were written out become the operator, whose answer every method then gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import onnxdtd
from onnxdtd.model.canonise import canonise
from onnxdtd.model.canonise.written_out import written_out
from onnxdtd.model.load import load
from tests.support.model_text import changed, graph, model, ops, same, unchanged

HEAD = "(float[N, 4] x) => (float[N, 4] y)"
C: dict[str, Any] = {
    "zero": np.float32(0), "one": np.float32(1), "half": np.float32(0.5), "away": np.float32(-0.5),
    "three": np.float32(3), "six": np.float32(6), "sixth": np.float32(1 / 6), "slope": np.float32(0.1),
    "root": np.float32(np.sqrt(2)), "cube": np.float32(0.044715), "inner": np.float32(np.sqrt(2 / np.pi)),
    "power": np.float32(3), "infinity": np.float32(np.inf),
}  # fmt: skip
GATE = "t = Add(h, three) c = Clip(t, zero, six)"
FORMS = {
    "Relu, Max": ("Relu", 13, "y = Max(h, zero)"),
    "Relu, Where": ("Relu", 13, "p = Greater(h, zero) y = Where(p, h, zero)"),
    "Relu, Clip": ("Relu", 13, "y = Clip(h, zero, infinity)"),
    "Relu, Clip without an end": ("Relu", 13, "y = Clip(h, zero)"),
    "Relu, Min": ("Relu", 13, "n = Neg(h) m = Min(n, zero) y = Neg(m)"),
    "LeakyRelu": ("LeakyRelu<alpha = 0.1>", 13, "s = Mul(h, slope) y = Max(h, s)"),
    "LeakyRelu, Where": (
        "LeakyRelu<alpha = 0.1>", 13, "s = Mul(h, slope) p = Less(h, zero) y = Where(p, s, h)",
    ),
    "Softplus": ("Softplus", 13, "e = Exp(h) t = Add(one, e) y = Log(t)"),
    "Softshrink": (
        "Shrink<lambd = 0.5, bias = 0.5>", 13,
        "a = Sub(h, half) p = Greater(h, half) u = Where(p, a, zero) b = Add(h, half) n = Less(h, away) "
        "y = Where(n, b, u)",
    ),
    "Softshrink, two ReLUs": (
        "Shrink<lambd = 0.5, bias = 0.5>", 13,
        "a = Sub(h, half) u = Relu(a) n = Neg(h) b = Sub(n, half) l = Relu(b) y = Sub(u, l)",
    ),
    "HardSigmoid": ("HardSigmoid<alpha = 0.16666667, beta = 0.5>", 13, f"{GATE} y = Div(c, six)"),
    "HardSwish": ("HardSwish", 14, f"{GATE} m = Mul(h, c) y = Div(m, six)"),
    "HardSwish, other order": ("HardSwish", 14, f"{GATE} d = Mul(c, sixth) y = Mul(d, h)"),
    "Mish": ("Mish", 18, "e = Exp(h) t = Add(e, one) s = Log(t) g = Tanh(s) y = Mul(h, g)"),
    "SiLU": ("Swish", 24, "s = Sigmoid(h) y = Mul(h, s)"),
    "SiLU by Exp": ("Swish", 24, "n = Neg(h) e = Exp(n) t = Add(one, e) y = Div(h, t)"),
    "Swish": ("Swish<alpha = 0.5>", 24, "k = Mul(h, half) s = Sigmoid(k) y = Mul(s, h)"),
    "Elu": ("Elu", 13, "p = Greater(h, zero) e = Exp(h) m = Sub(e, one) y = Where(p, h, m)"),
    "Softsign": ("Softsign", 13, "a = Abs(h) t = Add(a, one) y = Div(h, t)"),
    "GELU": ("Gelu", 20, "d = Div(h, root) e = Erf(d) t = Add(e, one) m = Mul(h, t) y = Mul(m, half)"),
    "GELU, other order": (
        "Gelu", 20, "u = Mul(half, h) d = Div(h, root) e = Erf(d) t = Add(one, e) y = Mul(u, t)",
    ),
    "GELU by Tanh": (
        'Gelu<approximate = "tanh">', 20,
        "c = Pow(h, power) k = Mul(c, cube) s = Add(h, k) i = Mul(s, inner) e = Tanh(i) t = Add(e, one) "
        "m = Mul(h, t) y = Mul(m, half)",
    ),
}  # fmt: skip
OLDEST = {"Max": 8, "Min": 8, "Clip": 11, "Where": 9, "Erf": 9}
"""Since when what the forms use is there, or has its inputs."""
FIRST = {"Shrink": 9}
"""The first opset of an operator whose forms are tried in a later one."""
TREATMENTS = ["attnlrp", "deconvnet", "dtd", "gradient", "guided_backprop"]
"""One for each way in which methods treat activations: pass, less the constant's share or not, gradient, clamps."""
W = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)
X = np.random.default_rng(1).normal(size=(2, 4)).astype(np.float32)


@pytest.mark.parametrize("form", FORMS)
def test_is_recognised(form: str) -> None:
    op, opset, text = FORMS[form]
    source = graph(f"{HEAD} {{ h = MatMul(x, w) {text} }}", opset, w=W, **C)
    assert ops(changed(source, written_out)) == ["MatMul", op.split("<")[0]]


def opsets(form: str) -> list[int]:
    """One that has the operator, the oldest in which the form can be written, and the newest without the operator."""
    op, since, text = FORMS[form]
    oldest = max([7, *(first for name, first in OLDEST.items() if name in text)])
    newest = FIRST.get(op.split("<")[0], since) - 1
    return [since, *sorted({opset for opset in (oldest, newest) if opset >= oldest})]


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
@pytest.mark.parametrize("form", FORMS)
def test_every_treatment_gives_the_answer_of_the_operator(form: str, engine: str) -> None:
    op, since, text = FORMS[form]
    alone = model(f"{HEAD} {{ h = MatMul(x, w) y = {op}(h) }}", since, w=W, **C)
    one = onnxdtd.Explainer(alone, input_range=(-4, 4))
    answers = {m: one.by(m, engine=engine)(X, 1).relevance["x"] for m in TREATMENTS}
    for opset in opsets(form) if engine == "numpy" else opsets(form)[1:2]:
        source = model(f"{HEAD} {{ h = MatMul(x, w) {text} }}", opset, w=W, **C)
        out = onnxdtd.Explainer(source, input_range=(-4, 4))
        assert ops(out.graph) == ["MatMul", op.split("<")[0]]
        same(load(source), out.graph)
        for method, answer in answers.items():
            other = out.by(method, engine=engine)(X, 1).relevance["x"]
            scale = 1e-5 * max(np.abs(answer).max(), 1e-3)
            np.testing.assert_allclose(other, answer, rtol=1e-4, atol=scale, err_msg=f"{method}, {opset}")


@pytest.mark.parametrize(
    "text",
    [
        "y = Clip(h, zero, six)", "y = Add(h, one)", "y = Max(h, half)", "e = Exp(h) y = Add(e, one)",
        "t = Add(h, h) y = Max(t, x)", "s = Sub(h, half) y = Max(s, zero)", "y = Relu(h)",
    ],
)  # fmt: skip
def test_what_is_something_else_is_left_alone(text: str) -> None:
    source = graph(f"{HEAD} {{ h = MatMul(x, w) {text} }}", 20, w=W, **C)
    if text.startswith("s = Sub"):
        assert ops(written_out(source)) == ["MatMul", "Sub", "Relu"]
    else:
        unchanged(source, written_out)


def test_a_value_inside_that_is_read_elsewhere_keeps_its_nodes() -> None:
    head = "(float[N, 4] h) => (float[N, 4] y, float[N, 4] c)"
    source = graph(f"{head} {{ {GATE} m = Mul(h, c) y = Div(m, six) }}", 14, **C)
    assert sorted(ops(canonise(source))) == ["Add", "Clip", "HardSwish"]


@pytest.mark.parametrize(
    ("text", "made"),
    [("y = Max(x, zero)", ["Relu"]), ("s = Mul(x, tenth) y = Max(x, s)", ["Mul", "Max"])],
)
def test_in_float64_onnxruntime_runs_what_it_has_there(text: str, made: list[str]) -> None:
    head = "(double[N, 4] x) => (double[N, 4] y)"
    source = graph(f"{head} {{ {text} }}", 17, zero=np.float64(0), tenth=np.float64(0.1))
    after = changed(source, written_out)
    assert [proto.op_type for proto in after.to_proto().graph.node] == made


def test_what_computes_it_keeps_names_of_its_own() -> None:
    """Two of a kind, whose inner values are called alike in the file that onnxruntime runs."""
    head = "(float[N, 4] x) => (float[N, 4] y)"
    text = "s = Sigmoid(x) a = Mul(x, s) t = Sigmoid(a) b = Mul(a, t) y = Add(b, s)"
    after = changed(graph(f"{head} {{ {text} }}", 17), written_out)
    assert sorted(ops(after)) == ["Add", "Sigmoid", "Swish", "Swish"]
    values = [value for proto in after.to_proto().graph.node for value in proto.output]
    assert len(set(values)) == len(values) == 6
