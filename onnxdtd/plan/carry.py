"""What relevance can go along: floats, and integers and texts that an op turns into floats (tokens that are looked
up, bytes that are cast, categories that are encoded)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from onnx import TensorProto

from onnxdtd.entries import OpEntry
from onnxdtd.model.graph import Graph, Node, needs
from onnxdtd.model.loops import Layout, layout
from onnxdtd.ops import OPS
from onnxdtd.ops.gated import as_marked
from onnxdtd.plan.categories import categories
from onnxdtd.plan.faults import UNSERVED, op_fault, reading_fault
from onnxdtd.plan.masks import masks, places

INTEGERS = {TensorProto.DataType.Value(f"{sign}INT{bits}") for sign in ("", "U") for bits in (8, 16, 32, 64)}
TOKENS = {*INTEGERS, TensorProto.STRING}
Stops = Callable[[Node], bool]
MISSING = OpEntry("", "", "refuse", "refuse", None, (), None, "no entry for this operator")


@dataclass
class Carried:
    """By node name: the data slots that depend on an input (slots), what the op is, what is wrong with it (faults),
    and for those where relevance ends, why.

    floats, integers (texts among them): the values that depend on an input; beside: those through which their node
    carries no relevance; behind: those that come from a node with a fault. held: graph inputs that are a weight or
    setting of a node, by that node: they are given no relevance. stops: what a node that it holds for makes is a
    constant. holds_weights: so are normalised weights, where they weigh other values; weights: these, and what was
    made of them alone. codes: the nodes that read floats as categories. bodies: the same of each loop's body.
    """

    graph: Graph
    floats: set[str]
    integers: set[str]
    stops: Stops
    holds_weights: bool = False
    weights: set[str] = field(default_factory=set)
    slots: dict[str, tuple[int, ...]] = field(default_factory=dict)
    ops: dict[str, OpEntry] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    ends: dict[str, str] = field(default_factory=dict)
    beside: dict[str, Node] = field(default_factory=dict)
    behind: set[str] = field(default_factory=set)
    held: dict[str, Node] = field(default_factory=dict)
    codes: frozenset[str] = frozenset()
    bodies: dict[str, Carried] = field(default_factory=dict)

    def follow(self) -> Carried:
        """Carry along all nodes."""
        for node in self.graph.nodes:
            if not self.stops(node):
                self.visit(node)
        return self

    def visit(self, node: Node) -> None:
        """Carry what the node reads to what it makes, or say why not."""
        read = {value for value in needs(node) if value in self.floats or value in self.integers}
        if not read:
            return
        op = OPS.get((node.domain, node.op), MISSING)
        if node.body is not None:
            self._through_body(layout(node), op)
            return
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
        self.slots[node.name], self.ops[node.name] = self._holding(node, op, slots)
        self._judge(node, op, slots)

    def _holding(self, node: Node, op: OpEntry, slots: tuple[int, ...]) -> tuple[tuple[int, ...], OpEntry]:
        """The slots and the entry of a node; where it weighs values by weights that are held, the values' slots, and
        it is a weighted average."""
        weights = {slot for slot in slots if node.inputs[slot] in self.weights}
        if op.normalises or (weights and len(weights) == len(slots)):
            self.weights.update(filter(None, node.outputs))
        marked = as_marked(op, node, slots)
        if not self.holds_weights or not weights or len(weights) == len(slots) or marked.kind != "gate":
            return slots, marked
        weighed = tuple(slot for slot in slots if slot not in weights)
        entry = as_marked(op, node, weighed)
        return weighed, replace(entry, family="pool") if entry.kind == "linear" else entry

    def _through_body(self, call: Layout, op: OpEntry) -> None:
        """A state of a loop carries if what it begins with does, or what an iteration makes of it."""
        node = call.node
        floats, integers = (
            {begin for slot, begin in call.entries if node.inputs[slot] in values}
            for values in (self.floats, self.integers)
        )
        while True:
            inner = Carried(call.body, {*floats}, {*integers}, self.stops, self.holds_weights).follow()
            floats |= {state.begin for state in call.states if state.end in inner.floats}
            integers |= {state.begin for state in call.states if state.end in inner.integers}
            if floats <= inner.floats and integers <= inner.integers:
                break
        self.ends.update(inner.ends)
        self.floats.update(out for end, out in call.results if end in inner.floats)
        self.integers.update(out for end, out in call.results if end in inner.integers)
        self.behind.update(out for end, out in call.results if end in inner.behind)
        self.beside.update((out, inner.beside[end]) for end, out in call.results if end in inner.beside)
        carrying = inner.floats | inner.integers
        if any(end in carrying for end, _ in call.results):
            outer = self.floats | self.integers
            self.slots[node.name] = tuple(slot for slot, _ in call.entries if node.inputs[slot] in outer)
            self.ops[node.name], self.bodies[node.name] = op, inner

    def _is_float(self, value: str) -> bool:
        return self.graph.value(value).is_float or not self.graph.value(value).elem_type

    def _through_floats(
        self, node: Node, op: OpEntry, made: list[str], read: set[str]
    ) -> tuple[int, ...] | None:
        """The slots through which floats carry, None where they end."""
        if op.kind == "barrier":
            self.ends[node.name] = f"{node}: {op.doc}"
            return None
        if op.rounds:
            if node.inputs[0] not in read:
                return None
            read, made = {node.inputs[0]}, list(op.carried(node.outputs))
        elif self._rounded(read) or (op.kind in ("refuse", "loop") and op is not MISSING):
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


def carry(graph: Graph, stops: Stops, holds_weights: bool = False, others: Sequence[str] = ()) -> Carried:
    """Follow the graph's inputs, masks and places of tokens aside, to wherever relevance can come from; what a node
    that `stops` makes is a constant, and with holds_weights what weighs other values. others: further inputs that
    are set aside."""
    aside = {*masks(graph), *places(graph), *others}
    tokens = {name for name in graph.inputs if graph.value(name).elem_type in TOKENS} - aside
    floats = {name for name in graph.inputs if graph.value(name).is_float} - aside
    return Carried(graph, floats, tokens, stops, holds_weights, codes=categories(graph)).follow()
