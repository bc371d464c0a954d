"""Each node on the way gets its place and its rule, those in the bodies of loops too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from onnxdtd.domains.box import Boxes
from onnxdtd.domains.interval import ANY, of_array
from onnxdtd.domains.propagation import Domain, domains
from onnxdtd.entries import MethodEntry
from onnxdtd.methods import Options, Place
from onnxdtd.methods.overrides import Override
from onnxdtd.model.graph import Graph, Node
from onnxdtd.model.loops import Layout, State, layout, steady_sizes
from onnxdtd.plan.constants import POSITION, constant_of, features_axis
from onnxdtd.plan.facts import facts
from onnxdtd.plan.reach import Way
from onnxdtd.plan.step import Step, Trail, read_by
from onnxdtd.rules import Rule
from onnxdtd.rules.credited import Credited
from onnxdtd.rules.inner import Inner
from onnxdtd.rules.passing import passing


@dataclass(frozen=True)
class Stage:
    """A graph with what the rules of its nodes depend on. head, units: nodes, see `Place`. before, behind, layers: of
    a body, the layers before and behind the loop, and all of them."""

    graph: Graph
    way: Way
    ranges: Mapping[str, Domain]
    boxes: Boxes
    head: frozenset[str] = frozenset()
    units: frozenset[str] = frozenset()
    before: int = 0
    behind: int = 0
    layers: int = 0

    def place(self, node: Node) -> Place:
        """One node's place."""
        way, name = self.way, node.name
        values = [node.inputs[slot] for slot in way.slots[name]]
        spread = [self.ranges.get(value, ANY) for value in values]
        first = name in way.first and not self.before
        return Place(
            node=node,
            op=way.ops[name],
            first=first,
            last=name in way.last and not self.behind,
            head=name in self.head,
            depth=self.before + way.depth[name],
            layers=self.layers or way.layers,
            domain=Domain(min(d.low for d in spread), max(d.high for d in spread)) if spread else ANY,
            box=self.boxes.at(values[0]) if first else None,
            units=name in self.units,
        )


@dataclass
class Assignment:
    """A method with the user's options and rules. credits: what position embeddings take goes to the tokens there.
    places: of all nodes that were given a rule; faults: of rules that do not fit."""

    entry: MethodEntry
    options: Options
    overrides: Sequence[Override]
    credits: bool = False
    places: list[Place] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def steps(self, stage: Stage) -> list[Step]:
        """The nodes on the way with their rules."""
        return [self._step(node, stage) for node in stage.way.nodes]

    def _step(self, node: Node, stage: Stage) -> Step:
        place, slots = stage.place(node), stage.way.slots[node.name]
        if node.name in stage.way.bodies:
            trail = self._trail(layout(node), stage)
            inner = Inner(tuple(step.rule for step in trail.steps))
            return Step(node, place.op, slots, place, inner, inner, trail, place.op.called)
        self.places.append(place)
        rule, constant = self._rule(place), constant_of(stage.graph, node, place.op, slots)
        if self.credits and constant == POSITION and not rule.differentiates:
            rule = Credited(rule, features_axis(stage.graph, node))
        if not rule.serves(place.op):
            self.faults.append(
                f"rule {rule} cannot serve {node} (kind {place.op.kind}, family {place.op.family}); "
                "give it another rule in --rules"
            )
        return Step(node, place.op, slots, place, rule, rule, constant=constant)

    def _rule(self, place: Place) -> Rule:
        for override in reversed(self.overrides):
            if override.rule is not None and override.matches(place):
                return override.rule
        if place.op.family == "embedding":
            return passing()
        rule: Rule = self.entry.assign(place, self.options)
        return rule

    def _trail(self, call: Layout, stage: Stage) -> Trail:
        name, outer, body = call.node.name, stage.way, call.body
        way, ranges = outer.bodies[name], inner_ranges(call, stage.graph, stage.ranges)
        ends = {begin: (d.low, d.high) for begin, d in ranges.items() if begin in body.inputs}
        inner = Stage(
            body,
            way,
            ranges,
            Boxes(body, ends, ranges),
            before=stage.before + outer.depth[name] - way.layers,
            behind=stage.behind + outer.height[name] - way.layers,
            layers=stage.layers or outer.layers,
        )
        steps = prune(body, self.steps(inner), ranges, None, body.outputs)
        given = {*body.constants, *(begin for _, begin in call.slices)}
        given |= {v for s in call.states if s.begin in call.fixed for v in (s.begin, s.end)}
        listed = [v for step in steps if step.trail and not step.trail.steady for v in step.trail.recorded]
        reads = [value for value in dict.fromkeys((*read_by(steps), *listed)) if value not in given]
        if not reads and not call.slices:
            reads = [call.counter]
        made = {v for node in way.nodes for v in node.outputs}
        states = tuple(s for s in call.states if s.begin in way.arrived or s.end in way.arrived & made)
        return Trail(call, steps, states, tuple(reads), _steady(call, steps, states, reads))


def _steady(call: Layout, steps: Sequence[Step], states: Sequence[State], reads: Sequence[str]) -> bool:
    """Whether all that is read, and the states, have one shape in all iterations; what is read inside a loop inside,
    also one length."""
    sizes = steady_sizes(call.body)
    inner = {v for step in steps if step.trail and _lasts(call, step.trail) for v in step.trail.recorded}
    keep = all(state.begin in sizes and sizes[state.begin] == sizes.get(state.end) for state in states)
    return keep and sizes.keys() | inner >= {*reads}


def _lasts(outer: Layout, trail: Trail) -> bool:
    """Whether a steady loop inside another has as many iterations every time."""
    call, still = trail.call, {"", *outer.body.constants, *outer.fixed}
    if call.slices:
        return trail.steady
    return trail.steady and call.endless and still.issuperset(call.node.inputs[:2])


def prune(
    graph: Graph,
    steps: Sequence[Step],
    ranges: Mapping[str, Domain],
    sealed: str | None,
    starts: Sequence[str] = (),
) -> tuple[Step, ...]:
    """The steps, each rule without what the graph shows to be zero; sealed, starts: see `facts`."""
    signs = facts(
        graph,
        [step.node for step in steps],
        {step.node.name: step.slots for step in steps},
        {step.node.name: step.rule for step in steps},
        {step.node.name: step.op for step in steps},
        ranges,
        sealed,
        starts,
    )
    return tuple(replace(step, pruned=step.rule.prune(signs[step.node.name])) for step in steps)


def inner_ranges(call: Layout, graph: Graph, outer: Mapping[str, Domain]) -> dict[str, Domain]:
    """The ranges of a body's values: a state lies where it begins, or where an iteration may bring it from there."""
    node, body, constants = call.node, call.body, graph.constants
    ends = {
        begin: of_array(constants[v]) if (v := node.inputs[slot]) in constants else outer.get(v, ANY)
        for slot, begin in call.entries
    }

    def spread() -> dict[str, Domain]:
        known = {v: (d.low, d.high) for v, d in ends.items() if body.value(v).is_float}
        return domains(body, known)

    for _ in range(2):
        ranges = spread()
        wider = {s.begin: ends[s.begin] | ranges.get(s.end, ANY) for s in call.states}
        if all(ends[begin] == domain for begin, domain in wider.items()):
            return ranges
        ends.update(wider)
    ends.update({s.begin: ANY for s in call.states if s.begin not in call.fixed})
    return spread()
