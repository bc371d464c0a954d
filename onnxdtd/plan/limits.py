"""What the user should know of a plan: idle rules, inputs without relevance, and where a method's theory ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import get_args

from onnxdtd.domains.propagation import Domain
from onnxdtd.entries import Kind, MethodEntry
from onnxdtd.methods import Place
from onnxdtd.methods.overrides import Override
from onnxdtd.model.graph import Graph
from onnxdtd.model.loops import all_nodes
from onnxdtd.plan.constants import POSITION
from onnxdtd.plan.forests import uncounted
from onnxdtd.plan.masks import masks, places
from onnxdtd.plan.moved import moved_by
from onnxdtd.plan.reach import Reach
from onnxdtd.plan.step import Step, everywhere
from onnxdtd.plan.uses import uses


def idle_rules(overrides: Sequence[Override], places: Sequence[Place], graph: Graph) -> list[str]:
    """A line for each rule of the user's that matches nothing: perhaps a slip, but a file of rules may also serve
    several models."""
    return [
        f"the rule for {o.described()} matches no node on the way to the explained output; see `onnxdtd inspect`"
        for o in overrides
        if not any(o.matches(place) for place in places) and not any(map(o.stops, all_nodes(graph)))
    ]


def limits(
    graph: Graph, way: Reach, ranges: Mapping[str, Domain], entry: MethodEntry, steps: Sequence[Step]
) -> tuple[str, ...]:
    """The warnings of a plan."""
    warnings = [
        f"input '{name}' is a weight or setting of {node} and is held fixed: it is given no relevance"
        for name, node in way.held.items()
    ]
    warnings += [
        f"input '{name}' is read by no node: it is given no relevance"
        for name in graph.inputs
        if name not in graph.consumers and name not in graph.outputs
    ]
    warnings += [
        f"input '{name}' is shaped as the tokens and multiplies other values or chooses among them: it is taken "
        "for a mask and given no relevance"
        for name in masks(graph)
        if graph.masks is None and not uses(graph)[name].masks
    ]
    warnings += [
        f"input '{name}' says where a token stands, by which its parts are turned (rotary positions): nothing of it "
        "is added, so it is given no relevance"
        for name in places(graph)
    ]
    moving = moved_by(graph, way.inputs, graph.conditions)
    warnings += [
        f"which branch is taken hangs on values of the input ('{value}'): relevance is that of the branch which this "
        "input takes, and nothing of what decides for it"
        for value in graph.conditions
        if any(value in node.outputs for node in moving)
    ]
    open_ended = [name for name in way.inputs if name in ranges and not ranges[name].bounded]
    # A rule that is a product with the input looks at it, whatever is known of its range.
    blind = any(step.place.first and not step.rule.product for step in steps)
    if entry.needs_range and open_ended and blind:
        names = ", ".join(map(repr, open_ended))
        warnings.append(
            f"the range of input {names} is not known, so the first layer takes the rule of an "
            "unbounded domain (w-square), which does not look at the input; give --input-range LO HI if it is known"
        )
    uncovered = () if entry.covers is None else {*get_args(Kind)} - {*entry.covers}
    ops = [op for op in way.ops.values() if op.kind in uncovered and not op.flat]
    if others := sorted({op.name for op in ops}):
        warnings.append(
            f"Deep Taylor's theory does not cover {', '.join(others)} (products of two values, norms, cells): there "
            "AttnLRP's rules serve, and relevance may be negative; see --method attnlrp"
        )
    return (*warnings, *_flat(steps), *_uncounted(graph, steps))


def uncredited(steps: Sequence[Step], method: str, absorbs: bool) -> tuple[str, ...]:
    """A warning where positions were to be credited to tokens, and nothing is. absorbs: constants get relevance."""
    summed = [step for step in everywhere(steps) if step.constant == POSITION]
    if not summed:
        return (
            "positions 'token' credits nothing: no position embedding is added on the way; positions that turn "
            "queries and keys (rotary) or change attention scores have no summand of their own",
        )
    if not absorbs or all(step.rule.differentiates for step in summed):
        return (
            f"positions 'token' credits nothing: {method} gives constants no relevance that tokens could get",
        )
    return ()


def _uncounted(graph: Graph, steps: Sequence[Step]) -> list[str]:
    sharing = tuple(step.node for step in steps if not step.rule.differentiates)
    return [
        f"{node} stores no counts of samples (nodes_hitrates), so each leaf counts once, and another feature may "
        "come out on top than by TreeSHAP; give rows of your data as background (--background ROWS)"
        for node in uncounted(graph, sharing)
    ]


def _flat(steps: Sequence[Step]) -> list[str]:
    return [
        f"{step.node} is piecewise constant, so no gradient comes through it; a method such as epsilon_plus "
        "explains it by the paths that are taken"
        for step in steps
        if step.op.flat and step.rule.differentiates
    ]
