"""A picture cut into pieces of like colour."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from onnxdtd.types import Array

ROUNDS = 5
COMPACTNESS = 0.3
"""A difference of colour of this part of the range counts as much as a distance of one side."""


def superpixels(picture: Array, side: int) -> npt.NDArray[np.intp]:
    """(H, W), numbers of pieces from 0: simple linear iterative clustering of (H, W, C), colours in 0 .. 1.

    k-means of (place / side, colour / compactness), from squares of this side, in which a pixel compares the nine
    centres around its own square only. Source: Achanta et al. 2012 (SLIC); pieces may fall apart.
    """
    height, width = picture.shape[:2]
    rows, columns = -(-height // side), -(-width // side)
    y, x = np.indices((height, width))
    row, column = y // side, x // side
    features = np.concatenate([np.stack([y, x], -1) / side, picture / COMPACTNESS], axis=2).astype(np.float64)
    labels = row * columns + column
    steps = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    around = np.stack(
        [
            np.clip(row + down, 0, rows - 1) * columns + np.clip(column + right, 0, columns - 1)
            for down, right in steps
        ]
    )
    for _ in range(ROUNDS):
        flat = labels.ravel()
        sizes = np.bincount(flat, minlength=rows * columns)
        sums = [
            np.bincount(flat, features[..., i].ravel(), rows * columns) for i in range(features.shape[-1])
        ]
        centres = np.stack(sums, -1) / np.maximum(sizes, 1)[:, None]
        distances = np.stack([((features - centres[near]) ** 2).sum(axis=-1) for near in around])
        distances[sizes[around] == 0] = np.inf
        labels = np.take_along_axis(around, distances.argmin(axis=0)[None], 0)[0]
    return np.unique(labels, return_inverse=True)[1].reshape(height, width).astype(np.intp)
