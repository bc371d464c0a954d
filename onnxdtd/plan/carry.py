"""What relevance can go along: floats, and integers and texts that an op turns into floats (tokens that are looked
up, bytes that are cast, categories that are encoded)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from onnx import TensorProto

from onnxdtd.entries import OpEntry
from onnxdtd.model.graph import Graph, Node, needs
from onnxdtd.ops import OPS
from onnxdtd.ops.gated import as_marked
from onnxdtd.plan.categories import categories
from onnxdtd.plan.faults import UNSERVED, op_fault, reading_fault
from onnxdtd.plan.masks import masks

INTEGERS = {TensorProto.DataType.Value(f"{sign}INT{bits}") for sign in ("", "U") for bits in (8, 16, 32, 64)}
TOKENS = {*INTEGERS, TensorProto.STRING}
MISSING = OpEntry("", "", "refuse", "refuse", None, (), None, "no entry for this operator")


@dataclass
class Carried:
    """By node name: the data slots that depend on an input (slots), what the op is, what is wrong with it (faults),
    and for those where relevance ends, why.

    floats, integers (texts among them): the values that depend on an input; beside: those through which their node
    carries no relevance; behind: those that come from a node with a fault. held: graph inputs that are a weight or
    setting of a node, by that node: they are given no relevance. codes: the nodes that read floats as categories.
    """

    graph: Graph
    floats: set[str]
    integers: set[str]
    slots: dict[str, tuple[int, ...]] = field(default_factory=dict)
    ops: dict[str, OpEntry] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    ends: dict[str, str] = field(default_factory=dict)
    beside: dict[str, Node] = field(default_factory=dict)
    behind: set[str] = field(default_factory=set)
    held: dict[str, Node] = field(default_factory=dict)
    codes: frozenset[str] = frozenset()

    def visit(self, node: Node) -> None:
        """Carry what the node reads to what it makes, or say why not."""
        read = {value for value in needs(node) if value in self.floats or value in self.integers}
        if not read:
            return
        op = OPS.get((node.domain, node.op), MISSING)
        made = [v for v in node.outputs if v and self._is_float(v)]
        floats = read & self.floats
        slots: tuple[int, ...] | None
        if node.name in self.codes:
            slots = self._as_categories(node)
            op = replace(op, kind="route", family="route", data=slots)
        # An operator without a rule that makes floats of tokens would have to carry, so it is a fault and no end.
        elif floats or (op.kind in UNSERVED and made):
            slots = self._through_floats(node, op, made, floats or read)
        else:
            slots = self._through_integers(node, op, made)
            if slots and self._embeds(node, op, made):
                op = replace(op, kind="route", family="embedding" if made else "route", data=slots)
        if slots is None:
            return
        self.slots[node.name] = slots
        self.ops[node.name] = as_marked(op, node, slots)
        self._judge(node, op, slots)

    def _is_float(self, value: str) -> bool:
        return self.graph.value(value).is_float or not self.graph.value(value).elem_type

    def _through_floats(
        self, node: Node, op: OpEntry, made: list[str], read: set[str]
    ) -> tuple[int, ...] | None:
        """The slots through which floats carry, None where they end."""
        if op.kind == "barrier":
            self.ends[node.name] = f"{node}: {op.doc}"
            return None
        if self._rounded(read) or (op.kind == "refuse" and op is not MISSING):
            made = [v for v in node.outputs if v]  # integers here, which may be floats again further on
        if not made:
            self.ends[node.name] = f"{node}: makes integers or booleans of floats"
            return None
        slots = tuple(i for i, value in enumerate(node.inputs) if value in read)
        if op.data is not None and op.kind not in UNSERVED:
            held = [i for i in slots if i not in op.data and node.inputs[i] in self.graph.inputs]
            self.held.update({node.inputs[i]: node for i in held})
            slots = tuple(i for i in slots if i not in held)
            if not slots:
                return None
        self.floats.update(made)
        if op.kind not in UNSERVED:
            self.beside.update({v: node for v in made if v not in op.carried(node.outputs)})
        return slots

    def _rounded(self, read: set[str]) -> bool:
        return any(self.graph.value(v).elem_type in INTEGERS for v in read & self.floats)

    def _as_categories(self, node: Node) -> tuple[int, ...]:
        """Floats that only name a category: what they are written as carries for them."""
        for value in filter(None, node.outputs):
            (self.floats if self._is_float(value) else self.integers).add(value)
        return (0,)

    def _embeds(self, node: Node, op: OpEntry, made: list[str]) -> bool:
        return bool(made) or op.encodes or (node.mark is not None and node.mark.meaning == "one_hot")

    def _through_integers(self, node: Node, op: OpEntry, made: list[str]) -> tuple[int, ...] | None:
        """The slots through which integers carry: those that the op turns into floats, or moves."""
        embeds = self._embeds(node, op, made)
        through = op.embeds if embeds else range(len(node.inputs)) if op.data is None else op.data
        slots = tuple(i for i, value in enumerate(node.inputs) if value in self.integers and i in through)
        if not slots or not (embeds or op.kind == "route"):
            return None
        (self.floats if made else self.integers).update(op.carried(node.outputs))
        return slots

    def _judge(self, node: Node, op: OpEntry, slots: tuple[int, ...]) -> None:
        """Note what is wrong with the node itself, and what is wrong with what it reads; the latter not behind a node
        that has a fault already, since it may be nothing but a consequence."""
        follows = any(node.inputs[slot] in self.behind for slot in slots)
        fault = op_fault(self.graph, node, op)
        if not fault and not follows:
            fault = reading_fault(self.graph, node, op, slots, self.beside)
        if fault:
            self.faults[node.name] = fault
        if fault or follows:
            self.behind.update(filter(None, node.outputs))


def carry(graph: Graph, stops: Callable[[Node], bool]) -> Carried:
    """Follow the graph's inputs, its attention masks aside, to wherever relevance can come from; what a node that
    `stops` makes is a constant."""
    tokens = {name for name in graph.inputs if graph.value(name).elem_type in TOKENS} - {*masks(graph)}
    floats = {name for name in graph.inputs if graph.value(name).is_float}
    carried = Carried(graph, floats, tokens, codes=categories(graph))
    for node in graph.nodes:
        if not stops(node):
            carried.visit(node)
    return carried
