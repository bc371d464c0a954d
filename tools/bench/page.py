"""The tables of docs/performance.md and README.md, from the JSON file of one run of the benchmark."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Rows = tuple[tuple[str, ...], list[tuple[str, ...]]]
"""The head of a table, and its rows."""
MIB = 2**20
PEERS = {
    "zennit": "zennit",
    "captum LRP": "captum's LRP",
    "torch gradient": "torch's gradient",
    "torch backward": "torch's backward()",
}


def read(path: Path) -> dict[str, dict[str, Any]]:
    """The cases by name."""
    return {case["case"]: case for case in json.loads(path.read_text())["cases"]}


def times(cases: dict[str, dict[str, Any]]) -> Rows:
    """Forward passes of onnxruntime that an explanation takes, fastest over fastest, and peak memory over the
    forward pass's."""
    rows = []
    for case in cases.values():
        seconds = {
            (r["contender"], r["method"]): r["fastest_s"] for r in case.get("results", ()) if "fastest_s" in r
        }
        plain = seconds.get(("onnxruntime forward", None))
        peaks = _peaks(case)
        floors = case.get("floors", {})
        for method in dict.fromkeys(m for contender, m in seconds if contender.startswith("onnxdtd")):
            ours = [_over(seconds.get((f"onnxdtd {engine}", method)), plain) for engine in ("onnx", "numpy")]
            others = [
                f"{name} {_over(taken, plain)}"
                for contender, name in PEERS.items()
                if (taken := seconds.get((contender, method), seconds.get((contender, None)))) is not None
            ]
            memory = [
                _over(peaks.get((engine, method)), peaks.get(("forward", ""))) for engine in ("onnx", "numpy")
            ]
            floor = f"{floors[method]:.2f}" if method in floors else ""
            rows.append((case["case"], f"`{method}`", floor, *ours, ", ".join(others), *memory))
    head = (
        "network / batch", "method", "floor", "engine onnx", "engine numpy", "others", "memory, onnx", "memory, numpy"
    )  # fmt: skip
    return head, rows


def batches(cases: dict[str, dict[str, Any]]) -> Rows:
    """Samples per second and peak memory, by batch."""
    rows, sizes = [], []
    for name, case in cases.items():
        if not name.endswith("/batches"):
            continue
        sizes = case["rows"][0]["batches"]
        for row in case["rows"]:
            rates = [f"{rate:.1f}" for rate in row["per_second"]]
            memory = [f"{peak / MIB:,.0f}" if peak else "" for peak in row["peak_bytes"]]
            rows.append((name.partition("/")[0], row["engine"], *rates, *memory))
    head = ("network", "engine", *(f"samples/s at {n}" for n in sizes), *(f"MiB at {n}" for n in sizes))
    return head, rows


def starts(cases: dict[str, dict[str, Any]]) -> Rows:
    """Seconds before the first explanation of the compiled engine."""
    rows = [
        (case["network"], f"`{row['method']}`", str(row["nodes"]), str(row["compiled_nodes"]),
         *(f"{row[step]:.2f}" for step in ("plan_s", "compile_s", "session_s")))
        for case in cases.values() for row in case.get("start", ()) if "nodes" in row
    ]  # fmt: skip
    return ("network", "method", "nodes", "compiled", "load and plan, s", "compile, s", "session, s"), rows


def commands(cases: dict[str, dict[str, Any]]) -> Rows:
    """Seconds of `onnxdtd run`."""
    rows = [(f"`{r['run']}`", f"{r['wall_s']:.2f}", f"{r['cpu_s']:.2f}") for r in _rows(cases, "command")]
    return ("run", "wall, s", "processor, s"), rows


def nodes(cases: dict[str, dict[str, Any]]) -> Rows:
    """Milliseconds per node, by the length of the graph."""
    rows, head = [], ("graph", "nodes")
    for row in _rows(cases, "nodes"):
        steps = row["seconds_per_node"]
        head = ("graph", "nodes", *(f"{step}, ms a node" for step in steps))
        for i, count in enumerate(row["nodes"]):
            rows.append(
                (row["pattern"], f"{count:,}", *(f"{1000 * taken[i]:.2f}" for taken in steps.values()))
            )
    return head, rows


def large(cases: dict[str, dict[str, Any]]) -> Rows:
    """Peak memory of a language model above 2 GB."""
    case = cases.get("large", {})
    peaks = _peaks(case)
    plain = peaks.get(("forward", ""))
    rows = [(f"{engine}{f', `{method}`' if method else ''}", f"{peak / MIB:,.0f}", _over(peak, plain))
            for (engine, method), peak in peaks.items()]  # fmt: skip
    return ("what", "MiB", "over the forward pass"), rows


TABLES = {
    "speed": times, "batches": batches, "starts": starts, "commands": commands, "nodes": nodes, "large": large,
}  # fmt: skip


def _rows(cases: dict[str, dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return list(cases.get(name, {}).get("rows", ()))


def _peaks(case: dict[str, Any]) -> dict[tuple[str, str], int]:
    return {(m["engine"], m["method"]): m["peak_bytes"] for m in case.get("memory", ()) if "peak_bytes" in m}


def _over(one: float | None, other: float | None) -> str:
    return f"{one / other:.2f}" if one and other else ""
