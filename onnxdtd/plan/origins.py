"""On which elements of the inputs each value depends: on one alone, or on several; and so whether a model adds up.

A model is a sum of functions of single inputs, f(x) = c + sum_p s_p(x_p), where the graph says so: as long as a value
depends on one element, any activation may act on it; from where elements are summed, only linear ops may follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from onnxdtd.entries import OpEntry
from onnxdtd.errors import UnsupportedError
from onnxdtd.evaluator import evaluator
from onnxdtd.linear import Site
from onnxdtd.model.graph import Graph, Node, needs
from onnxdtd.model.point import Point
from onnxdtd.ops import OPS
from onnxdtd.plan.batch import samples
from onnxdtd.plan.categories import taking_any
from onnxdtd.plan.faults import describe
from onnxdtd.plan.forests import is_forest
from onnxdtd.plan.reach import Reach
from onnxdtd.types import Array

# What a sum of functions of single inputs may be made of.
ADDITIVE = ("route", "linear", "elementwise")
# The origin of a value that depends on several inputs; 0: on none; p + 1: on input element p alone.
MIXED = -1
SAMPLES = 5  # more than one, so that an axis of length 1 is not taken for the samples'
NOT_A_SUM = (
    "so the model is not a sum of functions of single inputs; take another method, such as epsilon_plus"
)


def adds(graph: Graph, way: Reach, trees: bool = False) -> bool:
    """Whether the model is a sum of functions of single inputs, and with `trees` of tree ensembles that read single
    inputs, by its graph alone.

    Looked at with a few samples of zeros: origins do not depend on what the values are. Input axes of unknown length,
    the batch aside, leave it open, and open is no; so do values whose first axis is not the samples'.
    """
    inputs = [graph.value(name) for name in graph.inputs]
    lengths = [length for value in inputs for length in (value.shape or ("?", "?"))[1:]]
    if not all(isinstance(length, int) for length in lengths) or any(
        not _adds(way.ops[node.name], trees) for node in way.nodes
    ):
        return False
    if looks_up(way.nodes, way.ops):
        return False
    read = {v for node in way.nodes for v in (*needs(node), node.output) if v} - set(graph.constants)
    try:
        values = _at_zero(graph, sorted(read))
        refuse_moved_samples(way.nodes, way.inputs, way.target, values)
        passed = [(n, way.ops[n.name], way.slots[n.name]) for n in way.nodes]
        origins(graph, passed, way.inputs, values, trees)
    except (
        Exception
    ):  # onnx's evaluation raises anything: for an op that it has not, another batch, a wrong index
        return False
    return True


def _adds(op: OpEntry, trees: bool) -> bool:
    return op.kind in ADDITIVE or (trees and op.family == "tree")


def looks_up(nodes: Iterable[Node], ops: Mapping[str, OpEntry]) -> bool:
    """Whether integers are looked up in a table of vectors, as tokens are, whose elements are followed no further;
    a column of codes or categories is one element of the input like any other."""

    def whole(node: Node) -> bool:
        entry = OPS[node.domain, node.op]
        return entry.encodes or entry.data is None or {*entry.embeds} <= {*entry.data}

    return any(ops[node.name].family == "embedding" and not whole(node) for node in nodes)


def refuse_moved_samples(
    nodes: Iterable[Node], inputs: Sequence[str], target: str, values: Mapping[str, Array]
) -> None:
    """Raise UnsupportedError for a value on the way whose first axis is not as long as the inputs', unless there is
    but one sample; and where what is explained is one row of inputs that have several, or no axis for samples."""
    lengths = {values[name].shape[:1] for name in inputs}
    if samples(values[target]) == 1:
        if lengths == {(1,)}:
            return
        raise UnsupportedError(
            f"'{target}' is one row, the inputs have {values[inputs[0]].shape}: their first axis is not that of the "
            "samples, by which the summands are told apart; take another method, such as attnlrp"
        )
    for node in nodes:
        if values[node.output].shape[:1] not in lengths:
            raise UnsupportedError(
                f"{node}: its result of shape {values[node.output].shape} has not the samples on its first axis, by "
                "which the summands are told apart; take another method, such as attnlrp"
            )


def _at_zero(graph: Graph, names: Sequence[str]) -> dict[str, Array]:
    """These values for a few samples of zeros, by onnx's reference implementation."""
    feeds: dict[str, Array] = {
        name: np.full([n if isinstance(n, int) else SAMPLES for n in value.shape or ()], nothing, value.dtype)
        for name in graph.inputs
        for value in [graph.value(name)]
        for nothing in ["" if value.dtype == object else 0]
    }
    rows = max((len(x) for x in feeds.values() if x.ndim), default=SAMPLES)
    trees = filter(is_forest, graph.nodes)  # what they say is no matter
    feeds |= {n.output: np.zeros((rows, n.attributes.get("n_targets", 1)), np.float32) for n in trees}
    made = [name for name in names if name not in feeds]
    graph = taking_any(graph)
    graph = graph.replace(
        nodes=tuple(node for node in graph.nodes if not is_forest(node)),
        inputs=tuple(feeds), outputs=tuple(made), targets={},
    )  # fmt: skip
    run: Any = evaluator(graph.to_proto())
    with np.errstate(all="ignore"):
        return {**feeds, **dict(zip(made, run.run(None, feeds), strict=True))}


