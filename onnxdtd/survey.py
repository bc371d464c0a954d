"""`check`: can a model be explained, and what would it cost? Asked of the file alone, without an input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from onnxdtd.errors import TargetError, UnsupportedError
from onnxdtd.explainer import Explainer
from onnxdtd.inputs import Fixed, Like, read_like, untakable
from onnxdtd.methods.entry import Method, method_name
from onnxdtd.model.canonise.condition import said
from onnxdtd.model.graph import Graph, Node, sort_nodes
from onnxdtd.model.loops import all_nodes
from onnxdtd.ops import OPS
from onnxdtd.plan.carry import MISSING
from onnxdtd.plan.cost import Cost, cost
from onnxdtd.plan.faults import op_fault
from onnxdtd.plan.plan import Plan
from onnxdtd.plan.step import everywhere
from onnxdtd.settings import Model, Rules, passes_entry

NOT_ON_THE_WAY = "not on the way"
UNKNOWN = "unknown"
BRANCH = "branch"


@dataclass(frozen=True)
class Check:
    """What `check` found. output: the one that is explained, or None. faults: what stands against it, a line each.

    others: by name of every other output, "" or what stands against it. verdicts: nodes by kind ("not on the way":
    relevance does not pass them; "unknown": no entry; "branch": an input decides) and operator, with those inside of
    branches. cost: of one explanation, where that is known before the input. compiles: whether every op on the way
    can be traced into an ONNX model.
    """

    graph: Graph
    method: str
    reason: str
    output: str | None
    inputs: tuple[str, ...]
    faults: tuple[str, ...]
    others: Mapping[str, str]
    verdicts: Mapping[str, Mapping[str, int]]
    cost: Cost | None
    compiles: bool
    warnings: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the model can be explained."""
        return self.output is not None


def check(
    model: Model,
    method: Method = "auto",
    output: str | None = None,
    *,
    rules: Rules = None,
    fixed: Fixed = None,
    like: Like = None,
) -> Check:
    """Say whether and how a model can be explained, from its file alone.

    output: the one to explain, by default the first that can be. like: an input, or the file of one: of branches that
    an input decides, those that it takes are looked at; else all of them, for what no rule serves, and there is
    neither a cost nor a choice of `auto`. Raises ModelError, UsageError or InputError for a file or an option that
    cannot be right; what cannot be explained is in the result.
    """
    explainer = Explainer(model, method, rules=rules, fixed=fixed)
    if like is not None:
        explainer = explainer.at(read_like(like, explainer.graph))
    graph = explainer.graph
    faults = {name: _fault(explainer, name) for name in graph.outputs}
    asked = graph.outputs[0] if output is None else output
    if asked not in faults:
        explainer.plan(asked)  # raises
    chosen = next((name for name in graph.outputs if not faults[name] and output in (None, name)), None)
    plan = _planned(explainer, chosen) if chosen else None
    undecided = _undecided(graph, chosen) if chosen and plan is None else []
    ways = {step.node.name: step.op.kind for step in everywhere(plan.steps)} if plan else {}
    others = {name: fault for name, fault in faults.items() if name != (chosen or asked)}
    return Check(
        graph=graph,
        method=plan.by if plan and not passes_entry(method) else method_name(method),
        reason=plan.reason if plan else "",
        output=chosen,
        inputs=plan.inputs if plan else tuple(n for n in graph.inputs if chosen and graph.value(n).is_float),
        faults=() if chosen else tuple(faults[asked].splitlines()),
        others=others,
        verdicts=_verdicts(graph, ways),
        cost=cost(plan) if plan else None,
        compiles=all(step.compiles for step in everywhere(plan.steps))
        if plan
        else bool(undecided) and _traceable(graph),
        warnings=plan.warnings if plan else tuple(_said_of_both(graph, node) for node in undecided),
    )


def _planned(explainer: Explainer, output: str) -> Plan | None:
    """The plan of an output that can be explained; None where only an input says which branches are on the way."""
    try:
        return explainer.plan(output)
    except UnsupportedError:
        return None


def _fault(explainer: Explainer, output: str) -> str:
    """What stands against explaining an output: of branches that are open, what no rule serves in any of them."""
    inputs = [
        f"input '{name}' {fault}" for name, value in explainer.inputs.items() if (fault := untakable(value))
    ]
    if inputs:
        return "\n".join(inputs)  # as every call would say
    try:
        explainer.plan(output)
    except UnsupportedError as error:
        undecided = _undecided(explainer.graph, output)
        faults = [f for f in error.faults if not any(f.startswith(f"{node} ") for node in undecided)]
        faults += [f for node in undecided for f in _inner_faults(explainer.graph, node)]
        return "\n".join(faults)
    except TargetError as error:
        return str(error)
    return ""


def _traceable(graph: Graph) -> bool:
    entries = [OPS.get((node.domain, node.op), MISSING) for node in (*graph.nodes, *_inner(graph))]
    return all(entry.compiles for entry in entries if entry.site is not None)


def _undecided(graph: Graph, output: str) -> list[Node]:
    """The nodes before an output of which only an input says which branch they take."""
    before = {node.name for node in sort_nodes(graph.nodes, [output])}
    return [node for node in graph.open_branches if node.name in before]


def _inner_faults(graph: Graph, branching: Node) -> list[str]:
    return [
        f"in a branch of {branching}: {fault}"
        for node in branching.inner
        if node.op != branching.op
        and (fault := op_fault(graph, node, OPS.get((node.domain, node.op), MISSING)))
    ]


def _said_of_both(graph: Graph, node: Node) -> str:
    return (
        f"which branch of {node} runs, an input decides ({said(graph, node.inputs[0])}): this is said of both, and "
        "--like INPUT tells of the one that it takes"
    )


def _inner(graph: Graph) -> list[Node]:
    """The nodes inside of open branches."""
    return [node for branching in graph.open_branches for node in branching.inner]


def _verdicts(graph: Graph, ways: Mapping[str, str]) -> dict[str, dict[str, int]]:
    counts: Counter[tuple[str, str]] = Counter()
    for node in (*all_nodes(graph), *_inner(graph)):
        name = f"{node.domain}.{node.op}" if node.domain else node.op
        counts[ways.get(node.name) or _aside(node, graph), name] += 1
    verdicts: dict[str, dict[str, int]] = {}
    for (kind, name), count in sorted(counts.items()):
        verdicts.setdefault(kind, {})[name] = count
    return verdicts


def _aside(node: Node, graph: Graph) -> str:
    """The verdict of a node that relevance does not pass."""
    entry = OPS.get((node.domain, node.op))
    if entry is None:
        return UNKNOWN
    if any(node.op == branching.op for branching in graph.open_branches):
        return BRANCH
    return entry.kind if entry.kind in ("barrier", "refuse") else NOT_ON_THE_WAY
