"""Curves as their definitions say, in float64: onnx's reference implementation has its error function in float32, no
GlobalLpPool, and another meaning of ceil_mode than onnxruntime.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

Array = np.ndarray
Ints = Sequence[int]


def erf(x: Array, *, opset: int) -> Array:
    return np.array([math.erf(v) for v in x.reshape(-1)]).reshape(x.shape)


def gelu(x: Array, *, approximate: str = "none", opset: int) -> Array:
    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + erf(x / math.sqrt(2), opset=opset))


def global_lp_pool(x: Array, *, p: int = 2, opset: int) -> Array:
    return (np.abs(x) ** p).sum(tuple(range(2, x.ndim)), keepdims=True) ** (1 / p)


def lp_pool(
    x: Array,
    *,
    kernel_shape: Ints,
    p: int = 2,
    strides: Ints | None = None,
    pads: Ints | None = None,
    dilations: Ints | None = None,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    opset: int,
) -> Array:
    """Window by window; what lies outside x adds nothing."""
    rank = len(kernel_shape)
    step, gap, around = strides or [1] * rank, dilations or [1] * rank, pads or [0] * (2 * rank)
    extent = [(k - 1) * d + 1 for k, d in zip(kernel_shape, gap, strict=True)]
    shape = []
    for i, length in enumerate(x.shape[2:]):
        count = (length + around[i] + around[rank + i] - extent[i]) / step[i] + 1
        shape.append(math.ceil(count) if ceil_mode else math.floor(count))
    if auto_pad == "SAME_UPPER":
        shape = [-(-length // s) for length, s in zip(x.shape[2:], step, strict=True)]
        around = [
            max((o - 1) * s + e - n, 0) // 2
            for o, s, e, n in zip(shape, step, extent, x.shape[2:], strict=True)
        ]
    y = np.zeros((*x.shape[:2], *shape))
    for o in np.ndindex(*shape):
        for k in np.ndindex(*kernel_shape):
            at = [o[i] * step[i] + k[i] * gap[i] - around[i] for i in range(rank)]
            if all(0 <= a < n for a, n in zip(at, x.shape[2:], strict=True)):
                y[:, :, *o] += np.abs(x[:, :, *at]) ** p
    return y ** (1 / p)


CURVES: dict[str, Callable[..., Array]] = {
    "Erf": erf,
    "Gelu": gelu,
    "GlobalLpPool": global_lp_pool,
    "LpPool": lp_pool,
}
