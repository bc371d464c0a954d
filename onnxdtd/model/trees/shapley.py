"""Shapley values of the features of a forest, exactly: of every leaf, summed over the leaves.

A leaf is a box: it is reached where every feature that its path asks lies in the path's interval. With the features
of S as in x and the others as in a row z, it is reached if each feature that x has outside the box is taken from z,
and each that z has outside from x. So of q features outside in x and p others outside in z, each of the p gets
(p - 1)! q! / (p + q)! of the leaf's weight, and each of the q gets -p! (q - 1)! / (p + q)!.

Sources: Lundberg et al. 2020 (both forms), Laberge, Pequignot 2022 (by leaves).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import factorial

import numpy as np

from onnxdtd.errors import UnsupportedError
from onnxdtd.model.trees.forest import LEAF, Forest
from onnxdtd.types import Array

NODES, ROWS, PAIRS = 1 << 13, 1 << 10, 1 << 21
"""What is worked on at once: nodes of a group of trees, rows, and pairs of a pattern of x and a pattern of z."""
MOST = 48
"""Features of one path: each has a bit, beside the bits that number the leaves."""


@dataclass(frozen=True)
class Boxes:
    """The leaves of a forest as boxes. leaves: (L,) their nodes. slots: (L, D) the features that each path asks, in
    the order of their first question, -1 behind the last one. fractions: (L, D) of the samples at the splits by such
    a feature, the part that goes on to the leaf. place: of each node, the slot of the feature that it asks."""

    forest: Forest
    leaves: Array
    slots: Array
    fractions: Array
    place: Array

    def outside(self, x: Array) -> Array:
        """(L, N) bit j of a leaf's pattern: the row has the feature of slot j outside the box."""
        forest = self.forest
        patterns = np.zeros((len(forest.mode), len(x)), np.int64)
        for at in forest.inner:
            holds = forest.holds(x[:, forest.feature[at]], at).T
            bit = self.place[at][:, None]
            patterns[forest.yes[at]] = patterns[at] | (~holds).astype(np.int64) << bit
            patterns[forest.no[at]] = patterns[at] | holds.astype(np.int64) << bit
        return patterns[self.leaves]


def boxes(forest: Forest) -> Boxes:
    """Follow the paths. Raises UnsupportedError for one that asks more features than there are bits."""
    nodes, depth = len(forest.mode), len(forest.levels)
    slots, fractions = np.full((nodes, depth), -1, np.int32), np.ones((nodes, depth))
    place = np.zeros(nodes, np.int64)
    for at in forest.inner:
        asked = slots[at] == forest.feature[at][:, None]
        place[at] = slot = np.where(asked.any(axis=1), asked.argmax(axis=1), (slots[at] >= 0).sum(axis=1))
        for child in (forest.yes[at], forest.no[at]):
            slots[child], fractions[child] = slots[at], fractions[at]
            slots[child, slot] = forest.feature[at]
            fractions[child, slot] *= forest.count[child] / np.maximum(forest.count[at], 1e-300)
    leaves = np.flatnonzero(forest.mode == LEAF)
    width = int((slots[leaves] >= 0).sum(axis=1).max(initial=0))
    if width > MOST:
        raise UnsupportedError(
            f"a path of the trees asks {width} features, and tree_shap follows up to {MOST}; take saabas"
        )
    return Boxes(forest, leaves, slots[leaves, :width], fractions[leaves, :width], place)


def interventional(forest: Forest, x: Array, rows: Array) -> tuple[Array, Array]:
    """Shapley values (N, features, targets) of what the forest says of x beyond its mean over the rows (M, features),
    features that are left out being as in those; and that mean (targets,)."""
    mean = forest.base + forest.weights[forest.paths(rows)[-1]].sum(axis=1).mean(axis=0) * forest.scale
    return _summed(forest, x, partial(_against, rows=rows)), mean


def path_dependent(forest: Forest, x: Array) -> tuple[Array, Array]:
    """The same against the expected value (targets,), features that are left out going both ways at every split, as
    often as the samples that the model has counted."""
    expected = forest.base + forest.expected[forest.roots].sum(axis=0) * forest.scale
    return _summed(forest, x, lambda box: partial(_by_counts, box)), expected


Shares = Callable[[Array, Array], Array]
"""(leaf (U,), pattern (U,)) -> the part (U, D) of the leaf's weight that the feature of each slot gets."""


def _summed(forest: Forest, x: Array, shares_of: Callable[[Boxes], Shares]) -> Array:
    """Over all leaves, in groups of trees and of rows."""
    if not forest.adds:
        raise UnsupportedError(
            f"aggregate_function {forest.aggregate} is no sum over the trees, so it has no Shapley values of trees; "
            "take saabas"
        )
    values = np.zeros((*x.shape, forest.weights.shape[1]))
    for part in forest.parts(NODES):
        box = boxes(part)
        shares = shares_of(box)
        for start in range(0, len(x), ROWS):
            some = slice(start, start + ROWS)
            leaf, pattern, which = _distinct(box.outside(x[some]), box.slots.shape[1])
            _collect(values[some], box, shares(leaf, pattern), which)
    return values * forest.scale


