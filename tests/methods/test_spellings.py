"""One function, one answer: however a model spells an affine map, every method of one walk explains it alike."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.model_text import model, run
from tests.support.spellings import Function

RNG = np.random.default_rng(5)
W = RNG.normal(size=(3, 4)).astype(np.float32)
B = RNG.normal(size=4).astype(np.float32)
K = RNG.normal(size=(2, 2, 3, 3)).astype(np.float32)
S, C = RNG.uniform(0.5, 2, 2).astype(np.float32), RNG.normal(size=2).astype(np.float32)
S4, C4 = np.float32([-1.5, 0.5, 2, 1]), RNG.normal(size=4).astype(np.float32)
S3, C3 = np.float32([-0.5, 2, 1.5]), RNG.normal(size=3).astype(np.float32)
ROW = np.float32([[-2], [0.5]])
PIXEL = RNG.normal(size=(2, 4, 4)).astype(np.float32)
COLUMN = {"scale": S.reshape(2, 1, 1), "shift": C.reshape(2, 1, 1)}
CONSTANTS = {
    "w": W, "b": B, "wm": W.reshape(1, 3, 4), "k": K, "one": np.int64([1]), "two": np.int64([2]), **COLUMN,
    "away": -COLUMN["shift"], "under": 1 / COLUMN["scale"], "s": S, "c": C, "zero": np.zeros(2, np.float32),
    "unit": np.ones(2, np.float32), "s4": S4, "c4": C4, "s3": S3, "c3": C3, "row": ROW,
    "zero4": np.zeros(4, np.float32), "unit4": np.ones(4, np.float32),
    "zero3": np.zeros(3, np.float32), "unit3": np.ones(3, np.float32),
    "w_s4": W * S4, "s3_w": S3[:, None] * W, "c3_w": C3 @ W, "c3_over": C3 / S3, "row_w": ROW[:, :, None] * W,
    "wt": np.ascontiguousarray(W.T), "s4_column": S4[:, None], "c4_column": C4[:, None], "c4_over": C4 / S4,
    "s4_twice": np.tile(S4, 2), "c4_twice": np.tile(C4, 2), "s3_twice": np.tile(S3, 2), "c3_twice": np.tile(C3, 2),
    "s_all": np.repeat(S, 16), "c_all": np.repeat(C, 16), "as_rows": np.int64([-1, 2, 4]), "pixel": PIXEL,
    "as_triples": np.int64([-1, 2, 3]), "flat": np.int64([0, -1]), "as_image": np.int64([0, 2, 4, 4]),
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
BEHIND_FORMS |= {
    "behind a Transpose": "h = Conv<pads = [1, 1, 1, 1]>(a, k) t = Transpose<perm = [0, 2, 3, 1]>(h) p = Mul(t, s) "
    "q = Add(p, c) y = Transpose<perm = [0, 3, 1, 2]>(q)",
    "behind a Reshape": "h = Conv<pads = [1, 1, 1, 1]>(a, k) t = Reshape(h, flat) p = Mul(s_all, t) "
    "q = Add(p, c_all) y = Reshape(q, as_image)",
}
BEFORE_FORMS |= {
    "before a Transpose": "t = Transpose<perm = [0, 2, 3, 1]>(a) p = Mul(t, s) q = Add(p, c) "
    "n = Transpose<perm = [0, 3, 1, 2]>(q) y = Conv<pads = [1, 1, 1, 1]>(n, k)",
    "before a Reshape": "t = Flatten(a) p = Mul(t, s_all) q = Add(p, c_all) n = Reshape(q, as_image) "
    "y = Conv<pads = [1, 1, 1, 1]>(n, k)",
}
PIXEL_FORMS = {
    "bias by position": "h = Conv<pads = [1, 1, 1, 1]>(a, k) y = Add(h, pixel_k)",
    "shift": "n = Add(a, pixel) y = Conv<pads = [1, 1, 1, 1]>(n, k)",
    "shift before a Transpose": "t = Transpose<perm = [0, 3, 1, 2]>(a) m = Add(t, pixel_turned) "
    "n = Transpose<perm = [0, 2, 3, 1]>(m) y = Conv<pads = [1, 1, 1, 1]>(n, k)",
}
TURN = "Transpose<perm = [0, 2, 1]>"
ROWS_BEHIND_FORMS = {
    "weights": "m = MatMul(a, w_s4) y = Add(m, c4)",
    "product and sum": "m = MatMul(a, w) p = Mul(m, s4) y = Add(p, c4)",
    "sum and product": "m = MatMul(a, w) p = Add(m, c4_over) y = Mul(p, s4)",
    "Einsum": 'm = Einsum<equation = "nti,ij->ntj">(a, w) p = Mul(m, s4) y = Add(c4, p)',
    "implicit Einsum": 'm = Einsum<equation = "...i,ij">(a, w) p = Mul(m, s4) y = Add(c4, p)',
    "behind a Transpose": f"m = MatMul(a, w) t = {TURN}(m) n = {BN}(t, s4, c4, zero4, unit4) y = {TURN}(n)",
    "behind a Reshape": "m = MatMul(a, w) t = Flatten(m) p = Mul(t, s4_twice) q = Add(p, c4_twice) "
    "y = Reshape(q, as_rows)",
    "weights first": f"t = {TURN}(a) m = MatMul(wt, t) p = Mul(m, s4_column) q = Add(p, c4_column) y = {TURN}(q)",
    "Gemm of rows": "r = Reshape(a, triples) m = Gemm(r, w) p = Mul(m, s4) q = Add(p, c4) y = Reshape(q, as_rows)",
}
ROWS_BEFORE_FORMS = {
    "weights": "m = MatMul(a, s3_w) y = Add(m, c3_w)",
    "product and sum": "p = Mul(a, s3) n = Add(p, c3) y = MatMul(n, w)",
    "sum and product": "p = Add(a, c3_over) n = Mul(p, s3) y = MatMul(n, w)",
    "Einsum": 'p = Mul(a, s3) n = Add(p, c3) y = Einsum<equation = "nti,ij->ntj">(n, w)',
    "before a Transpose": f"t = {TURN}(a) m = {BN}(t, s3, c3, zero3, unit3) n = {TURN}(m) y = MatMul(n, w)",
    "before a Reshape": "t = Flatten(a) p = Mul(t, s3_twice) q = Add(p, c3_twice) n = Reshape(q, as_triples) "
    "y = MatMul(n, w)",
}
BY_ROW_FORMS = {
    "weights": 'y = Einsum<equation = "nti,tij->ntj">(a, row_w)',
    "behind": "m = MatMul(a, w) y = Mul(m, row)",
    "before": "n = Mul(a, row) y = MatMul(n, w)",
}
CONSTANTS |= {
    "pixel_turned": np.ascontiguousarray(PIXEL.transpose(2, 0, 1)), "triples": np.int64([-1, 3]),
    "pixel_k": run(
        model("(float[1, 2, 4, 4] x) => (float[1, 2, 4, 4] y) { y = Conv<pads = [1, 1, 1, 1]>(x, k) }", k=K),
        {"x": PIXEL[None]},
    )[0],
}  # fmt: skip
ROWS = "(float[N, 2, 3] x) => (float[N, 2, 4] y)"
IMAGE = "(float[N, 2, 4, 4] x) => (float[N, 2, 4, 4] y)"
FUNCTIONS = {
    "dense": Function.behind_relu("(float[N, 3] x) => (float[N, 4] y)", DENSE_FORMS, (2, 3), (1,), CONSTANTS),
    "step behind a convolution": Function.behind_relu(
        IMAGE, BEHIND_FORMS, (2, 2, 4, 4), (1, 0, 2), CONSTANTS
    ),
    "step before a convolution": Function.behind_relu(
        IMAGE, BEFORE_FORMS, (2, 2, 4, 4), (1, 0, 2), CONSTANTS
    ),
    "shift by pixel": Function.behind_relu(IMAGE, PIXEL_FORMS, (2, 2, 4, 4), (1, 0, 2), CONSTANTS),
    "step behind rows": Function.behind_relu(ROWS, ROWS_BEHIND_FORMS, (2, 2, 3), (1, 1), CONSTANTS),
    "step before rows": Function.behind_relu(ROWS, ROWS_BEFORE_FORMS, (2, 2, 3), (1, 1), CONSTANTS),
    "scale by row": Function.behind_relu(ROWS, BY_ROW_FORMS, (2, 2, 3), (0, 1), CONSTANTS),
}
CASES = [(name, form) for name, function in FUNCTIONS.items() for form in list(function.forms)[1:]]


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
@pytest.mark.parametrize(("function", "form"), CASES)
def test_every_spelling_gives_one_answer(function: str, form: str, engine: str) -> None:
    FUNCTIONS[function].check(form, engine)
