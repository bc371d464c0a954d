"""The plan: which nodes the walk visits, in which order, with which rule; nothing is computed yet.

load -> graph -> canonise -> assign (method) -> **plan** -> forward -> backward -> explanation
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from onnxdtd.domains.box import Boxes
from onnxdtd.domains.interval import ANY
from onnxdtd.domains.propagation import Domain, Range
from onnxdtd.entries import Finish, MethodEntry
from onnxdtd.errors import UnsupportedError, UsageError
from onnxdtd.methods import Options, Place
from onnxdtd.methods.auto import choose
from onnxdtd.methods.entry import Method, method_entry
from onnxdtd.methods.overrides import Override
from onnxdtd.model.graph import Graph, Node
from onnxdtd.plan.facts import facts
from onnxdtd.plan.ground import Ground
from onnxdtd.plan.limits import idle_rules, limits
from onnxdtd.plan.network import heads, network
from onnxdtd.plan.reach import Reach, reach
from onnxdtd.plan.step import Step as Step
from onnxdtd.registry import PASSES
from onnxdtd.rules import Rule
from onnxdtd.rules.passing import passing


@dataclass(frozen=True)
class Inside:
    """What a walk does at values inside the model, by name. keep: relevance that arrives there is returned. masked:
    values with the axes along which only some relevance goes on. starts: where relevance begins instead of at the
    target."""

    keep: tuple[str, ...] = ()
    masked: tuple[tuple[str, tuple[int, ...]], ...] = ()
    starts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """An assignment of rules to the nodes between the inputs and one output.

    output: the explained output's name; target: the value that is explained (its logit). method: by name;
    reason: why `auto` took it. steps: in topological order (the walk goes backwards). inputs: those that receive
    relevance, floats and tokens. seed, finish: of the method. warnings: what the user should know. passes: the
    method of many passes that `auto` took, whose walks these are. inside: what happens at values on the way.
    """

    graph: Graph
    output: str
    target: str
    method: str
    reason: str
    steps: tuple[Step, ...]
    inputs: tuple[str, ...]
    seed: Literal["value", "positive", "one"]
    finish: Finish
    warnings: tuple[str, ...] = ()
    domains: Mapping[str, Domain] = field(default_factory=dict, repr=False)
    passes: str = ""
    inside: Inside = Inside()

    @property
    def by(self) -> str:
        """The method that explains, of one walk or of many."""
        return self.passes or self.method

    @property
    def floats(self) -> tuple[str, ...]:
        """The explained inputs that can be moved by a little: those that are no integers."""
        return tuple(name for name in self.inputs if self.graph.value(name).is_float)

    @property
    def rules(self) -> dict[str, str]:
        """The rule of each node, as printed."""
        return {step.node.name: str(step.rule) for step in self.steps}

    def __str__(self) -> str:
        width = max((len(step.node.name) for step in self.steps), default=0)
        lines = [f"{s.node.name:<{width}}  {s.node.op:<20} {s.rule}" for s in self.steps]
        return "\n".join([f"{self.method}: {self.output} -> {', '.join(self.inputs)}", *lines])


def needed(plan: Plan) -> list[str]:
    """The values that the walk reads: inputs and carrying outputs of every node, its constants aside."""
    names: dict[str, None] = {plan.target: None}
    for step in plan.steps:
        names.update(dict.fromkeys((*filter(None, step.node.inputs), *step.op.carried(step.node.outputs))))
    return [name for name in names if name not in plan.graph.constants]


def make_plan(
    graph: Graph,
    method: Method = "auto",
    output: str | None = None,
    *,
    input_range: Range = None,
    bias: Literal["absorb", "redistribute"] | None = None,
    overrides: Sequence[Override] = (),
    strict: bool = False,
    ground: Ground | None = None,
) -> Plan:
    """Assign a rule to every node between the inputs and an output.

    output: a name, or None for the first output that the float inputs reach. input_range: (low, high) of the
    input, numbers or arrays that broadcast to it, or a dict by input name. strict: refuse overrides that match
    nothing, instead of warning of them. ground: of the same graph, range and overrides, from another plan. Raises
    UnsupportedError listing every op without an entry and every rule that does not fit its op; UsageError for
    unknown names.
    """
    if method != "auto":
        method_entry(method)
    ground = ground or Ground(graph, input_range, overrides)
    reached = reach(ground.carried, output)
    reason = passes = ""
    if method == "auto":
        kind = network(graph, reached)
        # What the user sets of rules is meant for a walk.
        ruled = bool(overrides) or bias is not None
        method, reason = choose(replace(kind, adds=False) if ruled else kind)
        if method in PASSES:
            method, passes = PASSES[method].base, method
    entry = method_entry(method)
    ranges = ground.ranges
    options = Options(bias or entry.bias, chosen=bias is not None)
    head = heads(reached)
    places = [
        _place(node, reached, ranges, ground.boxes, head=node.name in head, units=node.name in ground.units)
        for node in reached.nodes
    ]
    rules = {place.node.name: _rule(place, entry, options, overrides) for place in places}
    faults = [
        f"rule {rules[p.node.name]} cannot serve {p.node} (kind {p.op.kind}, family {p.op.family}); "
        "give it another rule in --rules"
        for p in places
        if not rules[p.node.name].serves(p.op)
    ]
    if faults:
        raise UnsupportedError(faults)
    idle = idle_rules(overrides, places, graph)
    if strict and idle:
        raise UsageError("\n".join(idle))
    sealed = reached.target if entry.seed == "positive" else None
    whole = [
        Step(p.node, p.op, reached.slots[p.node.name], p, rules[p.node.name], rules[p.node.name])
        for p in places
    ]
    steps = prune(graph, whole, ranges, sealed)
    return Plan(
        graph=graph,
        output=reached.output,
        target=reached.target,
        method=entry.name,
        reason=reason,
        steps=steps,
        inputs=reached.inputs,
        seed=entry.seed,
        finish=entry.finish,
        warnings=(*idle, *limits(graph, reached, ranges, entry, steps)),
        domains=ranges,
        passes=passes,
    )


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


def _rule(place: Place, entry: MethodEntry, options: Options, overrides: Sequence[Override]) -> Rule:
    for override in reversed(overrides):
        if override.rule is not None and override.matches(place):
            return override.rule
    if place.op.family == "embedding":
        return passing()
    rule: Rule = entry.assign(place, options)
    return rule


def _place(
    node: Node, reached: Reach, ranges: Mapping[str, Domain], boxes: Boxes, *, head: bool, units: bool
) -> Place:
    values = [node.inputs[slot] for slot in reached.slots[node.name]]
    domains = [ranges.get(value, ANY) for value in values]
    first = node.name in reached.first
    return Place(
        node=node,
        op=reached.ops[node.name],
        first=first,
        last=node.name in reached.last,
        head=head,
        depth=reached.depth[node.name],
        layers=reached.layers,
        domain=Domain(min(d.low for d in domains), max(d.high for d in domains)),
        box=boxes.at(values[0]) if first else None,
        units=units,
    )
