"""How alike two heatmaps are: cosine, Spearman's rank correlation, structural similarity; one number a sample."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from onnxdtd.plan.batch import rows
from onnxdtd.types import Array

WINDOW = 7


def side_by_side(relevance: Mapping[str, Array], samples: int) -> Array:
    """(N, D): all inputs of each sample, see `rows`."""
    return np.concatenate([rows(r, samples) for r in relevance.values()], axis=1)


def cosine(a: Array, b: Array) -> Array:
    """a . b / (|a| |b|) of each row; NaN where one is all zero, so that there is no direction to compare."""
    a, b = _unit(a), _unit(b)
    return np.asarray(np.einsum("nd,nd->n", a, b))


def cosines(vectors: Array) -> Array:
    """(..., K, D) -> (..., K, K): all cosines among K vectors; NaN for one that is all zero."""
    unit = _unit(vectors)
    return np.asarray(unit @ np.swapaxes(unit, -1, -2))


def spearman(a: Array, b: Array) -> Array:
    """Pearson's correlation of the ranks of each row, ties sharing the mean of theirs."""
    ranked = [np.stack([_ranks(row) for row in array]) for array in (a, b)]
    return cosine(*(r - r.mean(axis=1, keepdims=True) for r in ranked))


def ssim(a: Array, b: Array) -> Array:
    """Mean structural similarity of maps (N, H, W), each scaled to a largest magnitude of 1.

    (2 m_a m_b + c1)(2 s_ab + c2) / ((m_a^2 + m_b^2 + c1)(s_a^2 + s_b^2 + c2)) over windows of 7 x 7, with
    c1 = (0.01 L)^2, c2 = (0.03 L)^2, L = 2. Source: Wang et al. 2004, eq. (13).
    """
    c1, c2 = 0.02**2, 0.06**2
    a, b = (_scaled(m) for m in (a, b))
    mean_a, mean_b = _box(a), _box(b)
    spread = _box(a * a) - mean_a**2 + _box(b * b) - mean_b**2
    joint = _box(a * b) - mean_a * mean_b
    both = (2 * mean_a * mean_b + c1) * (2 * joint + c2)
    return np.asarray((both / ((mean_a**2 + mean_b**2 + c1) * (spread + c2))).mean(axis=(1, 2)))


def maps(relevance: Mapping[str, Array], samples: int) -> Array | None:
    """The first input that is an image, its channels (the shorter outer axis) summed: (N, H, W); None without."""
    for r in relevance.values():
        if r.ndim == 4 and len(r) == samples:
            r = r.sum(axis=1 if r.shape[1] <= r.shape[3] else 3)
        if r.ndim == 3 and min(r.shape[1:]) >= WINDOW:
            return np.asarray(r)
    return None


def compare(a: Mapping[str, Array], b: Mapping[str, Array], samples: int) -> dict[str, Array | None]:
    """All three, for the heatmaps of the same inputs; SSIM is None where no input is an image."""
    first, second = maps(a, samples), maps(b, samples)
    structural = None if first is None or second is None else ssim(first, second)
    left, right = side_by_side(a, samples), side_by_side(b, samples)
    return {"cosine": cosine(left, right), "spearman": spearman(left, right), "ssim": structural}


def _unit(vectors: Array) -> Array:
    vectors = vectors.astype(np.float64)
    norm = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(np.divide(vectors, norm, out=np.full_like(vectors, np.nan), where=norm > 0))


def _ranks(row: Array) -> Array:
    order = np.argsort(row)
    ordered = row[order]
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    ends = np.append(first[1:], len(row))
    ranks = np.empty(len(row))
    ranks[order] = np.repeat((first + ends + 1) / 2, ends - first)
    return ranks


def _scaled(m: Array) -> Array:
    m = m.astype(np.float64)
    top = np.abs(m).max(axis=(1, 2), keepdims=True)
    return np.asarray(np.divide(m, top, out=np.zeros_like(m), where=top > 0))


def _box(m: Array) -> Array:
    """Means over windows, by cumulative sums."""
    s = np.pad(m, ((0, 0), (1, 0), (1, 0))).cumsum(axis=1).cumsum(axis=2)
    w = WINDOW
    return np.asarray((s[:, w:, w:] - s[:, :-w, w:] - s[:, w:, :-w] + s[:, :-w, :-w]) / w**2)