def origins(
    graph: Graph,
    way: Iterable[tuple[Node, OpEntry, tuple[int, ...]]],
    inputs: Sequence[str],
    values: Mapping[str, Array],
    trees: bool = False,
) -> dict[str, Array]:
    """For each value on the way, the origin of every element.

    way: the nodes in topological order, what each is, and its slots through which relevance goes on. trees: whether
    the scores of a tree ensemble may be summed, too. Raises
    UnsupportedError naming the first node that mixes inputs nonlinearly.
    """
    origins: dict[str, Array] = {}
    count = 0
    for name in inputs:
        shape, size = values[name].shape, values[name][0].size
        numbers = np.arange(count + 1, count + size + 1, dtype=np.float64).reshape(1, *shape[1:])
        origins[name] = np.broadcast_to(numbers, shape)
        count += size
    moving = _moving(graph, inputs)
    for node, op, slots in way:
        before = [origins[node.inputs[slot]] for slot in slots]
        beside = [v for i, v in enumerate(node.inputs) if i not in slots and v in moving]
        if beside:
            raise UnsupportedError(
                f"{describe(graph, node)}: its operand '{beside[0]}' depends on the input too, {NOT_A_SUM}"
            )
        point = Point(node, graph, slots, values)
        origins[node.output] = _through(graph, node, op, point, before, count, trees)
    return origins


def _through(
    graph: Graph, node: Node, op: OpEntry, point: Point, before: list[Array], count: int, trees: bool
) -> Array:
    where = describe(graph, node)
    if trees and op.family == "tree":
        if (before[0] == MIXED).any() or before[0].ndim != 2:
            raise UnsupportedError(
                f"{where}: the features that its trees ask are mixes of inputs, so what they get is not the inputs'; "
                "take another method, such as attnlrp"
            )
        return np.full(point.output.shape, float(MIXED))
    if op.kind not in ADDITIVE or op.site is None:
        raise UnsupportedError(f"{where}: a {op.kind} of several values is not a sum, {NOT_A_SUM}")
    if op.kind == "elementwise":
        if (before[0] == MIXED).any():
            raise UnsupportedError(f"{where}: acts nonlinearly on a combination of inputs, {NOT_A_SUM}")
        return before[0]
    site = op.site(point)
    if site.fills and len(before) == 1 and before[0].shape == site.output.shape:
        return before[0]  # what stands in for a missing value says something of its column
    if op.kind == "route":
        return np.asarray(sum(m.apply(None, o) for m, o in zip(site.maps, before, strict=True)))
    return _sums(site, before, count)


def _sums(site: Site, before: list[Array], count: int) -> Array:
    """The origins of weighted sums: that of all terms with a weight other than 0 if it is the same, else MIXED.

    Compared bit by bit: all terms have a bit of their number set, or none has.
    """

    def reached(marks: list[Array]) -> Array:
        like = site.output.dtype
        connected = (
            None if m.weights is None else (np.asarray(m.weights) != 0).astype(like) for m in site.maps
        )
        parts = (m.apply(w, o.astype(like)) for m, w, o in zip(site.maps, connected, marks, strict=True))
        return np.broadcast_to(np.asarray(sum(parts)), site.output.shape)

    single = [o > 0 for o in before]
    terms = reached(single)
    mixed = reached([o == MIXED for o in before]) > 0
    origin = np.zeros(site.output.shape)
    for bit in range(count.bit_length()):
        having = reached(
            [
                s & ((np.maximum(o, 0).astype(np.int64) >> bit) & 1 == 1)
                for s, o in zip(single, before, strict=True)
            ]
        )
        mixed |= (having > 0) & (having < terms)
        origin += 2.0**bit * (having > 0)
    return np.where(mixed, MIXED, origin)


def _moving(graph: Graph, inputs: Sequence[str]) -> set[str]:
    """The floating-point values that depend on the explained inputs in any way."""
    moving = set(inputs)
    for node in graph.nodes:
        if not moving.isdisjoint(needs(node)):
            moving.update(filter(None, node.outputs))
    return {value for value in moving if graph.value(value).is_float}
