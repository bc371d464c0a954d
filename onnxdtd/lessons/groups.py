"""The heatmaps of one class, and their clusters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from onnxdtd.types import Array


@dataclass(frozen=True)
class Group:
    """The rows of one class. places: of the rows in the data. labels: the cluster of each row, 0 the largest.
    eigenvalues, vectors: of the spectrum (`spectral`). maps: by name (`tsne`, `umap`), each row in the plane. scores:
    by cluster, see `outlying`. distances: of each row to the mean of its cluster. total: rows of the class, of which
    these are a sample."""

    name: str
    ids: tuple[str, ...]
    places: Array
    labels: Array
    eigenvalues: Array
    vectors: Array
    maps: Mapping[str, Array]
    scores: tuple[float, ...]
    distances: Array
    total: int

    def typical(self, label: int) -> list[int]:
        """The rows of a cluster, those first that are nearest to its mean."""
        inside = np.flatnonzero(self.labels == label)
        return [int(i) for i in inside[np.argsort(self.distances[inside], kind="stable")]]
