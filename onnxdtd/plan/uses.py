"""What becomes of an input: whether it is made into features, or only says what counts, or where a token stands.

An input is followed through what is made of it alone (compared, cast, calculated with constants, moved), up to where
this meets other values, and how it meets them decides.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from onnxdtd.entries import OpEntry
from onnxdtd.model.graph import Graph, Node, needs
from onnxdtd.plan.scores import KEEPS, entry_of, per_graph, scores

PLAIN, SPREAD, TURNED = range(3)
"""What an own value has been through: at most sums and the like; a product with constants; a wave (of a position)."""
MOST_TOGETHER = 64
"""Inputs of which something is made that may be no features: a mask or a position is made of few."""


@dataclass
class Uses:
    """Of one input. masks, gates: the nodes at which something made of it alone meets attention scores, or multiplies
    or chooses other values, with the slot; turns: those at which its waves do. data: whether it is made into
    features."""

    masks: list[tuple[Node, int]] = field(default_factory=list)
    gates: list[tuple[Node, int]] = field(default_factory=list)
    turns: list[tuple[Node, int]] = field(default_factory=list)
    data: bool = False


@per_graph
def uses(graph: Graph) -> dict[str, Uses]:
    """By input; those that are read together with other values of their kind have the use in common."""
    follow = _Follow(graph, {name: Uses() for name in graph.inputs})
    for node in graph.nodes:
        follow.node(node)
    return follow.uses


@dataclass
class _Follow:
    """sources: of a value that is made of some inputs alone, those; still: whether it hangs on no input's values, as
    shapes do; all others are data."""

    graph: Graph
    uses: dict[str, Uses]
    sources: dict[str, frozenset[str]] = field(default_factory=dict)
    still: set[str] = field(default_factory=set)
    ways: dict[str, int] = field(default_factory=dict)
    moved: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        # A float is data until a comparison or a sum with scores says otherwise, so it is followed, too.
        self.sources.update({name: frozenset([name]) for name in self.graph.inputs})
        self.ways.update(dict.fromkeys(self.graph.inputs, PLAIN))
        self.moved.update(self.graph.inputs)

    def node(self, node: Node) -> None:
        entry, made = entry_of(node), [value for value in node.outputs if value]
        read = [value for value in needs(node) if value and value not in self.graph.constants]
        if all(value in self.still for value in read) or (entry is not None and entry.of_shape):
            self.still.update(made)
            return
        slots = [slot for slot, value in enumerate(node.inputs) if value in self.sources]
        if entry is None or node.body is not None:
            self._end([node.inputs[slot] for slot in slots] if entry is None else [])
        elif slots and all(self._aside(node, entry, slot) for slot in range(len(node.inputs))):
            self._make(node, entry, slots)
        else:
            for slot in slots:
                self._meet(node, entry, slot)

    def _aside(self, node: Node, entry: OpEntry, slot: int) -> bool:
        """Whether a slot reads nothing that is data, or only its type or shape."""
        value = node.inputs[slot]
        plain = not value or value in self.sources or value in self.still or value in self.graph.constants
        return plain or (entry.kind == "route" and not entry.chooses and not _carries(entry, slot))

    def _make(self, node: Node, entry: OpEntry, slots: list[int]) -> None:
        """Something is made of inputs alone: it is followed further, or it is made into features."""
        values = [node.inputs[slot] for slot in slots]
        one_hot = node.mark is not None and node.mark.meaning == "one_hot"
        looked_up = one_hot or any(self._looks_up(node, entry, v) for v in values)
        everything = frozenset[str]().union(*(self.sources[v] for v in values))
        way = self._way(entry, node, max(self.ways[v] for v in values), everything)
        if looked_up or way is None or len(everything) > MOST_TOGETHER:
            # Rows looked up by what was counted, as positions are by a mask, are no look-up of the mask itself.
            self._end([v for v in values if not looked_up or v in self.moved])
            return
        for value in filter(None, node.outputs):
            self.sources[value], self.ways[value] = everything, way
            if entry.kind == "route" and not entry.chooses and self.moved.issuperset(values):
                self.moved.add(value)

    def _way(self, entry: OpEntry, node: Node, way: int, sources: frozenset[str]) -> int | None:
        """What its values have been through behind this node; None for features, as each layer makes of floats."""
        if entry.kind == "barrier" or entry.family in (*KEEPS, "select", "pool"):
            return way
        if entry.kind == "elementwise":
            return TURNED if entry.periodic and way != TURNED else way if way == PLAIN else None
        floats = any(self.graph.value(name).is_float for name in sources)
        if entry.family != "dense" or way == TURNED or floats:
            return None
        return SPREAD if any(value in self.graph.constants for value in node.inputs) else way

    def _looks_up(self, node: Node, entry: OpEntry, value: str) -> bool:
        slots = [i for i in entry.embeds if i not in (entry.data or ()) and i < len(node.inputs)]
        return any(node.inputs[i] == value for i in slots) and self.graph.value(node.output).is_float

    def _meet(self, node: Node, entry: OpEntry, slot: int) -> None:
        """Something made of inputs alone meets data: as a mask, a factor, a choice; else it is data itself."""
        value = node.inputs[slot]
        way = self.ways[value]
        multiplies = slot in entry.factors and entry.family == "scale"
        for name in self.sources[value]:
            use = self.uses[name]
            if way == PLAIN and node.output in scores(self.graph) and entry.family in KEEPS:
                use.masks.append((node, slot))
            elif way == TURNED and (multiplies or entry.family == "sum"):
                use.turns.append((node, slot))
            elif way == PLAIN and (multiplies or entry.chooses or not _carries(entry, slot)):
                use.gates.append((node, slot))
            else:
                use.data = True

    def _end(self, values: list[str]) -> None:
        for name in (name for value in values for name in self.sources[value]):
            self.uses[name].data = True


def _carries(entry: OpEntry, slot: int) -> bool:
    return entry.data is None or slot in entry.data
