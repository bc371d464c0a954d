"""Removed places filled from those around: linear imputation."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from onnxdtd.metrics.case import Case
from onnxdtd.types import Array

TOLERANCE = 1e-3
"""Of the equations' right side: what is left is far below the noise that is added."""
ROUNDS = 500


def imputed(case: Case, removed: npt.NDArray[np.bool_]) -> Array:
    """(D,): x with removed elements (D,), pixels in all channels, filled by `linear`, a table's by the mean."""
    x, parts = case.x.astype(np.float64), {}
    masks, means = case.view.split(removed[None]), case.view.split(case.background.mean[None])
    for name, part in case.view.split(x[None]).items():
        axes = case.view.places[name]
        gone, mean = masks[name][0], means[name][0]
        if not axes or gone.all():
            parts[name] = np.where(gone, mean, part[0])[None]
            continue
        order = [*axes, *(axis for axis in range(part[0].ndim) if axis not in axes)]
        grid, hole = part[0].transpose(order), gone.transpose(order)
        flat = grid.reshape(*grid.shape[: len(axes)], -1)
        filled = linear(flat, hole.reshape(flat.shape)[..., 0]).reshape(grid.shape)
        parts[name] = filled.transpose(np.argsort(order))[None]
    return np.asarray(case.view.join(parts)[0])


def linear(grid: Array, removed: npt.NDArray[np.bool_]) -> Array:
    """(*places, C): each removed place the weighted mean of its neighbours, of which many are removed too.

    sum_j w_ij (v_i - v_j) = 0 at every removed i, the neighbours j inside the picture; w is 2 for direct neighbours
    and 1 for diagonal ones. The equations are symmetric and positive, and solved by conjugate gradients.
    """
    hole = removed[..., None].astype(np.float64)
    weight = _around(np.ones(removed.shape)[..., None])

    def left(v: Array) -> Array:
        return np.asarray(hole * (weight * v - _around(v)))

    remaining = np.where(removed[..., None], 0.0, grid)
    right = hole * _around(remaining)
    v = hole * (remaining.sum(axis=tuple(range(removed.ndim))) / max(float((1 - hole).sum()), 1.0))
    rest = right - left(v)
    step, size = rest, float(np.vdot(rest, rest))
    for _ in range(ROUNDS):
        if math.sqrt(size) <= TOLERANCE * float(np.linalg.norm(right)):
            break
        image = left(step)
        length = size / float(np.vdot(step, image))
        v, rest = v + length * step, rest - length * image
        before, size = size, float(np.vdot(rest, rest))
        step = rest + size / before * step
    return np.asarray(np.where(removed[..., None], v, grid))


def _around(v: Array) -> Array:
    """The weighted sum of each place's neighbours: 1, 2, 1 along every axis, less the place itself."""
    total, axes = v, v.ndim - 1
    for axis in range(axes):
        here = np.moveaxis(total, axis, 0)
        summed = 2 * here
        summed[1:] += here[:-1]
        summed[:-1] += here[1:]
        total = np.moveaxis(summed, 0, axis)
    return np.asarray(total - 2**axes * v)
