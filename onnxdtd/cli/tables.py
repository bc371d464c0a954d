"""`onnxdtd ops`, `rules`, `methods`: the tables of what is supported."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence

from onnxdtd.cli import options
from onnxdtd.registry import METHODS, OPS, RULES


def ops(json_: options.Json = False) -> None:
    """The operators: kind, family, and which linear map each one is."""
    importlib.import_module("onnxdtd.ops")
    rows = [
        {"op": name, "domain": domain or "ai.onnx", "kind": e.kind, "family": e.family, "doc": e.doc}
        for (domain, name), e in sorted(OPS.items())
    ]
    _show(rows, ("op", "domain", "kind", "family", "doc"), json_)


def rules(json_: options.Json = False) -> None:
    """The rules: how each one shares relevance."""
    importlib.import_module("onnxdtd.rules")
    _show([{"rule": name, "doc": e.doc} for name, e in sorted(RULES.items())], ("rule", "doc"), json_)


def methods(json_: options.Json = False) -> None:
    """The methods: which rules each one assigns."""
    importlib.import_module("onnxdtd.methods")
    rows = [
        {"method": name, "seed": e.seed, "bias": e.bias, "doc": e.doc} for name, e in sorted(METHODS.items())
    ]
    _show(rows, ("method", "seed", "bias", "doc"), json_)


def _show(rows: Sequence[dict[str, str]], columns: Sequence[str], as_json: bool) -> None:
    print(json.dumps(rows) if as_json else table(rows, columns))


def table(rows: Sequence[dict[str, str]], columns: Sequence[str]) -> str:
    """Plain aligned columns, which grep and people can read."""
    widths = [max(len(c), *(len(str(row[c])) for row in rows)) if rows else len(c) for c in columns]
    lines = [[c.upper() for c in columns], *([str(row[c]) for c in columns] for row in rows)]
    return "\n".join(
        "  ".join(f"{v:<{w}}" for v, w in zip(line, widths, strict=True)).rstrip() for line in lines
    )
