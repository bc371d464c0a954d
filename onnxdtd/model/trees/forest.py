"""A tree ensemble as arrays: a row for each node, leaves included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from onnxdtd.types import Array

MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "BRANCH_MEMBER")
LEAF = -1
_COMPARED = (np.less_equal, np.less, np.greater_equal, np.greater, np.equal, np.not_equal)


@dataclass(frozen=True)
class Forest:
    """feature, threshold, mode (into MODES, or LEAF), missing_true, yes, no: of each node; a leaf is its own child.
    members: of a set, by node. weights: (nodes, targets) of the leaves. has: whether a leaf says something of the
    target. levels: the nodes by their distance from the roots, the roots first. base: added to every row. aggregate:
    SUM, AVERAGE, MIN or MAX. count: the samples at each node, or its leaves where nobody counted. counted: whether
    somebody did. expected: (nodes, targets), a leaf's weights or the mean over the leaves below, by their counts."""

    feature: Array
    threshold: Array
    mode: Array
    missing_true: Array
    yes: Array
    no: Array
    members: Mapping[int, Array]
    weights: Array
    has: Array
    levels: tuple[Array, ...]
    base: Array
    aggregate: str
    count: Array = field(default_factory=lambda: np.zeros(0))
    counted: bool = False
    expected: Array = field(default_factory=lambda: np.zeros(0))

    @property
    def roots(self) -> Array:
        """The first node of each tree."""
        return self.levels[0]

    @property
    def inner(self) -> list[Array]:
        """The nodes that ask, by their distance from the roots."""
        return [level[self.mode[level] != LEAF] for level in self.levels]

    @property
    def adds(self) -> bool:
        """Whether the result is a sum over the trees."""
        return self.aggregate in ("SUM", "AVERAGE")

    @property
    def scale(self) -> float:
        """What each tree of a sum counts."""
        return 1.0 / len(self.roots) if self.aggregate == "AVERAGE" else 1.0

    def weighing(self, leaves: Array, counted: bool = True) -> Forest:
        """The forest with so many samples at each leaf (nodes,). Below a node without any, each leaf counts once."""
        (count, total), (each, even) = (
            self._summed(c) for c in (leaves, np.where(self.mode == LEAF, 1.0, 0.0))
        )
        seen = (count > 0)[:, None]
        mean = np.divide(total, count[:, None], out=even / each[:, None], where=seen)
        return replace(self, count=count, counted=counted, expected=mean)

    def counting(self, rows: Array) -> Forest:
        """The forest with as many samples at each leaf as rows (M, features) fall into it."""
        leaves = self.paths(rows)[-1]
        return self.weighing(np.bincount(leaves.reshape(-1), minlength=len(self.mode)).astype(np.float64))

    def _summed(self, leaves: Array) -> tuple[Array, Array]:
        """The sums over the leaves below each node: of the counts, and of the counted weights."""
        count, total = leaves.copy(), self.weights * leaves[:, None]
        for level in reversed(self.inner):
            count[level] = count[self.yes[level]] + count[self.no[level]]
            total[level] = total[self.yes[level]] + total[self.no[level]]
        return count, total

    def paths(self, x: Array) -> list[Array]:
        """The nodes (N, trees) that the rows of x pass, from the roots to the leaves."""
        at = np.broadcast_to(self.roots, (len(x), len(self.roots)))
        way, rows = [at], np.arange(len(x))[:, None]
        for _ in self.levels[1:]:
            at = np.where(self.holds(x[rows, self.feature[at]], at), self.yes[at], self.no[at])
            way.append(at)
        return way

    def holds(self, value: Array, at: Array) -> Array:
        """Whether values pass the questions of the nodes `at`, which broadcast to them."""
        limit, mode = self.threshold[at], self.mode[at]
        holds = np.zeros(value.shape, bool)
        for number in np.unique(mode[(mode >= 0) & (mode < len(_COMPARED))]):
            holds |= (mode == number) & _COMPARED[number](value, limit)
        for node, members in self.members.items():
            holds |= (at == node) & np.isin(value, members)
        return np.asarray(holds | (np.isnan(value) & self.missing_true[at]))

    def shares(self, leaves: Array) -> Array:
        """How much each tree counts (N, trees, targets), given the leaves (N, trees) that were reached.

        Least and largest: the tree that has it, equally many where several do.
        """
        if self.adds:
            return np.full((*leaves.shape, self.weights.shape[1]), self.scale)
        has, sign = self.has[leaves], 1 if self.aggregate == "MAX" else -1
        values = np.where(has, sign * self.weights[leaves], -np.inf)
        best = has & (values == values.max(axis=1, keepdims=True))
        return np.asarray(best / np.maximum(best.sum(axis=1, keepdims=True), 1))

    def saabas(self, x: Array) -> tuple[Array, Array]:
        """C (N, features, targets) and the expectation (N, targets) of rows (N, features), in float64.

        At each split the change of the expected value goes to the feature that is asked. Source: Saabas 2014.
        """
        way = self.paths(x)
        shares = self.shares(way[-1])
        changes = np.zeros((*x.shape, self.weights.shape[1]))
        rows = np.arange(len(x))[:, None]
        for at, to in pairwise(way):
            np.add.at(changes, (rows, self.feature[at]), (self.expected[to] - self.expected[at]) * shares)
        return changes, self.base + (self.expected[way[0]] * shares).sum(axis=1)

    def parts(self, most: int) -> Iterator[Forest]:
        """The forest in groups of trees of about so many nodes each."""
        tree = np.zeros(len(self.mode), np.intp)
        tree[self.roots] = np.arange(len(self.roots))
        for level in self.inner:
            tree[self.yes[level]] = tree[self.no[level]] = tree[level]
        sizes = np.cumsum(np.bincount(tree, minlength=len(self.roots)))
        group = (sizes - 1) // most
        for number in np.unique(group):
            yield self._only(group[tree] == number)

    def _only(self, kept: Array) -> Forest:
        nodes, place = np.flatnonzero(kept), np.cumsum(kept) - 1
        rows = {name: getattr(self, name)[nodes] for name in
                ("feature", "threshold", "mode", "missing_true", "weights", "has", "count", "expected")}  # fmt: skip
        levels = [place[level[kept[level]]] for level in self.levels]
        return replace(
            self, **rows, yes=place[self.yes[nodes]], no=place[self.no[nodes]],
            members={int(place[node]): members for node, members in self.members.items() if kept[node]},
            levels=tuple(level for level in levels if level.size),
        )  # fmt: skip
