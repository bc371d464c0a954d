"""Reads a node of ai.onnx.ml as a forest."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np
from onnx import numpy_helper

from onnxdtd.errors import UnsupportedError
from onnxdtd.model.graph import Graph, Node
from onnxdtd.model.trees.forest import LEAF, MODES, Forest
from onnxdtd.types import Array

AGGREGATES = ("AVERAGE", "SUM", "MIN", "MAX")


def forest_at(node: Node, graph: Graph, kept: MutableMapping[Any, Any]) -> Forest:
    """The forest of a node, read once; its samples counted by the graph's background where it has one."""
    key = (node.name, forest_of)
    if key not in kept:
        forest, rows = forest_of(node), graph.background.get(node.inputs[0])
        kept[key] = forest if rows is None else forest.counting(rows)
    forest = kept[key]
    assert isinstance(forest, Forest)
    return forest


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
    forest = Forest(
        feature=feature.astype(np.intp), threshold=threshold, mode=mode, yes=yes, no=no, members=members,
        missing_true=np.array(missing, bool) if missing else np.zeros(len(mode), bool),
        weights=weights, has=has, levels=tuple(_levels(node, roots, mode, yes, no)), base=base, aggregate=aggregate,
    )  # fmt: skip
    leaf = mode == LEAF
    counted = _counted(hits, leaf, yes, no)
    return forest.weighing(np.where(leaf, hits if counted else 1.0, 0.0), counted)


def _levels(node: Node, roots: Array, mode: Array, yes: Array, no: Array) -> list[Array]:
    """The nodes by their distance from the roots."""
    levels = [roots]
    while (inner := levels[-1][mode[levels[-1]] != LEAF]).size:
        if len(levels) > len(mode):
            raise UnsupportedError(f"{node}: its nodes lead in a ring, so they are no trees")
        levels.append(np.unique(np.concatenate([yes[inner], no[inner]])))
    return levels


def _counted(hits: Array, leaf: Array, yes: Array, no: Array) -> bool:
    """Whether hit rates are counts of samples: those of the children add up. Some exporters write ones."""
    if len(hits) != len(leaf) or not np.all(hits > 0) or leaf.all():
        return False
    inner = np.flatnonzero(~leaf)
    return bool(np.allclose(hits[inner], hits[yes[inner]] + hits[no[inner]], rtol=1e-3))


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
