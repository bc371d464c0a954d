"""`onnxdtd inspect`: the graph as a table, with the rule that a method gives each node."""

from __future__ import annotations

import json

import onnxdtd
from onnxdtd.cli import options
from onnxdtd.cli.tables import table


def inspect(
    model: options.Model,
    method: options.Method = "auto",
    rules: options.Rules = None,
    bias: options.Bias = None,
    input_range: options.InputRange = None,
    json_: options.Json = False,
) -> None:
    """Show every node between the inputs and the explained output: op, kind, shape, domain, rule."""
    explainer = onnxdtd.Explainer(model, method, input_range=input_range, bias=bias, rules=rules)  # type: ignore[arg-type]
    plan = explainer.plan()
    rows = [
        {
            "node": step.node.name,
            "op": step.node.op,
            "kind": step.op.kind,
            "shape": _shape(explainer.graph.value(step.node.output).shape),
            "domain": str(step.place.domain),
            "rule": str(step.rule),
        }
        for step in plan.steps
    ]
    if json_:
        facts = {
            "model": str(model),
            "sha256": explainer.graph.sha256,
            "opset": dict(explainer.graph.opsets),
            "inputs": {n: _shape(explainer.graph.value(n).shape) for n in explainer.graph.inputs},
            "outputs": {n: _shape(explainer.graph.value(n).shape) for n in explainer.graph.outputs},
            "explained": plan.output,
            "target": plan.target,
            "method": plan.method,
            "reason": plan.reason,
            "notes": list(explainer.graph.notes),
            "warnings": list(plan.warnings),
            "nodes": rows,
        }
        print(json.dumps(facts))
        return
    print(table(rows, ("node", "op", "kind", "shape", "domain", "rule")))
    print(f"\nmethod   {plan.method}" + (f" ({plan.reason})" if plan.reason else ""))
    for name in explainer.graph.inputs:
        print(f"input    {name} {_shape(explainer.graph.value(name).shape)}")
    print(f"explained {plan.output}" + (f" by its logit {plan.target}" if plan.target != plan.output else ""))
    for note in explainer.graph.notes:
        print(f"note     {note}")
    for warning in plan.warnings:
        print(f"warning  {warning}")


def _shape(shape: tuple[int | str | None, ...] | None) -> str:
    return "?" if shape is None else "x".join("?" if d is None else str(d) for d in shape) or "scalar"
