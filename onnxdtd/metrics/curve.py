"""A curve over a data set: the mean of one curve for each input, with its band."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from onnxdtd.types import Array


@dataclass(frozen=True)
class Curve:
    """Over the removed (or inserted) share x: the mean over inputs, and 1.96 standard errors to either side."""

    x: Array
    mean: Array
    low: Array
    high: Array

    @staticmethod
    def of(sums: Array) -> Curve:
        """From the sums over inputs (3, points) of 1, y and y^2."""
        n, first, second = sums
        mean = first / n
        error = 1.96 * np.sqrt(np.maximum(second / n - mean**2, 0) / np.maximum(n - 1, 1))
        return Curve(np.linspace(0, 1, mean.size), mean, mean - error, mean + error)


Curves = Mapping[str, Mapping[str, Curve]]
"""By name, metric.fill.order, then by method."""
