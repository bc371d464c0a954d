"""The work of `check`, loaded when it runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnxdtd
from onnxdtd.cli.settings import fixed_inputs
from onnxdtd.cli.text import page, say, sections
from onnxdtd.errors import UnsupportedError
from onnxdtd.plan.cost import Cost
from onnxdtd.survey import Check

KINDS = {
    "linear": "sums",
    "route": "moves",
    "select": "selections",
    "elementwise": "activations",
    "gate": "products",
    "norm": "norms",
    "barrier": "barriers",
    "branch": "branches",
    "not on the way": "aside",
    "refuse": "refused",
    "unknown": "unknown",
}


def report(
    model: Path,
    method: str,
    rules: Path | None,
    output: str | None,
    fixed: Sequence[str],
    like: Path | None,
    *,
    as_json: bool,
) -> str:
    """The report as text or JSON; of a model that cannot be explained it is printed, and UnsupportedError raised."""
    verdict = onnxdtd.check(model, method, output, rules=rules, fixed=fixed_inputs(fixed), like=like)
    text = json.dumps(facts(model, verdict)) if as_json else words_of(verdict)
    if not verdict.ok:
        say(text)
        raise UnsupportedError(verdict.faults)
    return text


def facts(model: Path, verdict: Check) -> dict[str, object]:
    """What `--json` prints."""
    graph = verdict.graph
    return {
        "model": str(model),
        "sha256": graph.sha256,
        "opset": dict(graph.opsets),
        "ok": verdict.ok,
        "method": verdict.method,
        "reason": verdict.reason,
        "output": verdict.output,
        "inputs": list(verdict.inputs),
        "faults": list(verdict.faults),
        "other_outputs": {name: fault or None for name, fault in verdict.others.items()},
        "nodes": {kind: dict(ops) for kind, ops in verdict.verdicts.items()},
        "cost": _cost(verdict.cost),
        "compiles": verdict.compiles,
        "notes": list(graph.notes),
        "warnings": list(verdict.warnings),
    }


def words_of(verdict: Check) -> str:
    """The report for people."""
    opsets = ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in verdict.graph.opsets.items())
    rows: list[tuple[str, list[str]]] = [("opset", [opsets])]
    rows += [(KINDS.get(kind, kind), [_counts(ops)]) for kind, ops in verdict.verdicts.items()]
    rows.append(("graph", list(verdict.graph.notes)))
    if verdict.ok:
        inputs = ", ".join(f"'{name}'" for name in verdict.inputs)
        method = verdict.method + (f", picked by auto: {verdict.reason}" if verdict.reason else "")
        rows.append(("explained", [f"output '{verdict.output}' in terms of {inputs}"]))
        rows.append(("method", [method]))
        rows.append(("cost", [_spent(verdict.cost)] if verdict.cost else []))
        rows.append(("engines", ["numpy, onnx" if verdict.compiles else "numpy; it cannot be compiled"]))
    for name, fault in verdict.others.items():
        lines = fault.splitlines()
        more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
        rows.append(
            ("also", [f"output '{name}'" + (f": {lines[0]}{more}" if fault else " can be explained")])
        )
    rows.append(("warning", list(verdict.warnings)))
    rows.append(
        ("verdict", ["can be explained" if verdict.ok else "cannot be explained, for the reasons below"])
    )
    return sections([row for row in rows if row[1]], page())


def _counts(ops: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(ops.items(), key=lambda item: -item[1]))


def _cost(cost: Cost | None) -> dict[str, object] | None:
    if cost is None:
        return None
    return {
        "forward_multiplications": cost.forward,
        "walk_multiplications": cost.walk,
        "memory_bytes": cost.memory,
        "exact": cost.exact,
    }


def _spent(cost: Cost) -> str:
    least = "" if cost.exact else "at least "
    parts = [f"about {least}{_short(cost.forward + cost.walk)} multiplications"]
    if cost.forward:
        parts[0] += f", {1 + cost.walk / cost.forward:.1f} times the model's own"
    guess = "" if cost.exact else "; sizes that the model leaves open count as 1"
    return f"{parts[0]}, and {least}{cost.memory / 2**20:.3g} MiB, for one sample{guess}"


def _short(number: int) -> str:
    for size, unit in ((10**9, "billion"), (10**6, "million"), (10**3, "thousand")):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return str(number)
