"""One function, one answer: however a model spells an affine map, every method of one walk explains it alike."""

from __future__ import annotations

import numpy as np
import pytest

import onnxdtd
from onnxdtd.methods import METHODS
from tests.support.model_text import model

RNG = np.random.default_rng(5)
W = RNG.normal(size=(3, 4)).astype(np.float32)
B = RNG.normal(size=4).astype(np.float32)
K = RNG.normal(size=(2, 2, 3, 3)).astype(np.float32)
S, C = RNG.uniform(0.5, 2, 2).astype(np.float32), RNG.normal(size=2).astype(np.float32)
COLUMN = {"scale": S.reshape(2, 1, 1), "shift": C.reshape(2, 1, 1)}
CONSTANTS = {
    "w": W, "b": B, "wm": W.reshape(1, 3, 4), "k": K, "one": np.int64([1]), "two": np.int64([2]), **COLUMN,
    "away": -COLUMN["shift"], "under": 1 / COLUMN["scale"], "s": S, "c": C, "zero": np.zeros(2, np.float32),
    "unit": np.ones(2, np.float32),
}  # fmt: skip
BN = "BatchNormalization<epsilon = 0.0>"
DENSE_FORMS = {
    "Gemm": "y = Gemm(a, w, b)",
    "MatMul and Add": "m = MatMul(a, w) y = Add(b, m)",
    "of rank 3": "u = Unsqueeze(a, one) m = MatMul(u, w) d = Add(m, b) y = Squeeze(d, one)",
    "Einsum": 'm = Einsum<equation = "ni,ij->nj">(a, w) y = Add(m, b)',
    "Mul and ReduceSum": "u = Unsqueeze(a, two) p = Mul(u, wm) m = ReduceSum<keepdims = 0>(p, one) y = Add(m, b)",
}
BEHIND_FORMS = {
    "BatchNormalization": f"h = Conv<pads = [1, 1, 1, 1]>(a, k) y = {BN}(h, s, c, zero, unit)",
    "product and sum": "h = Conv<pads = [1, 1, 1, 1]>(a, k) p = Mul(h, scale) y = Add(p, shift)",
    "quotient and difference": "h = Conv<pads = [1, 1, 1, 1]>(a, k) p = Div(h, under) y = Sub(p, away)",
}
BEFORE_FORMS = {
    "BatchNormalization": f"n = {BN}(a, s, c, zero, unit) y = Conv<pads = [1, 1, 1, 1]>(n, k)",
    "product and sum": "p = Mul(a, scale) n = Add(p, shift) y = Conv<pads = [1, 1, 1, 1]>(n, k)",
    "quotient and difference": "p = Div(a, under) n = Sub(p, away) y = Conv<pads = [1, 1, 1, 1]>(n, k)",
}
IMAGE = "(float[N, 2, 4, 4] x) => (float[N, 2, 4, 4] y)"
FUNCTIONS = {
    "dense": ("(float[N, 3] x) => (float[N, 4] y)", DENSE_FORMS, (2, 3), (1,)),
    "step behind a convolution": (IMAGE, BEHIND_FORMS, (2, 2, 4, 4), (1, 0, 2)),
    "step before a convolution": (IMAGE, BEFORE_FORMS, (2, 2, 4, 4), (1, 0, 2)),
}
CASES = [(function, form) for function, (_, forms, *_) in FUNCTIONS.items() for form in list(forms)[1:]]


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize(("function", "form"), CASES)
def test_every_spelling_gives_one_answer(function: str, form: str, method: str, engine: str) -> None:
    head, forms, shape, target = FUNCTIONS[function]
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    first, other = (
        onnxdtd.explain(
            model(f"{head} {{ a = Relu(x) {forms[name]} }}", **CONSTANTS), x, target, method, engine,
            input_range=(-4, 4),
        ).relevance["x"]
        for name in (next(iter(forms)), form)
    )  # fmt: skip
    np.testing.assert_allclose(other, first, rtol=1e-5, atol=1e-5 * np.abs(first).max())
