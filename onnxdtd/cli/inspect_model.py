"""`onnxdtd inspect`: the graph as a table, with the rule that a method gives each node."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from onnxdtd.cli import options
from onnxdtd.cli.groups import grouped
from onnxdtd.cli.text import message, page, paragraph, screen, sections, table
from onnxdtd.errors import Faults

HEAD = ("node", "op", "kind", "shape", "domain", "rule")
SPARE = ("kind", "shape", "op", "domain")  # left out, in this order, where the terminal is narrow


@grouped
def inspect(
    model: options.Model,
    target: options.Target = ["top"],  # noqa: B006 (typer reads it, nobody changes it)
    method: options.Method = "auto",
    explainer: Any = None,
    like: options.Like = None,
    json_: options.Json = False,
) -> str:
    """Show every node that would be explained: its shape, the domain of what arrives there, its rule."""
    from onnxdtd.cli import job

    faults = Faults()
    made = job.explainer_for(faults, model, method, like=like, **explainer)
    with faults:
        question = job.target_for(made, options.one(target))
    faults.stop()
    assert made is not None  # or there was a fault
    graph, plan = made.graph, made.plan(question.output)

    shapes = {name: graph.value(name).shape for name in (*graph.inputs, *graph.outputs)}
    masks = job.masks(graph)
    nodes = list(_rows(graph, plan.steps))
    if json_:
        message("\n".join(f"warning: {text}" for text in plan.warnings))
        facts = {
            "model": str(model),
            "sha256": graph.sha256,
            "opset": dict(graph.opsets),
            "inputs": {name: shapes[name] for name in graph.inputs},
            "outputs": {name: shapes[name] for name in graph.outputs},
            "masks": list(masks),
            "explained": plan.output,
            "target": plan.target,
            "method": plan.by,
            "reason": plan.reason,
            "notes": list(graph.notes),
            "warnings": list(plan.warnings),
            "nodes": [dict(zip(HEAD, node, strict=True)) for node in nodes],
        }
        return json.dumps(facts)
    logit = f", by the logit '{plan.target}' before it" if plan.target != plan.output else ""
    rows = [
        (
            "input",
            [
                f"'{name}' {_text(shapes[name])}{', says what counts' * (name in masks)}"
                for name in graph.inputs
            ],
        ),
        ("output", [f"'{name}' {_text(shapes[name])}" for name in graph.outputs]),
        ("explained", [f"'{plan.output}'{logit}"]),
        ("method", [plan.by + (f", picked by auto: {plan.reason}" if plan.reason else "")]),
        ("graph", list(graph.notes)),
        ("warning", list(plan.warnings)),
    ]
    text = sections([row for row in rows if row[1]], page())
    cells = [[_text(fact) for fact in node] for node in nodes]
    return f"{_table(cells, screen())}\n\n{text}"


def _rows(graph: Any, steps: Any) -> Iterator[tuple[Any, ...]]:
    """A row for each node, those of a loop's body behind it."""
    for s in steps:
        shape = graph.value(s.node.output).shape
        yield s.node.name, s.node.op, s.op.kind, shape, str(s.place.domain), str(s.rule)
        if s.trail is not None:
            yield from _rows(s.trail.graph, s.trail.steps)


def _text(fact: str | tuple[int | str | None, ...] | None) -> str:
    """A shape as Nx3x224x224, other facts as they are."""
    if isinstance(fact, tuple):
        return "x".join("?" if size is None else str(size) for size in fact) or "scalar"
    return "?" if fact is None else fact


def _table(nodes: Sequence[Sequence[str]], width: int | None) -> str:
    for left_out in range(len(SPARE) + 1):
        hidden = SPARE[:left_out]
        kept = [i for i, name in enumerate(HEAD) if name not in hidden]
        rows = [[node[i] for i in kept] for node in nodes]
        text = table([HEAD[i].upper() for i in kept], rows)
        if width is None or len(max(text.splitlines(), key=len)) <= width:
            break
    else:
        text = table([HEAD[i].upper() for i in kept], rows, width)
    if hidden:
        text += "\n\n" + paragraph(f"A wider terminal, or a pipe, also shows {', '.join(hidden)}.")
    return text
