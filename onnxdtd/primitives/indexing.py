"""Gather and Scatter by index arrays in NumPy, for what onnx's reference implementation does by loops or lacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Index = tuple[Any, ...]


def gather_elements(x: Any, indices: Any, *, axis: int = 0) -> Any:
    """y[.., i, ..] = x[.., indices[.., i, ..], ..]; off the axis, indices may cover a corner of x."""
    return x[_elements(indices, axis % x.ndim, x.ndim)]


def gather_nd(x: Any, indices: Any, *, batch_dims: int = 0) -> Any:
    """y[i] = x[indices[i]] by tuples of leading coordinates, within each of the batch axes."""
    return x[_tuples(indices, batch_dims)]


def scatter_elements(x: Any, indices: Any, updates: Any, *, axis: int = 0, reduction: str = "none") -> Any:
    """A copy of x with updates at `gather_elements`' places."""
    return _put(x, _elements(indices, axis % x.ndim, x.ndim), updates, reduction)


def scatter_nd(x: Any, indices: Any, updates: Any, *, reduction: str = "none") -> Any:
    """A copy of x with updates at `gather_nd`'s places."""
    return _put(x, _tuples(indices, 0), updates, reduction)


def _elements(indices: Any, axis: int, rank: int) -> Index:
    grid = np.ogrid[tuple(slice(n) for n in indices.shape)] if rank else []
    return tuple(indices if i == axis else part for i, part in enumerate(grid))


def _tuples(indices: Any, batch_dims: int) -> Index:
    lead = np.ogrid[tuple(slice(n) for n in indices.shape[:-1])][:batch_dims] if batch_dims else []
    return (*lead, *np.moveaxis(indices, -1, 0))


def _put(x: Any, where: Index, updates: Any, reduction: str) -> Any:
    out = x.copy()
    if reduction == "none":
        out[where] = updates
    else:
        {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}[reduction].at(
            out, where, updates
        )
    return out


BODIES: dict[str, Callable[..., Any]] = {
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "Scatter": scatter_elements,
    "ScatterElements": scatter_elements,
    "ScatterND": scatter_nd,
}
