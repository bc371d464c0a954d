from __future__ import annotations

import numpy as np
import pytest

import onnxdtd
from onnxdtd.model.canonise.sigmoid import sigmoid
from tests.support.model_text import changed, graph, model, ops, unchanged

CONSTANTS = {"one": np.float32(1), "minus": np.float32([-1]), "zero": np.float32(0), "two": np.float32(2)}
FORMS = {
    "reciprocal": "u = Neg(x) e = Exp(u) d = Add(e, one) y = Reciprocal(d)",
    "one over": "u = Mul(x, minus) e = Exp(u) d = Add(one, e) y = Div(one, d)",
    "power": "u = Sub(zero, x) e = Exp(u) d = Add(one, e) y = Pow(d, minus)",
    "both sides": "e = Exp(x) d = Add(e, one) y = Div(e, d)",
}
HEAD = "(float[N, 9] x) => (float[N, 9] y)"


@pytest.mark.parametrize("form", FORMS)
def test_a_written_out_sigmoid_becomes_one(form):
    after = changed(graph(f"{HEAD} {{ {FORMS[form]} }}", **CONSTANTS), sigmoid)
    assert ops(after) == ["Sigmoid"]


@pytest.mark.parametrize(
    "other",
    ["e = Exp(x) d = Add(e, one) y = Reciprocal(d)", "u = Neg(x) e = Exp(u) d = Add(e, two) y = Div(one, d)"],
)
def test_what_is_no_sigmoid_stays(other):
    unchanged(graph(f"{HEAD} {{ {other} }}", **CONSTANTS), sigmoid)


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
@pytest.mark.parametrize("method", ["gradient", "attnlrp", "epsilon_plus", "dtd"])
@pytest.mark.parametrize("form", ["reciprocal", "one over", "power"])
def test_far_out_it_has_a_slope_of_zero(form, method, engine):
    x = np.float32([[97.7, -97.7, 1000, -1000, 88.8, -104, 0, 1e-20, 3e4]])
    proto = model(f"{HEAD} {{ {FORMS[form].replace('y =', 's =')} y = Mul(s, two) }}", **CONSTANTS)
    for target in range(9):
        e = onnxdtd.explain(proto, x, target, method=method, engine=engine, input_range=(-1e5, 1e5))
        assert np.isfinite(e.relevance["x"]).all()
