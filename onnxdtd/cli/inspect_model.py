"""`onnxdtd inspect`: the graph as a table, with the rule that a method gives each node."""

from __future__ import annotations

import importlib
import json

from onnxdtd.cli import options
from onnxdtd.cli.faults import Faults
from onnxdtd.cli.text import message, page, screen, sections, table

HEAD = ("node", "op", "kind", "shape", "domain", "rule")


def inspect(
    model: options.Model,
    target: options.Target = "top",
    method: options.Method = "auto",
    rules: options.Rules = None,
    bias: options.Bias = None,
    input_range: options.InputRange = None,
    json_: options.Json = False,
) -> str:
    """Show the graph that would be explained, and the rule of every node, without running it."""
    job = importlib.import_module("onnxdtd.cli.job")
    faults = Faults()
    explainer = job.explainer_for(faults, model, method, input_range=input_range, bias=bias, rules=rules)
    with faults:
        wanted = job.target_for(explainer, target)
    faults.stop()
    graph, plan = explainer.graph, explainer.plan(wanted.output)

    def shape(name: str) -> str:
        sizes = graph.value(name).shape
        return "?" if sizes is None else "x".join("?" if n is None else str(n) for n in sizes) or "scalar"

    nodes = [
        (s.node.name, s.node.op, s.op.kind, shape(s.node.output), str(s.place.domain), str(s.rule))
        for s in plan.steps
    ]
    if json_:
        message("\n".join(f"warning: {text}" for text in plan.warnings))
        facts = {
            "model": str(model),
            "sha256": graph.sha256,
            "opset": dict(graph.opsets),
            "inputs": {name: shape(name) for name in graph.inputs},
            "outputs": {name: shape(name) for name in graph.outputs},
            "explained": plan.output,
            "target": plan.target,
            "method": plan.method,
            "reason": plan.reason,
            "notes": list(graph.notes),
            "warnings": list(plan.warnings),
            "nodes": [dict(zip(HEAD, node, strict=True)) for node in nodes],
        }
        return json.dumps(facts)
    logit = f", by the logit '{plan.target}' before it" if plan.target != plan.output else ""
    rows = [
        ("input", [f"'{name}' {shape(name)}" for name in graph.inputs]),
        ("output", [f"'{name}' {shape(name)}" for name in graph.outputs]),
        ("explained", [f"'{plan.output}'{logit}"]),
        ("method", [plan.method + (f", picked by auto: {plan.reason}" if plan.reason else "")]),
        ("graph", list(graph.notes)),
        ("warning", list(plan.warnings)),
    ]
    text = sections([row for row in rows if row[1]], page())
    return table([name.upper() for name in HEAD], nodes, screen()) + "\n\n" + text
