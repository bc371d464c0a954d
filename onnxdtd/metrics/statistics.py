"""Means over inputs and their bootstrap intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxdtd.types import Array

LEVEL = 95
CELLS = 2**22  # resampled numbers held at a time


@dataclass(frozen=True)
class Summary:
    """mean over count inputs, and the ends of its 95 % interval, NaN with fewer than two inputs."""

    mean: float
    low: float
    high: float
    count: int

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return dict(vars(self))

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval is on one side of 0."""
        return self.low > 0 or self.high < 0


def bootstrap(values: Array, resamples: int, entropy: int) -> list[Summary]:
    """For each column of (N, S): the mean of its numbers, and percentiles 2.5 and 97.5 of the means of resamples.

    A resample draws N rows with replacement, the same rows for every column, so that differences of columns are
    paired. NaN counts as not measured. Source: Efron and Tibshirani 1993, chapter 13 (percentile interval).
    """
    measured = ~np.isnan(values)
    numbers = np.where(measured, values, 0.0)
    rows = len(values)
    rng = np.random.default_rng([entropy, *b"bootstrap"])
    block = max(1, CELLS // max(1, rows))
    means = []
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        times = rng.multinomial(rows, np.full(rows, 1 / rows), size).astype(np.float64)
        with np.errstate(invalid="ignore"):
            means.append((times @ numbers) / (times @ measured))
    drawn = np.concatenate(means)
    summaries = []
    for column in range(values.shape[1]):
        count = int(measured[:, column].sum())
        mean = float(numbers[:, column].sum() / count) if count else np.nan
        ends = np.full(2, np.nan)
        if count > 1:
            tail = (100 - LEVEL) / 2
            ends = np.nanpercentile(drawn[:, column], [tail, 100 - tail])
        summaries.append(Summary(mean, float(ends[0]), float(ends[1]), count))
    return summaries
