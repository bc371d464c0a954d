"""Try the command line with hostile files for some minutes: counts by class and exit code, and each fault.

    python -m tools.fuzz --minutes 10 [--seed 0] [--out docs/figures/fuzz.json]
    python -m tools.fuzz graphs --minutes 10       both engines, batches and the file's own output on random graphs

Needs the extra `dev` and a Unix. The exit code is 1 where anything was at fault.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path

from tools.fuzz.attack import CLASSES, attack
from tools.fuzz.graphs import compare


def attacks(minutes: float, seed: int) -> dict[str, object]:
    """Counts by class and exit code, and what is at fault."""
    end, counts, faults = time.monotonic() + 60 * minutes, Counter[tuple[str, str]](), []
    longest = 0.0
    while time.monotonic() < end:
        kind = CLASSES[seed % len(CLASSES)]
        outcome = attack(kind, seed)
        counts[kind, str(outcome.code)] += 1
        longest = max(longest, outcome.seconds)
        if outcome.faults:
            faults.append({"seed": seed, "class": kind, "command": outcome.command, "faults": outcome.faults})
            print(seed, kind, outcome.command, outcome.faults, outcome.told[-1500:], file=sys.stderr)
        seed += 1
    table = {kind: {code: n for (k, code), n in sorted(counts.items()) if k == kind} for kind in CLASSES}
    return {"runs": counts.total(), "counts": table, "longest_seconds": round(longest, 1), "faults": faults}


def graphs(minutes: float, seed: int) -> dict[str, object]:
    """How many random graphs agree, how many are refused, and which differ."""
    end, counts, ops, faults = time.monotonic() + 60 * minutes, Counter[str](), Counter[str](), []
    while time.monotonic() < end:
        verdict = compare(seed)
        counts["refused" if verdict.refused else "wrong" if verdict.differences else "equal"] += 1
        ops.update(verdict.ops)
        if verdict.differences:
            faults.append({"seed": seed, "differences": verdict.differences, "ops": verdict.ops})
            print(seed, verdict, file=sys.stderr)
        seed += 1
    return {
        "graphs": counts.total(),
        "counts": dict(counts),
        "ops": dict(ops.most_common()),
        "faults": faults,
    }


def run() -> int:
    """Parse, try, report."""
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("attacks", "graphs"), default="attacks")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    report = (graphs if asked.what == "graphs" else attacks)(asked.minutes, asked.seed)
    text = json.dumps(report, indent=1)
    if asked.out:
        asked.out.write_text(text + "\n", "utf-8")
    print(text)
    return int(bool(report["faults"]))


if __name__ == "__main__":
    sys.exit(run())
