"""Spectral clustering (von Luxburg 2007, Ng, Jordan and Weiss 2001), as spectral relevance analysis takes it.

    W_ij = 1 where i is among the k nearest neighbours of j, or j of i
    L    = I - D^-1/2 W D^-1/2,    D_ii = sum_j W_ij,    eigenvalues 0 = l_1 <= l_2 <= ... <= 2

The number of clusters is where the largest gap l_(c+1) - l_c lies; each of the c first eigenvectors gives every row a
coordinate, and the rows, each made 1 long, are clustered by k-means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxdtd.lessons.library import scipy, sklearn
from onnxdtd.types import Array

DENSE = 256
"""Rows that edges join, up to which all eigenvalues are computed."""


@dataclass(frozen=True)
class Spectrum:
    """labels: the cluster of each row, the largest cluster being 0. eigenvalues: the least ones, ascending. vectors:
    of them, (N, count of eigenvalues). cuts: of each cluster, the share of its rows' neighbours that lie in others
    (its part of the normalised cut, Shi and Malik 2000)."""

    labels: Array
    eigenvalues: Array
    vectors: Array
    cuts: tuple[float, ...]

    @property
    def gap(self) -> float:
        """l_(c+1) - l_c behind the eigenvalues of the c clusters: how clearly the rows fall apart into them."""
        count = len(self.cuts)
        return (
            float(self.eigenvalues[count] - self.eigenvalues[count - 1])
            if count < len(self.eigenvalues)
            else 0.0
        )


def spectral(rows: Array, neighbours: int, most: int, count: int | None = None, seed: int = 0) -> Spectrum:
    """The clusters of rows (N, F). neighbours: of each row. most: clusters. count: of clusters, instead of where the
    gap is."""
    neighbours, most = min(neighbours, len(rows) - 1), min(most, len(rows) - 1)
    affinity = _affinity(rows, neighbours)
    values, vectors = _eigen(affinity, min(max(most, count or 0) + 1, len(rows)), seed)
    clusters = eigengap(values[: most + 1]) if count is None else min(count, len(rows))
    places = vectors[:, :clusters]
    places = places / np.maximum(np.linalg.norm(places, axis=1, keepdims=True), 1e-12)
    if clusters == 1:
        labels = np.zeros(len(rows), np.int64)
    else:
        labels = sklearn("cluster").KMeans(clusters, n_init=10, random_state=seed).fit_predict(places)
    labels = _by_size(labels)
    return Spectrum(labels, values, vectors, _cuts(affinity, labels))


def eigengap(eigenvalues: Array) -> int:
    """The number of clusters: c where l_(c+1) - l_c is largest, the least of several."""
    return int(np.argmax(np.round(np.diff(eigenvalues), 9))) + 1


def flattened(vectors: Array, seed: int = 0) -> Array:
    """Rows (N, K) in the plane, by t-SNE (van der Maaten and Hinton 2008)."""
    perplexity = min(30.0, (len(vectors) - 1) / 3)
    way = sklearn("manifold").TSNE(2, perplexity=perplexity, init="random", random_state=seed)
    return np.asarray(way.fit_transform(np.asarray(vectors, np.float32)), np.float32)


def _affinity(rows: Array, neighbours: int) -> Any:
    """W, sparse."""
    near = sklearn("neighbors").kneighbors_graph(rows, neighbours, mode="connectivity")
    return near.maximum(near.T)


def _eigen(affinity: Any, count: int, seed: int) -> tuple[Array, Array]:
    """The least eigenvalues of L and their vectors: those of D^-1/2 W D^-1/2 are the largest.

    Part by part of what edges join, since the iteration for sparse matrices overlooks an eigenvalue that comes up
    several times, as 0 does once in each part.
    """
    scale = scipy("sparse").diags(1 / np.sqrt(np.asarray(affinity.sum(axis=1)).ravel()))
    normal = (scale @ affinity @ scale).tocsr()
    parts, owner = scipy("sparse.csgraph").connected_components(normal, directed=False)
    values, vectors = [], []
    for part in range(parts):
        inside = np.flatnonzero(owner == part)
        largest, own = _largest(normal[inside][:, inside], count, seed)
        wide = np.zeros((len(owner), len(largest)))
        wide[inside] = own
        values.append(1 - largest)
        vectors.append(wide)
    least = np.concatenate(values)
    order = np.argsort(least, kind="stable")[:count]
    return np.maximum(least[order], 0), np.concatenate(vectors, axis=1)[:, order]


def _largest(matrix: Any, count: int, seed: int) -> tuple[Array, Array]:
    """The largest eigenvalues of a symmetric sparse matrix, and their vectors."""
    size = matrix.shape[0]
    if size > max(DENSE, 3 * count):
        start = np.random.default_rng(seed).normal(size=size)
        largest, vectors = scipy("sparse.linalg").eigsh(matrix, count, which="LA", v0=start)
    else:
        largest, vectors = np.linalg.eigh(matrix.toarray())
    order = np.argsort(-largest, kind="stable")[:count]
    return largest[order], vectors[:, order]


def _cuts(affinity: Any, labels: Array) -> tuple[float, ...]:
    """sum of W_ij from a cluster to others, over the sum of its W_ij."""
    cuts = []
    for label in range(int(labels.max()) + 1):
        ours = affinity[np.flatnonzero(labels == label)]
        cuts.append(float(ours[:, np.flatnonzero(labels != label)].sum() / ours.sum()))
    return tuple(cuts)


def _by_size(labels: Array) -> Array:
    """The same clusters, numbered from the largest; of equal ones, the one with the first row first."""
    names, first, sizes = np.unique(labels, return_index=True, return_counts=True)
    order = sorted(range(len(names)), key=lambda i: (-sizes[i], first[i]))
    ranks = {names[i]: rank for rank, i in enumerate(order)}
    return np.array([ranks[label] for label in labels], np.int64)


def outlying(rows: Array, labels: Array, cuts: Sequence[float], gap: float) -> list[float]:
    """How much each cluster is a thing of its own.

        score = (1 - n / N) (1 - cut) gap F / (1 + F),    F = |m - m'|^2 / (s + s')

    n of N rows are in it; cut, gap: see `Spectrum`; m and m' are the means of its rows and of all others, s and s'
    their mean squared distances to these: F is Fisher's criterion. 0 is the only cluster of a class.
    """
    scores = []
    for label, cut in enumerate(cuts):
        inside = labels == label
        if inside.all():
            scores.append(0.0)
            continue
        ours, others = rows[inside], rows[~inside]
        apart = float(((ours.mean(axis=0) - others.mean(axis=0)) ** 2).sum())
        spread = sum(float(((some - some.mean(axis=0)) ** 2).sum(axis=1).mean()) for some in (ours, others))
        scores.append(
            float((1 - inside.mean()) * (1 - cut) * gap * (apart / (apart + spread) if apart else 0.0))
        )
    return scores
