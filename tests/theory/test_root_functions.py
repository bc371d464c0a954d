"""What the recursion is made of: derivatives of any order, and the rules' roots with how they move."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from onnxdtd.theory.chain import dense
from onnxdtd.theory.recursion import recursion
from onnxdtd.theory.root_functions import SEARCHED, RuleRoot
from onnxdtd.theory.tape import Variable, gradient

Array = np.ndarray


def test_gradients_of_gradients_are_exact(rng: np.random.Generator) -> None:
    m, x = rng.standard_normal((3, 3)), rng.random((1, 3)) + 1

    def f(a: Variable | Array) -> Variable | Array:
        return (1.0 / (a @ m + 20.0) - a * a / (2.0 - a @ m.T * 0.1)).sum(1)

    def complex_step(g: Callable[[Array], Array], x: Array) -> Array:
        return np.array([g(x + 1e-30j * e[None]).imag[0] / 1e-30 for e in np.eye(3)])

    point = Variable(x)
    first = gradient(f(point), point, np.ones(1))
    np.testing.assert_allclose(first.value[0], complex_step(f, x), rtol=1e-12)
    # The second derivative along a line, against the first derivatives at complex points, written out.
    u = rng.standard_normal(3)

    def along(a: Array) -> Array:
        p, q = 1 / (a @ m + 20), 1 / (2 - a @ m.T * 0.1)
        return (-(p * p) @ m.T - 2 * a * q - (a * a * q * q * 0.1) @ m) @ u

    second = gradient((first * u).sum(1), point, np.ones(1))
    np.testing.assert_allclose(second.value[0], complex_step(along, x), rtol=1e-12)


@pytest.mark.parametrize(
    ("rule", "root", "relevance"),
    [("zplus", (0.75, 1.0), (0.5, 0.0)), ("wsquare", (0.8, 1.1), (0.4, 0.1)),
     (RuleRoot("zbox", 0.0, 3.0), (0.875, 1.25), (0.25, 0.25)), ("epsilon", (0.5, 0.5), (1.0, -0.5))],
    ids=["zplus", "wsquare", "zbox", "epsilon"],
)  # fmt: skip
def test_the_worked_example(rule: str | RuleRoot, root: tuple, relevance: tuple) -> None:
    result = recursion([dense([[2.0, -1.0]], [-0.5])], [rule])(np.ones(2))
    np.testing.assert_allclose(result.roots[0][0], root, rtol=1e-8)
    np.testing.assert_allclose(result.relevance[0], relevance, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(result.unresolved[0], 0, atol=1e-9)


@pytest.mark.parametrize("rule", SEARCHED)
def test_the_rules_roots_move_as_their_derivative_says(rule: str, rng: np.random.Generator) -> None:
    layer, x = dense(rng.standard_normal((4, 5)), -rng.random(4) / 10), rng.random((1, 5)) + 0.1
    root, seed = RuleRoot(rule, 0.0, 2.0), rng.standard_normal((1, 4, 5))
    point = Variable(x)
    moved = gradient(root(point, layer), point, seed).value[0]
    h = 1e-6
    ends = [[(root(Variable(x + s * h * e), layer).value * seed).sum() for s in (1, -1)] for e in np.eye(5)]
    np.testing.assert_allclose(moved, [(up - down) / (2 * h) for up, down in ends], rtol=1e-6, atol=1e-7)
