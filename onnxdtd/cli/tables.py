"""`onnxdtd ops`, `rules`, `methods`: the tables of what is supported."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any

import onnxdtd
from onnxdtd.cli import options
from onnxdtd.cli.text import page, screen, sections, table

RULES_FILE = """\b
--rules FILE.toml gives chosen nodes another rule; the last entry that fits counts:
  [[rule]]
  op = "Conv"     # or kind, family, name = "block1/*", first = true, last = true
  use = "gamma"   # a rule of this table, and its parameters; or "stop"
  gamma = 0.1"""


def ops(json_: options.Json = False) -> str:
    """Show the operators: of which kind each one is, and which linear map."""
    rows = [
        {"op": name, "domain": domain or "ai.onnx", "kind": e.kind, "family": e.family, "doc": e.doc}
        for (domain, name), e in sorted(onnxdtd.OPS.items())
    ]
    if json_:
        return json.dumps({"ops": rows})
    names = [row["op"] if row["domain"] == "ai.onnx" else f"{row['domain']}.{row['op']}" for row in rows]
    carrying = [
        {**row, "op": name} for row, name in zip(rows, names, strict=True) if row["kind"] != "barrier"
    ]
    stopping: dict[str, list[str]] = {}
    for row, name in zip(rows, names, strict=True):
        if row["kind"] == "barrier":
            stopping.setdefault(row["doc"], []).append(name)
    text = sections([(", ".join(found), [why]) for why, found in stopping.items()], page())
    return _table(carrying, {"op": "OP", "kind": "KIND", "family": "FAMILY", "doc": "WHAT IT IS"}) + text


def rules(json_: options.Json = False) -> str:
    """Show the rules: how each one shares relevance, and its parameters."""
    rows = [
        {"rule": name, "parameters": _defaults(e.make), "doc": e.doc}
        for name, e in sorted(onnxdtd.RULES.items())
    ]
    if json_:
        return json.dumps({"rules": rows})
    for row in rows:
        row["parameters"] = ", ".join(f"{key}={value}" for key, value in row["parameters"].items())
    return _table(rows, {"rule": "RULE", "parameters": "PARAMETERS", "doc": "HOW IT SHARES"})


def methods(json_: options.Json = False) -> str:
    """Show the methods: which rules each one assigns."""
    rows = [
        {"method": name, "seed": e.seed, "bias": e.bias, "doc": e.doc}
        for name, e in sorted(onnxdtd.METHODS.items())
    ]
    if json_:
        return json.dumps({"methods": rows})
    auto = {"method": "auto", "doc": "dtd, or composite for a deep network.", "seed": "", "bias": ""}
    return _table([auto, *rows], {"method": "METHOD", "seed": "SEED", "bias": "BIAS", "doc": "WHICH RULES"})


def _defaults(make: Any) -> dict[str, Any]:
    return {name: p.default for name, p in inspect.signature(make).parameters.items()}


def _table(rows: Sequence[Mapping[str, Any]], head: Mapping[str, str]) -> str:
    return table(list(head.values()), [[row[key] for key in head] for row in rows], screen(), wraps=True)
