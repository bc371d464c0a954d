"""`onnxdtd ops`, `rules`, `methods`: the tables of what is supported."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any

import onnxdtd
from onnxdtd.cli import options
from onnxdtd.cli.text import paragraph, screen, table

RULES_FILE = """\b
--rules FILE.toml gives chosen nodes another rule; where several entries fit
a node, the last one counts:

\b
  [[rule]]
  op = "Conv"        # and/or kind, family, name = "block1/*", first, last
  use = "gamma"      # a rule with its parameters, or "stop": none goes on
  gamma = 0.1"""
METHODS_LEGEND = (
    "SEED: what starts at the target: its value, its value if that is positive, or one. BIAS: whether biases "
    "absorb their share or it is redistributed among the inputs; --bias overrules it."
)


def ops(json_: options.Json = False) -> str:
    """Show the operators: of which kind each one is, and which linear map."""
    rows = [
        {"op": name, "domain": domain or "ai.onnx", "kind": e.kind, "family": e.family, "doc": e.doc}
        for (domain, name), e in sorted(onnxdtd.OPS.items())
    ]
    if json_:
        return json.dumps({"ops": rows})
    carrying, stopping = [], dict[str, list[str]]()
    for row in rows:
        name = row["op"] if row["domain"] == "ai.onnx" else f"{row['domain']}.{row['op']}"
        if row["kind"] == "barrier":
            stopping.setdefault(row["doc"], []).append(name)
        else:
            carrying.append({**row, "op": name})
    rest = [f"No relevance passes ({why}): {', '.join(names)}." for why, names in stopping.items()]
    return _shown(carrying, {"op": "OP", "kind": "KIND", "family": "FAMILY", "doc": "WHAT IT IS"}, *rest)


def rules(json_: options.Json = False) -> str:
    """Show the rules: how each one shares relevance, and its parameters."""
    rows: list[dict[str, Any]] = [
        {"rule": name, "parameters": _defaults(e.make), "doc": e.doc}
        for name, e in sorted(onnxdtd.RULES.items())
    ]
    if json_:
        return json.dumps({"rules": rows})
    for row in rows:
        row["parameters"] = ", ".join(f"{key}={value}" for key, value in row["parameters"].items())
    head = {"rule": "RULE", "parameters": "PARAMETERS", "doc": "HOW IT SHARES"}
    return _shown(rows, head, "`onnxdtd rules --help` shows how to give rules to chosen nodes.")


def methods(json_: options.Json = False) -> str:
    """Show the methods: which rules each one assigns."""
    rows: list[dict[str, Any]] = [
        {"method": name, "seed": e.seed, "bias": e.bias, "settings": [], "doc": e.doc}
        for name, e in sorted(onnxdtd.METHODS.items())
    ]
    rows += [
        {"method": name, "seed": "", "bias": "", "settings": list(e.options), "doc": e.doc}
        for name, e in sorted(onnxdtd.COMPOSED.items())
    ]
    if json_:
        return json.dumps({"methods": rows})
    for row in rows:
        row["doc"] += f" Takes --set {', '.join(row['settings'])}." if row["settings"] else ""
    auto = {"method": "auto", "doc": "dtd, or composite for a deep network.", "seed": "", "bias": ""}
    head = {"method": "METHOD", "seed": "SEED", "bias": "BIAS", "doc": "WHICH RULES"}
    return _shown([auto, *rows], head, METHODS_LEGEND)


def _defaults(make: Any) -> dict[str, Any]:
    return {name: parameter.default for name, parameter in inspect.signature(make).parameters.items()}


def _shown(rows: Sequence[Mapping[str, Any]], head: Mapping[str, str], *legend: str) -> str:
    cells = [[row[key] for key in head] for row in rows]
    return "\n\n".join([table(list(head.values()), cells, screen(), wraps=True), *map(paragraph, legend)])
