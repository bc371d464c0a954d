"""The plan: which nodes the walk visits, in which order, with which rule; nothing is computed yet.

load -> graph -> canonise -> assign (method) -> **plan** -> forward -> backward -> explanation
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from onnxdtd.domains.propagation import Domain, Range
from onnxdtd.entries import Finish
from onnxdtd.errors import UnsupportedError, UsageError
from onnxdtd.methods import Options
from onnxdtd.methods.auto import choose
from onnxdtd.methods.entry import Method, method_entry
from onnxdtd.methods.overrides import Override
from onnxdtd.model.graph import Graph
from onnxdtd.plan.assign import Assignment, Stage, prune
from onnxdtd.plan.ground import Ground
from onnxdtd.plan.limits import idle_rules, limits, uncredited
from onnxdtd.plan.network import heads, network, own_method
from onnxdtd.plan.reach import reach
from onnxdtd.plan.step import Step, everywhere, read_by
from onnxdtd.registry import PASSES


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
        return {step.node.name: str(step.rule) for step in everywhere(self.steps)}

    def __str__(self) -> str:
        steps = [*everywhere(self.steps)]
        width = max((len(step.node.name) for step in steps), default=0)
        lines = [f"{s.node.name:<{width}}  {s.node.op:<20} {s.rule}" for s in steps]
        return "\n".join([f"{self.method}: {self.output} -> {', '.join(self.inputs)}", *lines])


def needed(plan: Plan) -> list[str]:
    """The values that the walk reads, the graph's constants aside."""
    asked = (*plan.inside.keep, *(name for name, _ in plan.inside.masked), *plan.inside.starts)
    names = dict.fromkeys((plan.target, *read_by(plan.steps), *asked))
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
    positions: Literal["absorb", "token"] = "absorb",
) -> Plan:
    """Assign a rule to every node between the inputs and an output.

    output: a name, or None for the first output that the float inputs reach. input_range: (low, high) of the
    input, numbers or arrays that broadcast to it, or a dict by input name. strict: refuse overrides that match
    nothing, instead of warning of them. ground: of the same graph, range and overrides, from another plan. positions:
    who is given the relevance of position embeddings: they absorb it, or the tokens that stand there get it. Raises
    UnsupportedError listing every op without an entry and every rule that does not fit its op; UsageError for
    unknown names.
    """
    holds_weights = method != "auto" and method_entry(method).holds_weights
    ground = ground or Ground(graph, input_range, overrides)
    credits = positions == "token"
    reached = reach(ground.carried(holds_weights, credits), output)
    reason = passes = ""
    # What the user sets of rules is meant for a walk.
    ruled = bool(overrides) or bias is not None
    own = own_method(graph, reached) if isinstance(method, str) and not ruled else ""
    if method == "auto":
        kind = network(graph, reached)
        method, reason = choose(replace(kind, adds=False, tree_sum=False) if ruled else kind)
        if method in PASSES:
            method, passes = PASSES[method].base, method
    elif own and method_entry(method).seed != "one":
        reason = f"what {method} comes to where trees alone share"
        method, passes = PASSES[own].base, own
    entry = method_entry(method)
    ranges = ground.ranges
    options = Options(bias or entry.bias, chosen=bias is not None)
    stage = Stage(graph, reached, ranges, ground.boxes, heads(reached), frozenset(ground.units))
    assignment = Assignment(entry, options, overrides, credits)
    whole = assignment.steps(stage)
    if assignment.faults:
        raise UnsupportedError(assignment.faults)
    idle = idle_rules(overrides, assignment.places, graph)
    if strict and idle:
        raise UsageError("\n".join(idle))
    sealed = reached.target if entry.seed == "positive" else None
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
        warnings=(
            *idle,
            *limits(graph, reached, ranges, entry, steps),
            *(uncredited(steps, entry.name, options.bias == "absorb") if credits else ()),
        ),
        domains=ranges,
        passes=passes,
    )
