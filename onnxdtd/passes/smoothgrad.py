"""SmoothGrad: the gradient averaged over noisy copies of the input."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxdtd.errors import UsageError
from onnxdtd.explainer import Explainer
from onnxdtd.explanation import Explanation
from onnxdtd.passes.passes import Passes
from onnxdtd.registry import many_passes
from onnxdtd.types import Array, OnProgress


@many_passes("smoothgrad")
def smoothgrad(
    explainer: Explainer,
    x: Any,
    target: Any = None,
    *,
    progress: OnProgress = None,
    sigma: float = 0.15,
    samples: int = 32,
    squared: bool = False,
    seed: int = 0,
    batch: int | None = None,
) -> Explanation:
    """R_i = mean of df/dx_i over x + noise (squared: of its square). Source: Smilkov et al. 2017; Hooker et al. 2019.

    The noise is normal, its deviation `sigma` times the input's range: the stated one, else the sample's own
    largest value minus its least. Its seed is fixed, and draw k is the same for every sample, so a batch equals
    its samples one by one. `standard_error`: of the mean, root-mean-square over the inputs relative to that of R.
    """
    if not (0 <= sigma < np.inf and samples >= 1 and seed >= 0):
        raise UsageError(
            f"smoothgrad takes sigma >= 0, samples >= 1, seed >= 0, not {sigma}, {samples}, {seed}"
        )
    passes = Passes(explainer, x, target, progress, batch)
    deviation = sigma * _range(passes)
    points = passes.count * samples
    passes.expect(points)
    total, squares = np.zeros_like(passes.x), np.zeros_like(passes.x)
    for rows in passes.chunks(points):
        who, draw = np.divmod(rows, samples)
        noise = np.stack([_noise(seed, k, passes.x.shape[1]) for k in draw])
        _, slopes = passes.gradients(passes.x[who] + deviation[who] * noise, who)
        slopes = slopes**2 if squared else slopes
        np.add.at(total, who, slopes)
        np.add.at(squares, who, slopes**2)
    mean = total / samples
    extras = {"sigma": sigma, "samples": samples, "squared": squared, "seed": seed}
    if samples > 1:
        variance = np.maximum(squares / samples - mean**2, 0) / (samples - 1)
        size = np.sqrt((mean**2).mean(axis=1))
        extras["standard_error"] = (np.sqrt(variance.mean(axis=1)) / np.where(size > 0, size, 1)).tolist()
    return passes.explanation("smoothgrad", mean, passes.base.seed, extras)


def _range(passes: Passes) -> Array:
    """(N, D): the stated range of each input element, else the spread of the sample's own values."""
    spread = {
        name: np.ptp(a, axis=tuple(range(1, a.ndim)), keepdims=True) if a.size else a
        for name, a in passes.split(passes.x).items()
    }
    stated = passes.high - passes.low
    return np.where(np.isfinite(stated), stated, passes.vector(spread, "the spread"))


def _noise(seed: int, draw: int, size: int) -> Array:
    return np.random.default_rng([seed, draw]).standard_normal(size)
