"""`check`: can a model be explained, and what would it cost? Asked of the file alone, without an input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from onnxdtd.errors import TargetError, UnsupportedError
from onnxdtd.explainer import Explainer
from onnxdtd.methods.entry import Method, method_name
from onnxdtd.model.graph import Graph, Node
from onnxdtd.ops import OPS
from onnxdtd.plan.cost import Cost, cost
from onnxdtd.settings import Model, Rules, passes_entry

NOT_ON_THE_WAY = "not on the way"
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Check:
    """What `check` found. output: the one that is explained, or None. faults: what stands against it, a line each.

    others: by name of every other output, "" or what stands against it. verdicts: nodes by kind ("not on the
    way": relevance does not pass them; "unknown": no entry) and operator. cost: of one explanation, if it can be
    made. compiles: whether every op on the way can be traced into an ONNX model.
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


def check(model: Model, method: Method = "auto", output: str | None = None, *, rules: Rules = None) -> Check:
    """Say whether and how a model can be explained, from its file alone.

    output: the one to explain, by default the first that can be. Raises ModelError or UsageError for a file or
    an option that cannot be right; what cannot be explained is in the result.
    """
    explainer = Explainer(model, method, rules=rules)
    graph = explainer.graph
    faults = {name: _fault(explainer, name) for name in graph.outputs}
    asked = graph.outputs[0] if output is None else output
    if asked not in faults:
        explainer.plan(asked)  # raises
    chosen = next((name for name in graph.outputs if not faults[name] and output in (None, name)), None)
    plan = explainer.plan(chosen) if chosen else None
    ways = {step.node.name: step.op.kind for step in plan.steps} if plan else {}
    others = {name: fault for name, fault in faults.items() if name != (chosen or asked)}
    return Check(
        graph=graph,
        method=plan.by if plan and not passes_entry(method) else method_name(method),
        reason=plan.reason if plan else "",
        output=chosen,
        inputs=plan.inputs if plan else (),
        faults=() if chosen else tuple(faults[asked].splitlines()),
        others=others,
        verdicts=_verdicts(graph, ways),
        cost=cost(plan) if plan else None,
        compiles=plan is not None and all(step.op.compiles for step in plan.steps),
        warnings=plan.warnings if plan else (),
    )


def _fault(explainer: Explainer, output: str) -> str:
    try:
        explainer.plan(output)
    except (UnsupportedError, TargetError) as error:
        return str(error)
    return ""


def _verdicts(graph: Graph, ways: Mapping[str, str]) -> dict[str, dict[str, int]]:
    counts: Counter[tuple[str, str]] = Counter()
    for node in graph.nodes:
        name = f"{node.domain}.{node.op}" if node.domain else node.op
        counts[ways.get(node.name) or _aside(node), name] += 1
    verdicts: dict[str, dict[str, int]] = {}
    for (kind, name), count in sorted(counts.items()):
        verdicts.setdefault(kind, {})[name] = count
    return verdicts


def _aside(node: Node) -> str:
    """The verdict of a node that relevance does not pass."""
    entry = OPS.get((node.domain, node.op))
    if entry is None:
        return UNKNOWN
    return entry.kind if entry.kind in ("barrier", "refuse") else NOT_ON_THE_WAY
