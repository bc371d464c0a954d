"""What the graph alone tells of signs, so that rules can leave out terms that are zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onnxdtd.domains.interval import ANY
from onnxdtd.domains.propagation import Domain
from onnxdtd.entries import OpEntry
from onnxdtd.model.graph import Graph, Node
from onnxdtd.rules import Facts, Rule


def facts(
    graph: Graph,
    nodes: Sequence[Node],
    slots: Mapping[str, tuple[int, ...]],
    rules: Mapping[str, Rule],
    ops: Mapping[str, OpEntry],
    ranges: Mapping[str, Domain],
    sealed: str | None,
    starts: Sequence[str] = (),
) -> dict[str, Facts]:
    """The facts of each node on the way, by name; nodes: in topological order. sealed: the target, if no relevance
    starts there where it is <= 0. starts: other values where relevance starts, of any sign and anywhere.

    No relevance arrives where a value is <= 0: at a consumer with R = x c if its x is never negative, at a sum with
    R = x+ c; through a ReLU, or a move or selection of values, if that is so behind it. So one pass from the output
    to the input tells.
    """
    vanishing: set[str] = set()

    def hides(user: Node, value: str) -> bool:
        """Whether nothing comes from this user where the value is <= 0."""
        if rules[user.name].product:
            # A pool whose window is all zero spreads what arrives there, so nothing may arrive.
            passed = ops[user.name].family != "pool" or sealed_behind(user)
            sided = ops[user.name].adds and rules[user.name].prune(signs(user)).one_sided
            return (ranges[value].nonnegative or sided) and passed
        keeps = _keeps_zero(user, ops[user.name], ranges) and rules[user.name].passes
        return keeps and sealed_behind(user)

    def sealed_behind(node: Node) -> bool:
        return vanishing.issuperset(ops[node.name].carried(node.outputs))

    def signs(node: Node) -> Facts:
        return Facts(
            inputs_nonnegative=all(ranges.get(node.inputs[i], ANY).nonnegative for i in slots[node.name]),
            vanishes_below_zero=sealed_behind(node),
        )

    for node in reversed(nodes):
        for value in ops[node.name].carried(node.outputs):
            users = [user for user in graph.consumers.get(value, ()) if user.name in rules]
            if (
                value not in starts
                and all(hides(user, value) for user in users)
                and (users or value == sealed)
            ):
                vanishing.add(value)
    return {node.name: signs(node) for node in nodes}


def _keeps_zero(node: Node, op: OpEntry, ranges: Mapping[str, Domain]) -> bool:
    """Whether inputs <= 0 are seen as values <= 0 at the output, one by one."""
    rectifies = op.rectifies and ranges[node.output].low == 0
    return rectifies or op.kind in ("route", "select")
