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
AUTO = (
    "epsilon_gamma where there are convolutions, but of tokens; natural for a sum of functions of single inputs; "
    "tree_shap or saabas for a sum of trees; else attnlrp."
)
METHODS_LEGEND = (
    "SEED: what starts at the target: its value, its value if that is positive, or one. BIAS: whether biases "
    "absorb their share or it is redistributed among the inputs; --bias overrules it."
)

NEIGHBOURS_LEGEND = (
    "Neighbours ask the model for probabilities only; `onnxdtd compare` takes them, with "
    'pip install "onnxdtd[compare]". '
    "Anchors come from anchor-exp: alibi needs numpy < 2 and is under the BSL 1.1."
)
OPS_LEGEND = (
    "INPUTS: the input slots that carry relevance. Where two factors of a product depend on the model's input, the "
    "op is a gate: each is the other's weights."
)
WITHOUT_SITE = {
    "barrier": "No relevance passes",
    "expanded": "Expanded or rewritten",
    "refuse": "Refused",
}


def ops(json_: options.Json = False) -> str:
    """Show the verdict on every operator: of which kind it is, and which linear map, or why it is refused."""
    rows = [_verdict(domain, name) for domain, name in sorted(onnxdtd.OPS)]
    if json_:
        return json.dumps({"ops": rows})
    carrying, others = [], dict[tuple[str, str], list[str]]()
    for row in rows:
        name = row["op"] if row["domain"] == "ai.onnx" else f"{row['domain']}.{row['op']}"
        if row["kind"] in WITHOUT_SITE:
            others.setdefault((row["kind"], row["doc"]), []).append(name)
            continue
        slots = "all" if row["inputs"] is None else ", ".join(map(str, row["inputs"]))
        doc = row["doc"] + ("" if row["compiles"] else " (NumPy engine only)")
        carrying.append({**row, "op": name, "inputs": slots, "doc": doc})
    head = {"op": "OP", "kind": "KIND", "family": "FAMILY", "inputs": "INPUTS", "doc": "WHAT IT IS"}
    rest = [f"{WITHOUT_SITE[k]} ({why}): {', '.join(names)}." for (k, why), names in sorted(others.items())]
    return _shown(carrying, head, OPS_LEGEND, *rest)


def _verdict(domain: str, name: str) -> dict[str, Any]:
    """What is known of an operator. inputs: the slots that carry relevance, None for all."""
    entry = onnxdtd.OPS[domain, name]
    return {
        "op": name,
        "domain": domain or "ai.onnx",
        "kind": entry.kind,
        "family": entry.family,
        "inputs": None if entry.data is None else list(entry.data),
        "embeds": list(entry.embeds),
        "since": entry.since,
        "compiles": entry.compiles and entry.site is not None,
        "doc": entry.doc,
    }


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
        for name, e in sorted(onnxdtd.PASSES.items())
    ]
    neighbours = [
        {
            "method": name,
            "package": e.package,
            "installed": e.installed,
            "settings": list(e.options),
            "doc": e.doc,
        }
        for name, e in onnxdtd.NEIGHBOURS.items()
    ]
    if json_:
        return json.dumps({"methods": rows, "neighbours": neighbours})
    for row in rows:
        row["doc"] += f" Takes --set {', '.join(row['settings'])}." if row["settings"] else ""
    auto = {"method": "auto", "doc": AUTO, "seed": "", "bias": ""}
    head = {"method": "METHOD", "seed": "SEED", "bias": "BIAS", "doc": "WHICH RULES"}
    return "\n\n".join([_shown([auto, *rows], head, METHODS_LEGEND), _neighbours(neighbours)])


def _neighbours(rows: Sequence[Mapping[str, Any]]) -> str:
    """The black-box methods of other packages, which `compare` takes."""
    marked = [{**row, "here": "installed" if row["installed"] else "missing"} for row in rows]
    head = {"method": "NEIGHBOUR", "here": "HERE", "package": "PACKAGE", "doc": "WHAT IT DOES"}
    return _shown(marked, head, NEIGHBOURS_LEGEND)


def _defaults(make: Any) -> dict[str, Any]:
    return {name: parameter.default for name, parameter in inspect.signature(make).parameters.items()}


def _shown(rows: Sequence[Mapping[str, Any]], head: Mapping[str, str], *legend: str) -> str:
    cells = [[row[key] for key in head] for row in rows]
    return "\n\n".join([table(list(head.values()), cells, screen(), wraps=True), *map(paragraph, legend)])
