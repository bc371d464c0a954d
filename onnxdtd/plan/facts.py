"""What the graph alone tells of signs, so that rules can leave out terms that are zero."""

from __future__ import annotations

from collections.abc import Mapping

from onnxdtd.domains.interval import ANY
from onnxdtd.domains.propagation import Domain
from onnxdtd.entries import OpEntry
from onnxdtd.model.graph import Graph, Node
from onnxdtd.rules import Facts, Rule


def facts(
    graph: Graph,
    node: Node,
    slots: tuple[int, ...],
    rules: Mapping[str, Rule],
    ops: Mapping[str, OpEntry],
    ranges: Mapping[str, Domain],
    sealed: str | None,
) -> Facts:
    """The facts of one node. sealed: the target, if no relevance starts there where it is <= 0."""
    return Facts(
        inputs_nonnegative=all(ranges.get(node.inputs[slot], ANY).nonnegative for slot in slots),
        vanishes_below_zero=_vanishes(graph, node.output, rules, ops, ranges, sealed),
    )


def _vanishes(
    graph: Graph,
    value: str,
    rules: Mapping[str, Rule],
    ops: Mapping[str, OpEntry],
    ranges: Mapping[str, Domain],
    sealed: str | None,
) -> bool:
    """Whether no relevance arrives where `value` is <= 0.

    True at a consumer with R = x c if its x is never negative; through a ReLU, or a move or selection of
    values, if true behind it.
    """
    users = [node for node in graph.consumers.get(value, ()) if node.name in rules]
    for user in users:
        rule = rules[user.name]
        if rule.product:
            if not ranges[value].nonnegative:
                return False
            # A pool whose window is all zero spreads what arrives there, so nothing may arrive.
            if ops[user.name].family != "pool":
                continue
        elif not _keeps_zero(user, ops[user.name], ranges) or str(rule) != "pass":
            return False
        if not _vanishes(graph, user.output, rules, ops, ranges, sealed):
            return False
    return bool(users) or value == sealed


def _keeps_zero(node: Node, op: OpEntry, ranges: Mapping[str, Domain]) -> bool:
    """Whether inputs <= 0 are seen as values <= 0 at the output, one by one."""
    rectifies = node.op == "Relu" or (node.op == "Clip" and ranges[node.output].low == 0)
    return rectifies or op.kind in ("route", "select")
