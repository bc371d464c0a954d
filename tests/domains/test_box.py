"""Bounds are carried to where the first layer sees them, through what is affine in each value; never too tight."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnxdtd import Explainer
from onnxdtd.domains.box import Boxes
from onnxdtd.domains.propagation import domains
from tests.support.model_text import graph

X = "(float[N, 2] x) => (float[N, 2] y)"
RANGE = (-1.0, 1.0)


@pytest.mark.parametrize(
    ("body", "low", "high"),
    [
        ("h = Sub(x, c) y = Div(h, s)", [-1.0, -1.0], [-1 / 3, 0.0]),
        ("h = Neg(x) y = Mul(h, s)", [-3.0, -2.0], [3.0, 2.0]),
        ("y = Sub(c, x)", [1.0, 0.0], [3.0, 2.0]),
        ("r = Reshape(x, flip) y = Add(r, c)", [1.0, 0.0], [3.0, 2.0]),
        ("a = Mul(x, s) b = Neg(x) y = Add(a, b)", [-4.0, -3.0], [4.0, 3.0]),
        ("a = Neg(x) y = Mul(x, a)", [-1.0, -1.0], [1.0, 1.0]),
        # Not affine in x: the value's own domain.
        ("y = Div(c, x)", -np.inf, np.inf),
        ("y = Mul(x, x)", 0.0, 1.0),
        ("y = Exp(x)", np.exp(-1.0), np.exp(1.0)),
    ],
)
def test_the_bounds_of_a_value(body: str, low: list[float], high: list[float]) -> None:
    constants = {
        "c": np.array([2, 1], np.float32),
        "s": np.array([3, 2], np.float32),
        "flip": np.array([-1, 2]),
    }
    g = graph(f"{X} {{ {body} }}", **constants)
    box = Boxes(g, RANGE, domains(g, RANGE)).at("y")
    for end, expected in ((box.low, low), (box.high, high)):
        np.testing.assert_allclose(np.broadcast_to(end, (1, 2))[0], np.broadcast_to(expected, 2), rtol=1e-6)


def test_no_bounds_without_a_range() -> None:
    g = graph(f"{X} {{ y = Neg(x) }}")
    assert Boxes(g, None, domains(g)).at("y").kind == "unbounded"


@pytest.mark.parametrize(
    ("body", "within", "kind"),
    [
        ("y = Exp(x)", (-300, 300), "below"),
        ("h = Neg(x) y = Exp(h)", (-1, 40), "bounded"),
        ("y = Neg(x)", (-1e20, 1), "below"),
        ("y = Relu(x)", (-1e25, 1e30), "nonnegative"),
    ],
)
def test_an_end_of_which_float32_holds_no_product_is_none(
    body: str, within: tuple[float, float], kind: str
) -> None:
    g = graph(f"{X} {{ {body} }}")
    assert Boxes(g, within, domains(g, within)).at("y").kind == kind


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_what_lies_behind_a_wide_range_has_relevance(engine: str) -> None:
    """x in [-300, 300], so e^x ends at 2e130: the first layer takes it as not negative. z = (8, 3) weighs 2 and 1."""
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["": 17]> wide (float[N, 2] x) => (float[N, 1] y)
        <float[2, 1] w = {2, 1}> { h = Exp(x) y = MatMul(h, w) }"""
    )
    x = np.log(np.array([[8, 3]], np.float32))
    r = Explainer(model, "dtd", input_range=(-300, 300), engine=engine)(x).relevance["x"]
    np.testing.assert_allclose(r, [[16, 3]], rtol=1e-5)