def _distinct(patterns: Array, width: int) -> tuple[Array, Array, Array]:
    """The patterns that occur at each leaf: leaf (U,), pattern (U,), and (L, N) which of them each row has."""
    keys = patterns | np.arange(len(patterns), dtype=np.int64)[:, None] << width
    if len(patterns) << width <= patterns.size * 8:
        seen = np.zeros(len(patterns) << width, bool)
        seen[keys] = True
        distinct, which = np.flatnonzero(seen), (np.cumsum(seen) - 1)[keys]
    else:
        distinct, which = np.unique(keys, return_inverse=True)
    return distinct >> width, distinct & ((1 << width) - 1), which.reshape(patterns.shape)


def _collect(values: Array, box: Boxes, shares: Array, which: Array) -> None:
    """Add share times weight of every leaf to the features of its slots."""
    weights = box.forest.weights[box.leaves]
    for slot, features in enumerate(box.slots.T):
        part = shares[:, slot][which]
        for feature in np.unique(features[features >= 0]):
            leaves = np.flatnonzero(features == feature)
            values[:, feature] += part[leaves].T @ weights[leaves]


@dataclass(frozen=True)
class _Against:
    """Shares against the rows of a background: the patterns that occur in it at each leaf, and how often."""

    width: int
    first: Array
    pattern: Array
    often: Array

    def __call__(self, leaf: Array, pattern: Array) -> Array:
        """(U, D), see the file's formula."""
        shares = np.zeros((len(leaf), self.width))
        pairs = self.first[leaf + 1] - self.first[leaf]
        ends = np.cumsum(pairs)
        for start in range(0, len(leaf), step := max(1, int(PAIRS * len(leaf) / max(ends[-1:].sum(), 1)))):
            some = slice(start, start + step)
            shares[some] = self._of(leaf[some], pattern[some], pairs[some])
        return shares

    def _of(self, leaf: Array, pattern: Array, pairs: Array) -> Array:
        one = np.repeat(np.arange(len(leaf)), pairs)
        other = np.arange(len(one)) - np.repeat(np.cumsum(pairs) - pairs, pairs) + self.first[leaf][one]
        open_ = (pattern[one] & self.pattern[other]) == 0
        one, other = one[open_], other[open_]
        outside = _bits(self.pattern, self.width)
        p, q = outside.sum(axis=1)[other], _bits(pattern, self.width).sum(axis=1)[one]
        gained, lost = (table[p, q] * self.often[other] for table in _tables(self.width))
        losses = np.bincount(one, lost, len(leaf))
        shares = np.zeros((len(leaf), self.width))
        for slot in range(self.width):
            shares[:, slot] = np.bincount(one, gained * outside[other, slot], len(leaf))
        return shares - losses[:, None] * _bits(pattern, self.width)


def _against(box: Boxes, rows: Array) -> _Against:
    width = box.slots.shape[1]
    leaf, pattern, which = _distinct(box.outside(rows), width)
    often = np.bincount(which.reshape(-1), minlength=len(leaf)) / len(rows)
    first = np.searchsorted(leaf, np.arange(len(box.leaves) + 1))
    return _Against(width, first, pattern, often)


def _bits(patterns: Array, width: int) -> Array:
    """(U, width) of 0 and 1."""
    return patterns[:, None] >> np.arange(width) & 1


def _tables(width: int) -> tuple[Array, Array]:
    """(p - 1)! q! / (p + q)! and p! (q - 1)! / (p + q)! by p and q; 0 where p, or q, is."""
    gained = np.zeros((width + 1, width + 1))
    for p in range(1, width + 1):
        for q in range(width + 1 - p):
            gained[p, q] = factorial(p - 1) * factorial(q) / factorial(p + q)
    return gained, gained.T


def _by_counts(box: Boxes, leaf: Array, pattern: Array) -> Array:
    """(o_j - w_j) times the integral of the product over k != j of (1 - t) w_k + t o_k, t from 0 to 1.

    o: whether x has the feature inside; w: the fraction. The integral weighs coalitions as Shapley does; Gauss and
    Legendre's points make it exact.
    """
    width = box.slots.shape[1]
    inside = _bits(pattern, width) == 0
    w, used = box.fractions[leaf], box.slots[leaf] >= 0
    points, weights = np.polynomial.legendre.leggauss(width // 2 + 1)
    total = np.zeros_like(w)
    for t, weight in zip((points + 1) / 2, weights / 2, strict=True):
        factor = np.where(used, (1 - t) * w + t * inside, 1.0)
        before, behind = np.ones_like(factor), np.ones_like(factor)
        np.cumprod(factor[:, :-1], axis=1, out=before[:, 1:])
        np.cumprod(factor[:, :0:-1], axis=1, out=behind[:, -2::-1])
        total += weight * before * behind
    return np.where(used, (inside - w) * total, 0.0)
