"""The seeds at fault of an earlier report, run again by the code as it is now."""

from __future__ import annotations

from typing import Any

from tools.fuzz.attack import attack
from tools.fuzz.graphs import compare, kind_of, name_of
from tools.fuzz.pieces import pieces


def again(report: dict[str, Any]) -> dict[str, Any]:
    """The report, in whose counts each seed that is no longer at fault stands as it ends now; what it was before is
    among `mended`."""
    rerun = _graph if "graphs" in report else _attack
    left = [fault for fault in report["faults"] if not rerun(report, fault)]
    mended = [fault for fault in report["faults"] if fault not in left]
    return report | {"faults": left, "mended": [*report.get("mended", ()), *mended]}


def _attack(report: dict[str, Any], fault: dict[str, Any]) -> bool:
    outcome = attack(fault["class"], fault["seed"])
    if outcome.faults:
        return False
    _moved(report["counts"][fault["class"]], fault["code"], str(outcome.code))
    return True


def _graph(report: dict[str, Any], fault: dict[str, Any]) -> bool:
    keys = {name_of(key): key for key in pieces()}
    verdict = compare(fault["seed"], keys[fault["asked"]])
    if verdict.differences:
        return False
    _moved(report["counts"], "wrong", kind_of(verdict))
    return True


def _moved(counts: dict[str, int], before: str, now: str) -> None:
    counts[before] -= 1
    if not counts[before]:
        del counts[before]
    counts[now] = counts.get(now, 0) + 1
