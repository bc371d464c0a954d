"""The paths of rows through a forest, and what they change, in operations that a graph has: look-ups by node."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxdtd.errors import UnsupportedError
from onnxdtd.model.point import Point
from onnxdtd.model.trees.forest import MODES, Forest
from onnxdtd.primitives import (
    cast_like,
    einsum,
    equal,
    greater,
    less,
    operator,
    reduce_sum,
    unsqueeze,
    where,
)
from onnxdtd.types import Array

MEMBER = MODES.index("BRANCH_MEMBER")


def saabas(forest: Forest, point: Point) -> tuple[Any, Any]:
    """`Forest.saabas` for rows x (N, features): C (N, features, targets) and the expectation (N, targets).

    What a leaf changes is a table by leaf, of which each tree gives the row of the leaf that is reached.
    """
    paths, dtype = _Paths(forest, point), point.output.dtype
    leaves = paths.leaves()
    width = point.x.shape[1] if point.x.ndim == 2 else None
    if not isinstance(width, int):
        raise UnsupportedError(
            f"{point.node}: how many features its trees read is not known before run time, so the walk cannot be "
            "compiled; fix the last axis of the model's input, or use engine='numpy'"
        )
    table = _changes(forest, width).astype(dtype)  # (nodes, features, targets)
    roots = np.zeros(len(forest.mode), np.intp)
    roots[forest.roots] = forest.roots
    for level in forest.inner:
        roots[forest.yes[level]] = roots[forest.no[level]] = roots[level]
    shares = _shares(forest, paths, leaves, dtype)
    changes = einsum(paths.of(table, leaves), shares, equation="nkft,nkt->nft")
    start = paths.of(forest.expected[roots].astype(dtype), leaves)
    return changes, reduce_sum(start * shares, axes=(1,), keepdims=False) + forest.base.astype(dtype)


def _changes(forest: Forest, width: int) -> Array:
    """By leaf, the sums of the changes on its path that each feature brings."""
    table = np.zeros((len(forest.mode), width, forest.weights.shape[1]))
    for level in forest.inner:
        for child in (forest.yes[level], forest.no[level]):
            table[child] = table[level]
            table[child, forest.feature[level]] += forest.expected[child] - forest.expected[level]
    return table


def _shares(forest: Forest, paths: _Paths, leaves: Any, dtype: np.dtype[Any]) -> Any:
    """`Forest.shares`: how much each tree counts, (N, trees, targets) or what broadcasts to it."""
    targets = forest.weights.shape[1]
    if forest.adds:
        return paths.same(np.full((1, len(forest.roots), targets), forest.scale, dtype), leaves)
    sign = 1 if forest.aggregate == "MAX" else -1
    worth = np.where(forest.has, sign * forest.weights, -np.inf).astype(dtype)
    values = paths.of(worth, leaves)
    best = paths.run("ReduceMax", values, axes=[1], keepdims=1)
    one, none = np.ones((), dtype), np.zeros((), dtype)
    reached = where(greater(values, np.asarray(-np.inf, dtype)), one, none)
    first = where(equal(values, best), reached, none)
    return first / where(less(reduce_sum(first, axes=(1,)), one), one, reduce_sum(first, axes=(1,)))


class _Paths:
    """The rows of a point on their way through a forest, level by level: `at` are nodes (N, trees)."""

    def __init__(self, forest: Forest, point: Point) -> None:
        self.forest, self.x, self.point = forest, point.x, point
        self.opset = point.graph.opsets[""]

    def run(self, name: str, *arrays: Any, **attributes: Any) -> Any:
        """One operator; axes are an input of those that became so."""
        if name == "ReduceMax" and self.opset >= 18:
            arrays = (*arrays, np.array(attributes.pop("axes"), np.int64))
        return operator(name, *arrays, opset=self.opset, **attributes)

    def of(self, table: Array, at: Any) -> Any:
        """What a table says of each node."""
        return self.run("Gather", table, at, axis=0)

    def same(self, value: Array, at: Any) -> Any:
        """A value (1, trees, ...) for every row."""
        nothing = unsqueeze(cast_like(at, value) * np.zeros((), value.dtype), axes=(2,))
        return nothing + value

    def leaves(self) -> Any:
        """The leaf of each row in each tree."""
        forest = self.forest
        first = self.run("Gather", self.x, np.zeros(1, np.int64), axis=1)  # a column, for the number of rows
        number = where(equal(first, first), np.zeros((), np.int64), np.zeros((), np.int64))
        at = number + forest.roots.astype(np.int64)[None]
        sets = self._sets()
        for _ in forest.levels[1:]:
            yes, no = (self.of(child.astype(np.int64), at) for child in (forest.yes, forest.no))
            at = where(self._holds(at, sets), yes, no)
        return at

    def _holds(self, at: Any, sets: Any) -> Any:
        """`Forest.holds` of the features that the nodes ask."""
        forest, kind = self.forest, self.x.dtype
        value = self.run("GatherElements", self.x, self.of(forest.feature.astype(np.int64), at), axis=1)
        limit = self.of(forest.threshold.astype(kind), at)
        modes = sorted({*forest.mode[forest.mode >= 0].tolist()})
        holds: Any = None
        for mode in modes:
            passes = sets(at) if mode == MEMBER else self._compared(mode, value, limit)
            if len(modes) > 1:
                passes = self.run("And", passes, self.of(forest.mode == mode, at))
            holds = passes if holds is None else self.run("Or", holds, passes)
        if forest.missing_true.any():
            missing = self.run("Not", equal(value, value))
            holds = self.run("Or", holds, self.run("And", missing, self.of(forest.missing_true, at)))
        return holds

    def _compared(self, mode: int, value: Any, limit: Any) -> Any:
        below, same = less(value, limit), equal(value, limit)
        match MODES[mode]:
            case "BRANCH_LEQ":
                return self.run("Or", below, same)
            case "BRANCH_LT":
                return below
            case "BRANCH_GTE":
                return self.run("Or", greater(value, limit), same)
            case "BRANCH_GT":
                return greater(value, limit)
            case "BRANCH_EQ":
                return same
        return self.run("Not", same)

    def _sets(self) -> Any:
        """A function of nodes: whether their set has the row's feature."""
        forest = self.forest
        if not forest.members:
            return None
        most = max(1, *(len(members) for members in forest.members.values()))
        nodes = np.array([*forest.members])
        table = np.full((len(nodes), most), np.nan, self.x.dtype)  # NaN equals nothing
        for row, members in enumerate(forest.members.values()):
            table[row, : len(members)] = members
        asked = self.run("Gather", self.x, forest.feature[nodes].astype(np.int64), axis=1)
        one, none = np.ones((), np.float32), np.zeros((), np.float32)
        hits = where(equal(unsqueeze(asked, axes=(2,)), table[None]), one, none)
        holds = reduce_sum(hits, axes=(2,), keepdims=False)  # (N, sets)
        place = np.zeros(len(forest.mode), np.int64)
        place[nodes] = np.arange(len(nodes))
        return lambda at: greater(self.run("GatherElements", holds, self.of(place, at), axis=1), none)
