"""Search directions of Deep Taylor's rules: v_j(a) = share a + offset, along which neuron j's root is looked for.

Each takes a (..., inputs), w (..., outputs, inputs), the domain's low and high, and gamma; share and offset are
(..., outputs, inputs). Source: Montavon et al. 2017, section 4; gamma's as Sixt and Landgraf 2022 read it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.types import Array

Direction = tuple[Array, Array]


def along_input(a: Array, w: Array, low: Any, high: Any, gamma: float) -> Direction:
    """v = a."""
    none = np.zeros(exciting(a, w).shape)
    return none + 1.0, none


def along_exciting(a: Array, w: Array, low: Any, high: Any, gamma: float) -> Direction:
    """v = a 1[a w > 0]."""
    excites = exciting(a, w)
    return excites.astype(np.float64), np.zeros(excites.shape)


def along_boosted(a: Array, w: Array, low: Any, high: Any, gamma: float) -> Direction:
    """v = a (1 + gamma 1[a w > 0])."""
    excites = exciting(a, w)
    return 1.0 + gamma * excites, np.zeros(excites.shape)


def along_weights(a: Array, w: Array, low: Any, high: Any, gamma: float) -> Direction:
    """v = w."""
    none = np.zeros(exciting(a, w).shape)
    return none, none + w


def within_box(a: Array, w: Array, low: Any, high: Any, gamma: float) -> Direction:
    """v = a - low 1[w > 0] - high 1[w < 0]."""
    none = np.zeros(exciting(a, w).shape)
    return none + 1.0, none - np.asarray(low) * (w > 0) - np.asarray(high) * (w < 0)


def exciting(a: Array, w: Array) -> npt.NDArray[np.bool_]:
    """Where a w > 0, for every neuron."""
    return np.asarray(a[..., None, :] * w > 0)
