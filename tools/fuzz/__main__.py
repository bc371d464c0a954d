"""Try the command line with hostile files for some minutes: counts by class and exit code, and each fault.

    python -m tools.fuzz --minutes 10 [--seed 0] [--out docs/figures/fuzz.json]
    python -m tools.fuzz --minutes 5 --seed 900 --add docs/figures/fuzz.json --out docs/figures/fuzz.json
    python -m tools.fuzz --again docs/figures/fuzz.json --out docs/figures/fuzz.json    after a fault is mended
    python -m tools.fuzz graphs --count 1000       both engines, batches and the file's own output on random graphs

Needs the extra `dev` and a Unix. The exit code is 1 where anything was at fault.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from onnxdtd.walk.forward import THREADS
from tools.fuzz.again import again
from tools.fuzz.attack import CLASSES, attack
from tools.fuzz.graphs import METHODS, compare, kind_of, name_of
from tools.fuzz.pieces import pieces


def attacks(minutes: float, seed: int) -> dict[str, Any]:
    """Counts by class and exit code and by command, what is at fault, and the time and memory of all others."""
    end, counts, faults = time.monotonic() + 60 * minutes, Counter[tuple[str, str]](), []
    commands, longest, peak = Counter[str](), 0.0, 0
    while time.monotonic() < end:
        kind = CLASSES[seed % len(CLASSES)]
        outcome = attack(kind, seed)
        counts[kind, str(outcome.code)] += 1
        commands[outcome.command] += 1
        if not outcome.faults:
            longest, peak = max(longest, outcome.seconds), max(peak, outcome.peak)
        else:
            what = {"code": str(outcome.code), "faults": outcome.faults}
            faults.append({"seed": seed, "class": kind, "command": outcome.command, **what})
            print(faults[-1], outcome.told[-1500:], file=sys.stderr, flush=True)
        seed += 1
    table = {kind: {code: n for (k, code), n in sorted(counts.items()) if k == kind} for kind in CLASSES}
    return {
        "runs": counts.total(), "counts": table, "commands": dict(sorted(commands.items())),
        "longest_seconds": round(longest, 1), "peak_bytes": peak, "faults": faults,
    }  # fmt: skip


def graphs(minutes: float, seed: int, count: int | None, before: dict[str, int]) -> dict[str, Any]:
    """How many random graphs agree, how many are refused and why, and which differ.

    before: in how many graphs of earlier runs each operator is. Each graph is asked to hold the one that has come up
    least.
    """
    os.environ.setdefault(THREADS, "1")  # of graphs of a few numbers others take longer to wake than to work
    end, first, faults = time.monotonic() + 60 * minutes, seed, []
    counts, ops, reasons = Counter[str](), Counter[str](), Counter[str]()
    names = {name_of(key): key for key in pieces()}
    tried = Counter({name: before.get(name, 0) for name in names})
    compared = 0
    while seed - first < count if count is not None else time.monotonic() < end:
        name = min(names, key=lambda name: tried[name])
        verdict = compare(seed, names[name])
        kind = kind_of(verdict)
        counts[kind] += 1
        counts["differences that float64 settles"] += verdict.rounded
        compared += verdict.compared
        answered = set() if kind == "refused" else set(verdict.ops)
        ops.update(answered)
        tried.update(answered | {name})  # one that never comes up must not be asked for alone
        if kind == "refused":
            reasons[_reason(verdict.refused)] += 1
            print(seed, name, verdict.refused, file=sys.stderr, flush=True)
        if verdict.differences:
            faults.append(
                {"seed": seed, "asked": name, "differences": verdict.differences, "ops": verdict.ops}
            )
            print(seed, name, verdict, file=sys.stderr, flush=True)
        seed += 1
    return {
        "graphs": seed - first, "methods": METHODS, "compared": compared, "counts": dict(counts),
        "refused": dict(reasons.most_common()), "least": _least(ops), "ops": dict(ops.most_common()),
        "faults": faults,
    }  # fmt: skip


def _least(ops: dict[str, int]) -> dict[str, Any]:
    """The operator that is in the fewest graphs that were answered, and in how many."""
    name = min(map(name_of, pieces()), key=lambda name: ops.get(name, 0))
    return {"op": name, "graphs": ops.get(name, 0)}


def _reason(refused: str) -> str:
    """The operator and why, without the node's name and shapes."""
    return re.sub(r"^.*?'[^']*' (\w+) \(.*?\): ", r"\1: ", refused)[:120]


def merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Two reports as one: numbers are added up, but for the longest and the largest."""
    total: dict[str, Any] = dict(one)
    for name, value in other.items():
        before = one.get(name)
        if before is None or name in ("methods", "least"):
            total[name] = value
        elif name in ("longest_seconds", "peak_bytes"):
            total[name] = max(before, value)
        else:
            total[name] = merged(before, value) if isinstance(value, dict) else before + value
    if "least" in total:
        total["least"] = _least(total["ops"])
    return total


def run() -> int:
    """Parse, try, report."""
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("attacks", "graphs"), default="attacks")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--count", type=int, help="of graphs, instead of minutes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    parser.add_argument(
        "--add", type=Path, action="append", help="the report of an earlier run, to be added to"
    )
    parser.add_argument("--again", type=Path, help="a report, whose seeds at fault are run again")
    asked = parser.parse_args()
    earlier = [json.loads(path.read_text("utf-8")) for path in asked.add or ()]
    if asked.again:
        report = again(json.loads(asked.again.read_text("utf-8")))
    elif asked.what == "graphs":
        drawn = sum((Counter(one["ops"]) for one in earlier), Counter[str]())
        report = graphs(asked.minutes, asked.seed, asked.count, drawn)
    else:
        report = attacks(asked.minutes, asked.seed)
    for one in earlier:
        report = merged(one, report)
    text = json.dumps(report, indent=1)
    if asked.out:
        asked.out.write_text(text + "\n", "utf-8")
    print(text)
    return int(bool(report["faults"]))


if __name__ == "__main__":
    sys.exit(run())
