"""Norms as their definitions say, in float64: onnx's reference implementation keeps float32 inside some of them, and
does not know the older Softmax."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tests.support.cell_oracle import CELLS
from tests.support.curve_oracle import CURVES

Array = np.ndarray


def softmax(x: Array, *, opset: int, axis: int | None = None) -> Array:
    if opset >= 13:
        return _share(x, -1 if axis is None else axis)
    rows = int(np.prod(x.shape[: 1 if axis is None else axis]))
    return _share(x.reshape(rows, -1), 1).reshape(x.shape)


def _share(x: Array, axis: int) -> Array:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def group_normalization(
    x: Array, scale: Array, shift: Array, *, num_groups: int, epsilon: float = 1e-5, opset: int
) -> Array:
    groups = x.reshape(len(x), num_groups, -1)
    unit = (groups - groups.mean(2, keepdims=True)) / np.sqrt(groups.var(2, keepdims=True) + epsilon)
    shape = (1, -1) + (1,) * (x.ndim - 2)
    return unit.reshape(x.shape) * scale.reshape(shape) + shift.reshape(shape)


def mean_variance(x: Array, *, axes: Any = (0, 2, 3), opset: int) -> Array:
    over = tuple(axes)
    return (x - x.mean(over, keepdims=True)) / (x.std(over, keepdims=True) + 1e-9)


def lp_normalization(x: Array, *, axis: int = -1, p: int = 2, opset: int) -> Array:
    return x / (np.abs(x) ** p).sum(axis, keepdims=True) ** (1 / p)


def lrn(
    x: Array, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0, opset: int
) -> Array:
    y = np.empty_like(x)
    for c in range(x.shape[1]):
        low, high = max(0, c - (size - 1) // 2), min(x.shape[1] - 1, c + size // 2)
        squares = (x[:, low : high + 1] ** 2).sum(1)
        y[:, c] = x[:, c] / (bias + alpha / size * squares) ** beta
    return y


def _first(cell: Callable[..., tuple[Array, ...]], *inputs: Any, opset: int, **attributes: Any) -> Array:
    return cell(*inputs, **attributes)[0]


FORWARD: dict[str, Callable[..., Array]] = {
    **CURVES,
    **{op: partial(_first, cell) for op, cell in CELLS.items()},
    "Softmax": softmax,
    "LogSoftmax": lambda x, **attributes: np.log(softmax(x, **attributes)),
    "GroupNormalization": group_normalization,
    "MeanVarianceNormalization": mean_variance,
    "LpNormalization": lp_normalization,
    "LRN": lrn,
}
