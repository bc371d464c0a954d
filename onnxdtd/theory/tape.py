"""Exact derivatives of any order for what the recursive Taylor method is made of.

Relevance functions of ReLU networks are rational and piecewise linear, so three primitives are enough:

    linear      y = A x            adjoint  g -> A^T g
    product     y = x u            adjoint  g -> g u, g x
    reciprocal  y = 1 / x          adjoint  g -> -g y^2

An adjoint is written with the same primitives. A gradient is therefore a variable like any other, and has a
gradient of its own: the recursion differentiates relevance functions that hold derivatives themselves.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.types import Array

_clock = itertools.count()


class Variable:
    """An array (float64) that knows what it was computed from.

    It takes + - * / with arrays, numbers and variables (broadcast as NumPy does), `@` with a constant matrix on
    its right, and `sum`, `reshape`, `expand`, `where`. Comparisons are made on `value`: what they decide is
    locally constant, so it has no derivative.
    """

    __slots__ = ("age", "parents", "value")
    # Makes an array on the left of an operator leave it to the methods below.
    __array_ufunc__ = None

    def __init__(
        self, value: npt.ArrayLike, *parents: tuple[Variable, Callable[[Variable], Variable]]
    ) -> None:
        self.value: Array = np.asarray(value, np.float64)
        self.parents = parents
        self.age = next(_clock)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the value."""
        return self.value.shape

    def __add__(self, other: Any) -> Variable:
        x, u = _aligned(self, other)
        return Variable(x.value + u.value, (x, lambda g: g), (u, lambda g: g))

    def __mul__(self, other: Any) -> Variable:
        x, u = _aligned(self, other)
        return Variable(x.value * u.value, (x, lambda g: g * u), (u, lambda g: g * x))

    def __rtruediv__(self, other: Any) -> Variable:
        inverse = Variable(1.0 / self.value, (self, lambda g: -(g * inverse * inverse)))
        return inverse * variable(other)

    def __neg__(self) -> Variable:
        return linear(self, np.negative, np.negative)

    def __sub__(self, other: Any) -> Variable:
        return self + -variable(other)

    def __rsub__(self, other: Any) -> Variable:
        return -self + variable(other)

    def __truediv__(self, other: Any) -> Variable:
        return self * (1.0 / variable(other))

    def __matmul__(self, matrix: Array) -> Variable:
        return linear(self, lambda x: x @ matrix, lambda g: g @ matrix.T)

    __radd__ = __add__
    __rmul__ = __mul__

    def where(self, mask: Array) -> Variable:
        """x where the mask, else 0; the mask has x's shape."""
        return linear(self, lambda x: np.where(mask, x, 0.0), lambda g: np.where(mask, g, 0.0))

    def reshape(self, *shape: int) -> Variable:
        """The same values in another shape."""
        return linear(self, lambda x: x.reshape(shape), lambda g: g.reshape(self.shape))

    def expand(self, *shape: int) -> Variable:
        """Broadcast to a shape."""
        if shape == self.shape:
            return self
        return linear(self, lambda x: np.broadcast_to(x, shape), lambda g: _gathered(g, self.shape))

    def sum(self, axis: int) -> Variable:
        """The sum over one axis."""
        where, shape = axis % self.value.ndim, self.shape
        return linear(
            self, lambda x: x.sum(where), lambda g: np.broadcast_to(np.expand_dims(g, where), shape)
        )


def variable(x: Any) -> Variable:
    """x itself, or a constant."""
    return x if isinstance(x, Variable) else Variable(x)


def linear(x: Variable, apply: Callable[[Array], Array], adjoint: Callable[[Array], Array]) -> Variable:
    """y = A x, for a linear map given as two functions of arrays: <A x, g> = <x, A^T g>."""
    return Variable(apply(x.value), (x, lambda g: linear(g, adjoint, apply)))


def gradient(y: Variable, x: Variable, seed: npt.ArrayLike) -> Variable:
    """sum over the elements of y of seed * dy / dx, shaped like x: a variable, to be differentiated again.

    x may have parents; it is held as the point of the derivative. What is older than x cannot depend on it.
    """
    arriving = {y.age: variable(seed).expand(*y.shape)}
    variables, ages = {y.age: y}, [-y.age]
    while ages:
        node = variables[-heapq.heappop(ages)]
        if node is x:
            return arriving[x.age]
        g = arriving.pop(node.age)
        for parent, back in node.parents:
            if parent.age < x.age:
                continue
            if parent.age in arriving:
                arriving[parent.age] = arriving[parent.age] + back(g)
            else:
                arriving[parent.age], variables[parent.age] = back(g), parent
                heapq.heappush(ages, -parent.age)
    return Variable(np.zeros(x.shape))


def _aligned(x: Any, u: Any) -> tuple[Variable, Variable]:
    x, u = variable(x), variable(u)
    shape = np.broadcast_shapes(x.shape, u.shape)
    return x.expand(*shape), u.expand(*shape)


def _gathered(g: Array, shape: tuple[int, ...]) -> Array:
    """The adjoint of broadcasting: sums over what was repeated."""
    g = g.reshape(math.prod(g.shape[: g.ndim - len(shape)]), *g.shape[g.ndim - len(shape) :]).sum(0)
    repeated = tuple(i for i, n in enumerate(shape) if n == 1 and g.shape[i] != 1)
    return np.asarray(g.sum(repeated, keepdims=True))
