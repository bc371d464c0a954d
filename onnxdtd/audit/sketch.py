"""Long vectors made short, so that what points the same way still does."""

from __future__ import annotations

import numpy as np

from onnxdtd.types import Array

SKETCH = 16381
"""Numbers kept of a layer's relevance; a prime, so that the folds do not line up with rows of pixels."""


def fold(vectors: Array) -> Array:
    """(N, D) -> (N, at most SKETCH): random signs, then sums of every SKETCH-th number; dot products survive."""
    count, size = vectors.shape
    if size <= SKETCH:
        return vectors
    signs = np.random.default_rng(size).integers(0, 2, size, np.int8) * np.int8(2) - np.int8(1)
    padded = np.pad(vectors * signs, ((0, 0), (0, -size % SKETCH)))
    return np.asarray(padded.reshape(count, -1, SKETCH).sum(axis=1))
