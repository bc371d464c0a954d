"""The graph of an explanation: boxes, and the relevance that went from each to those that feed it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import networkx as nx

from onnxdtd.explanation import Explanation
from onnxdtd.node_report import NodeReport

TARGET = "target"


@dataclass(frozen=True)
class Box:
    """What is drawn as one: a node, an input, the target, or several nodes as one (inside).

    words: a line of small print. arrived, lost: relevance, and what of it went to no input, by cause.
    """

    key: str
    label: str
    words: str = ""
    kind: str = "node"
    arrived: float = 0.0
    left: float = 0.0
    lost: Mapping[str, float] = field(default_factory=dict)
    nodes: tuple[NodeReport, ...] = ()
    inside: Flow | None = None

    @property
    def loss(self) -> float:
        """All that was lost."""
        return sum(self.lost.values())


@dataclass(frozen=True)
class Flow:
    """Boxes from the target to the inputs, and edges (from, to, relevance), the way that relevance goes."""

    boxes: tuple[Box, ...]
    edges: tuple[tuple[str, str, float], ...]

    @cached_property
    def by_key(self) -> dict[str, Box]:
        """Boxes by key."""
        return {box.key: box for box in self.boxes}

    @cached_property
    def network(self) -> nx.DiGraph:
        """The same for networkx; boxes in their order."""
        network = nx.DiGraph()
        network.add_nodes_from(box.key for box in self.boxes)
        network.add_weighted_edges_from(self.edges)
        return network

    @property
    def largest(self) -> float:
        """The largest |relevance| of an edge or a loss, for the width of lines."""
        return max([1e-300, *(abs(r) for *_, r in self.edges), *(abs(box.loss) for box in self.boxes)])

    def part(self, keys: Iterable[str]) -> Flow:
        """Some of the boxes, and the edges between them."""
        kept = set(keys)
        return Flow(
            tuple(box for box in self.boxes if box.key in kept),
            tuple(edge for edge in self.edges if edge[0] in kept and edge[1] in kept),
        )

    def merged(self, groups: Sequence[tuple[str, str, Sequence[str]]]) -> Flow:
        """Each group (label, words, keys) as one box that has its own inside; edges between two boxes are added."""
        place: dict[str, str] = {}
        merged: dict[str, Box] = {}
        for label, words, keys in groups:
            own = self.part(keys)
            if len(own.boxes) == 1:
                continue
            key = f"group:{own.boxes[0].key}:{own.boxes[-1].key}"
            place |= dict.fromkeys(keys, key)
            merged[key] = self._around(key, label, words, own)
        boxes = dict.fromkeys(place.get(box.key, box.key) for box in self.boxes)
        sums: dict[tuple[str, str], float] = {}
        for a, b, r in self.edges:
            ends = place.get(a, a), place.get(b, b)
            if ends[0] != ends[1]:
                sums[ends] = sums.get(ends, 0.0) + r
        return Flow(
            tuple(merged.get(key) or self.by_key[key] for key in boxes),
            tuple((a, b, r) for (a, b), r in sums.items()),
        )

    def _around(self, key: str, label: str, words: str, own: Flow) -> Box:
        keys = own.by_key
        lost: dict[str, float] = {}
        for box in own.boxes:
            for cause, amount in box.lost.items():
                lost[cause] = lost.get(cause, 0.0) + amount
        arrived = sum(r for a, b, r in self.edges if b in keys and a not in keys)
        left = sum(r for a, b, r in self.edges if a in keys and b not in keys)
        nodes = tuple(node for box in own.boxes for node in box.nodes)
        return Box(key, label, words, "group", arrived, left, lost, nodes, own)


def flow_of(e: Explanation) -> Flow | None:
    """The graph as far as relevance went, summed over the batch; None where the result tells of no node, or no edges,
    as an earlier version wrote it."""
    if not e.nodes or not any(node.handed for node in e.nodes):
        return None
    boxes = [_node(node) for node in e.nodes]
    makers = {value: f"node:{node.name}" for node in e.nodes for value in node.outputs}
    inputs = [name for name in e.relevance if name not in makers]
    makers |= {name: f"input:{name}" for name in inputs}
    edges = [
        (f"node:{node.name}", makers[value], r)
        for node in e.nodes
        for value, r in node.handed.items()
        if value in makers and value not in node.outputs  # of an input that is an output too
    ]
    first = [box for box, node in zip(boxes, e.nodes, strict=True) if node.depth == 0]
    starts = [Box(TARGET, e.label(0) if len(e.target) == 1 else f"{len(e.target)} samples", "target", TARGET,
                  left=e.conservation.target)]  # fmt: skip
    edges += [(TARGET, box.key, box.arrived) for box in first]
    ends = [
        Box(f"input:{name}", name, "input", "input", arrived=float(e.relevance[name].sum(dtype="float64")))
        for name in inputs
    ]
    return Flow((*starts, *_sorted([*boxes, *ends], edges)), tuple(edges))


def _node(node: NodeReport) -> Box:
    return Box(f"node:{node.name}", node.op, node.rule, "node", node.arrived, node.left,
               dict(node.lost), (node,))  # fmt: skip


def _sorted(boxes: Sequence[Box], edges: Sequence[tuple[str, str, float]]) -> list[Box]:
    """From the target on; ties as they come."""
    network = nx.DiGraph()
    places = {box.key: i for i, box in enumerate(boxes)}
    network.add_nodes_from(places)
    network.add_edges_from((a, b) for a, b, _ in edges if a in places)
    order = nx.lexicographical_topological_sort(network, key=places.__getitem__)
    return [boxes[places[key]] for key in order]
