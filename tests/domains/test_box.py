"""Bounds are carried to where the first layer sees them, through what is affine in each value; never too tight."""

from __future__ import annotations

import numpy as np
import pytest

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
