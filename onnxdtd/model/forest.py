"""A tree ensemble of ai.onnx.ml as arrays: a row for each node, leaves included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import numpy_helper

from onnxdtd.errors import UnsupportedError
from onnxdtd.model.graph import Node
from onnxdtd.types import Array

MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "BRANCH_MEMBER")
AGGREGATES = ("AVERAGE", "SUM", "MIN", "MAX")
LEAF = -1
_COMPARED = (np.less_equal, np.less, np.greater_equal, np.greater, np.equal, np.not_equal)


@dataclass(frozen=True)
class Forest:
    """feature, threshold, mode (into MODES, or LEAF), missing_true, yes, no: of each node; a leaf is its own child.
    members: of a set, by node. expected: (nodes, targets), a leaf's weights or the mean over the leaves below.
    has: (nodes, targets), whether a leaf says something of the target. roots: of the trees. depth: of the deepest.
    base: added to every row. aggregate: of AGGREGATES."""

    feature: Array
    threshold: Array
    mode: Array
    missing_true: Array
    yes: Array
    no: Array
    members: Mapping[int, Array]
    expected: Array
    has: Array
    roots: Array
    depth: int
    base: Array
    aggregate: str

    def paths(self, x: Array) -> list[Array]:
        """The nodes (N, trees) that the rows of x pass, from the roots to the leaves."""
        at = np.broadcast_to(self.roots, (len(x), len(self.roots)))
        way, rows = [at], np.arange(len(x))[:, None]
        for _ in range(self.depth):
            at = np.where(self._holds(x[rows, self.feature[at]], at), self.yes[at], self.no[at])
            way.append(at)
        return way

    def _holds(self, value: Array, at: Array) -> Array:
        limit, mode = self.threshold[at], self.mode[at]
        holds = np.zeros(at.shape, bool)
        for number, compare in enumerate(_COMPARED):
            holds |= (mode == number) & compare(value, limit)
        for node, members in self.members.items():
            holds |= (at == node) & np.isin(value, members)
        return np.asarray(holds | (np.isnan(value) & self.missing_true[at]))

    def shares(self, leaves: Array) -> Array:
        """How much each tree counts (N, trees, targets), given the leaves (N, trees) that were reached.

        Least and largest: the tree that has it, equally many where several do.
        """
        if self.aggregate in ("SUM", "AVERAGE"):
            counts = 1.0 if self.aggregate == "SUM" else 1.0 / len(self.roots)
            return np.full((*leaves.shape, self.expected.shape[1]), counts)
        has, sign = self.has[leaves], 1 if self.aggregate == "MAX" else -1
        values = np.where(has, sign * self.expected[leaves], -np.inf)
        best = has & (values == values.max(axis=1, keepdims=True))
        return np.asarray(best / np.maximum(best.sum(axis=1, keepdims=True), 1))


def forest_of(node: Node) -> Forest:
    """Read a TreeEnsembleRegressor or a TreeEnsemble. Raises UnsupportedError where it is no ensemble of trees."""
    return _new(node) if node.op == "TreeEnsemble" else _old(node)


def _old(node: Node) -> Forest:
    """TreeEnsembleRegressor: nodes and weights by the numbers of tree and node."""
    a = node.attributes
    trees, numbers = a["nodes_treeids"], a["nodes_nodeids"]
    place = {key: i for i, key in enumerate(zip(trees, numbers, strict=True))}
    modes = [_text(mode) for mode in a["nodes_modes"]]
    mode = np.array([LEAF if m == "LEAF" else MODES.index(m) for m in modes])
    leaf = mode == LEAF

    def child(name: str) -> Array:
        pairs = zip(trees, a[name], leaf, strict=True)
        return np.array([i if end else place[tree, to] for i, (tree, to, end) in enumerate(pairs)])

    yes, no = child("nodes_truenodeids"), child("nodes_falsenodeids")
    targets = int(a.get("n_targets", 1))
    weights, has = np.zeros((len(mode), targets)), np.zeros((len(mode), targets), bool)
    where = np.array(
        [place[key] for key in zip(a["target_treeids"], a["target_nodeids"], strict=True)], np.intp
    )
    ids = np.array(a["target_ids"], np.intp)
    np.add.at(weights, (where, ids), _numbers(a, "target_weights"))
    has[where, ids] = True
    children = {*yes[~leaf].tolist(), *no[~leaf].tolist()}
    base = _numbers(a, "base_values")
    return _finished(
        node, mode, yes, no, weights, has,
        feature=np.where(leaf, 0, a["nodes_featureids"]),
        threshold=_numbers(a, "nodes_values"),
        missing=a.get("nodes_missing_value_tracks_true"),
        members={},
        roots=np.array([i for i in range(len(mode)) if i not in children]),
        base=base.astype(np.float64) if base.size else np.zeros(1),
        aggregate=_text(a.get("aggregate_function", "SUM")),
        hits=_numbers(a, "nodes_hitrates"),
    )  # fmt: skip


def _new(node: Node) -> Forest:
    """TreeEnsemble (ai.onnx.ml 5): inner nodes, and leaves in arrays of their own, which follow here."""
    a = node.attributes
    splits, leaf_weights = _numbers(a, "nodes_splits"), _numbers(a, "leaf_weights")
    inner, leaves = len(splits), len(leaf_weights)
    # A tree of one leaf is a node both of whose children are that leaf.
    mode = np.concatenate([_numbers(a, "nodes_modes").astype(int), np.full(leaves, LEAF)])
    own = np.arange(inner, inner + leaves)

    def child(name: str, ends: str) -> Array:
        to = np.array(a[name]) + inner * np.array(a[ends], bool)
        return np.concatenate([to, own])

    targets = int(a.get("n_targets", 1))
    weights, has = np.zeros((inner + leaves, targets)), np.zeros((inner + leaves, targets), bool)
    ids = np.array(a["leaf_targetids"], np.intp)
    weights[own, ids], has[own, ids] = leaf_weights, True
    return _finished(
        node, mode, child("nodes_truenodeids", "nodes_trueleafs"), child("nodes_falsenodeids", "nodes_falseleafs"),
        weights, has,
        feature=np.concatenate([a["nodes_featureids"], np.zeros(leaves, int)]),
        threshold=np.concatenate([splits, np.zeros(leaves, splits.dtype)]),
        missing=[*a["nodes_missing_value_tracks_true"], *[0] * leaves]
        if a.get("nodes_missing_value_tracks_true")
        else None,
        members=_members(mode, _numbers(a, "membership_values")),
        roots=np.array(a["tree_roots"]),
        base=np.zeros(1),
        aggregate=AGGREGATES[a.get("aggregate_function", 1)],
        hits=np.zeros(0),
    )  # fmt: skip


def _finished(
    node: Node, mode: Array, yes: Array, no: Array, weights: Array, has: Array, *,
    feature: Array, threshold: Array, missing: Sequence[int] | None, members: Mapping[int, Array],
    roots: Array, base: Array, aggregate: str, hits: Array,
) -> Forest:  # fmt: skip
    levels = _levels(node, roots, mode, yes, no)
    inner = [level[mode[level] != LEAF] for level in levels]
    count = _counts(hits, mode, yes, no)
    total = weights * count[:, None]
    for level in reversed(inner):
        count[level] = count[yes[level]] + count[no[level]]
        total[level] = total[yes[level]] + total[no[level]]
    return Forest(
        feature=feature.astype(np.intp), threshold=threshold, mode=mode, yes=yes, no=no, members=members,
        missing_true=np.array(missing, bool) if missing else np.zeros(len(mode), bool),
        expected=total / count[:, None], has=has, roots=roots, depth=len(levels) - 1, base=base,
        aggregate=aggregate,
    )  # fmt: skip


def _levels(node: Node, roots: Array, mode: Array, yes: Array, no: Array) -> list[Array]:
    """The nodes by their distance from the roots."""
    levels = [roots]
    while (inner := levels[-1][mode[levels[-1]] != LEAF]).size:
        if len(levels) > len(mode):
            raise UnsupportedError(f"{node}: its nodes lead in a ring, so they are no trees")
        levels.append(np.unique(np.concatenate([yes[inner], no[inner]])))
    return levels


def _counts(hits: Array, mode: Array, yes: Array, no: Array) -> Array:
    """By how many samples each leaf counts: its hit rate where those of the leaves add up, else 1."""
    leaf = mode == LEAF
    if len(hits) == len(mode) and np.all(hits > 0) and not leaf.all():
        inner = np.flatnonzero(~leaf)
        if np.allclose(hits[inner], hits[yes[inner]] + hits[no[inner]], rtol=1e-3):
            return np.where(leaf, hits, 0.0)
    return np.where(leaf, 1.0, 0.0)


def _members(mode: Array, values: Array) -> dict[int, Array]:
    """The sets, each ended by NaN, in the order of their nodes."""
    nodes = np.flatnonzero(mode == MODES.index("BRANCH_MEMBER")).tolist()
    sets = np.split(values, np.flatnonzero(np.isnan(values)) + 1)
    return {i: members[~np.isnan(members)] for i, members in zip(nodes, sets, strict=False)}


def _numbers(attributes: Mapping[str, Any], name: str) -> Array:
    """Numbers that are a list of float32, or a tensor."""
    value = attributes.get(f"{name}_as_tensor", attributes.get(name))
    if value is None:
        return np.zeros(0)
    return (
        np.array(value, np.float32) if isinstance(value, list) else np.asarray(numpy_helper.to_array(value))
    )


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode()
