"""The tables of docs/scale.md, from the JSON file of one run of `tools.bench.batch`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tools.bench.page import Rows

NAMES = {"mnist_cnn": "digits", "efficientnet_lite0": "crops"}
LINES = {
    "forward": "bare forward pass, in passes",
    "explainer, one by one": "explainer, one row a call",
    "explainer": "explainer, in passes",
    "batch, 1 worker": "`batch`, 1 worker",
    "batch, 2 workers": "`batch`, 2 workers",
    "batch, 1 worker, PNG files": "`batch`, 1 worker, from PNG files",
}


def cases(path: Path) -> list[dict[str, Any]]:
    """One for each model."""
    return list(json.loads(path.read_text("utf-8"))["cases"])


def rates(path: Path) -> Rows:
    """Rows a second, and of `batch` how large a part of the explainer's in passes."""
    columns = [(case, where) for case in cases(path) for where in case["rates"]]
    rows = []
    for name, words in LINES.items():
        rows.append((words, *(_rate(case["rates"][where], name) for case, where in columns)))
    head = (f"{NAMES[case['model']]}, {where}" for case, where in columns)
    return ("rows a second", *head), rows


def facts(path: Path) -> Rows:
    """Memory, going on, and how far rows are apart."""
    made = cases(path)
    rows = [
        ("rows, and rows of a pass", *(f"{case['rows']}, {case['pass']}" for case in made)),
        *((f"peak of a process, {part}", *(f"{peak[i]:.0f} MB" for peak in map(_peaks, made)))
          for i, part in enumerate(("a fifth of the rows", "all rows"))),
        ("a finished job looked through again", *(f"{case['again_seconds']:.2f} s" for case in made)),
        ("rows of 1 and of 2 workers, largest difference", *(_apart(case) for case in made)),
    ]  # fmt: skip
    if all("ray" in case for case in made):
        told = [case["ray"] for case in made]
        rows += [
            ("Ray, 2 actors, the second half: rows a second", *(_number(ray["rate"]) for ray in told)),
            ("half here and half under Ray, largest difference", *(_apart(ray) for ray in told)),
        ]
    return ("", *(NAMES[case["model"]] for case in made)), rows


TABLES = {"rates": rates, "facts": facts}


def _rate(measured: dict[str, float], name: str) -> str:
    if name not in measured:
        return ""
    part = f" ({measured[name] / measured['explainer']:.2f})" if name.startswith("batch") else ""
    return _number(measured[name]) + part


def _apart(measured: dict[str, Any]) -> str:
    return f"{measured['apart']:.0e}" if measured["apart"] else "none"


def _number(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"


def _peaks(case: dict[str, Any]) -> list[float]:
    return list(case["peak_mb"].values())
