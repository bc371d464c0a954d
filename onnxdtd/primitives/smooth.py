"""Smooth functions, of which slopes are made, an inverse that stays finite, and cofactors."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxdtd.primitives.arithmetic import absolute, where
from onnxdtd.primitives.seam import Array, primitive
from onnxdtd.primitives.shaping import unsqueeze
from onnxdtd.primitives.sides import equal, greater
from onnxdtd.primitives.sizes import size, unit


@primitive("Exp")
def exp(x: Array) -> Any:
    """e^x, elementwise."""
    with np.errstate(over="ignore", under="ignore"):
        return np.exp(x)


@primitive("Log")
def log(x: Array) -> Any:
    """The natural logarithm, elementwise."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(x)


@primitive("Sqrt")
def sqrt(x: Array) -> Any:
    """The square root, elementwise."""
    with np.errstate(invalid="ignore"):
        return np.sqrt(x)


@primitive("Pow")
def power(x: Array, p: Array | float) -> Any:
    """x^p, elementwise."""
    with np.errstate(all="ignore"):
        return np.power(x, p)


@primitive("Sin")
def sin(x: Array) -> Any:
    """The sine, elementwise."""
    return np.sin(x)


@primitive("Cos")
def cos(x: Array) -> Any:
    """The cosine, elementwise."""
    return np.cos(x)


@primitive("Sinh")
def sinh(x: Array) -> Any:
    """(e^x - e^-x) / 2, elementwise."""
    with np.errstate(over="ignore"):
        return np.sinh(x)


@primitive("Cosh")
def cosh(x: Array) -> Any:
    """(e^x + e^-x) / 2, elementwise."""
    with np.errstate(over="ignore"):
        return np.cosh(x)


@primitive("Sigmoid")
def sigmoid(x: Array) -> Any:
    """1 / (1 + e^-x), elementwise."""
    with np.errstate(over="ignore", under="ignore"):
        return np.exp(-np.logaddexp(np.zeros((), x.dtype), -x))


@primitive("Tanh")
def tanh(x: Array) -> Any:
    """The hyperbolic tangent, elementwise."""
    return np.tanh(x)


@primitive("Sign")
def sign(x: Array) -> Any:
    """-1, 0 or 1, elementwise."""
    return np.sign(x)


def inverse(x: Any) -> Any:
    """1 / x; 0 where x is no number, or smaller than the smallest normal one."""
    fine = greater(absolute(x), np.asarray(np.finfo(x.dtype).tiny, x.dtype))
    return where(fine, 1.0 / where(fine, x, 1.0), 0.0)


def _trace_cofactors(x: Any) -> Any:
    """Of row i, column j: the determinant of x with row i replaced by row j of the unit matrix."""
    one = unit(size(x, -1), x)
    replaced, by = unsqueeze(equal(one, 1.0), axes=(1, 3)), unsqueeze(one, axes=(0, 2))
    each = where(replaced, by, unsqueeze(x, axes=(x.ndim - 2, x.ndim - 1)))
    return each.tracer.emit("Det", each, shape=x.shape)


@primitive(trace=_trace_cofactors)
def cofactors(x: Array) -> Any:
    """The derivative of det x, of shape (..., n, n): det(x) x^-T, also where x is singular.

    With x = U diag(s) V it is det(U) det(V) U diag(product of the other s) V. A graph, which has no such
    decomposition, holds n^4 numbers of each matrix.
    """
    u, s, v = np.linalg.svd(x.astype(np.float64))
    others = np.where(np.eye(s.shape[-1], dtype=bool), 1.0, s[..., None, :]).prod(axis=-1)
    turn = (np.linalg.det(u) * np.linalg.det(v))[..., None, None]
    return (turn * ((u * others[..., None, :]) @ v)).astype(x.dtype)
