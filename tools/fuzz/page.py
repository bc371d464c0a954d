"""The tables of docs/security.md, of what runs of `tools.fuzz` have counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Table = Callable[[tuple[str, ...], list[tuple[str, ...]]], str]


def attacks(report: dict[str, Any], table: Table) -> str:
    """Runs by class and exit code, and what they took."""
    counts = report["counts"]
    codes = sorted({code for row in counts.values() for code in row})
    rows = [
        (kind, *(str(row.get(code, "")) for code in codes), str(sum(row.values())))
        for kind, row in counts.items()
    ]
    total = [str(sum(row.get(code, 0) for row in counts.values())) for code in codes]
    rows.append(("all", *total, str(report["runs"])))
    words = (
        f"{report['runs']:,} runs of {len(report['commands'])} commands, {len(report['faults'])} at fault. The "
        f"longest took {report['longest_seconds']} s; the most memory was {report['peak_bytes'] / 2**30:.1f} GiB."
    )
    return (
        table(("class", *(f"exit {code}" for code in codes), "runs"), rows) + f"\n\n{words}{_mended(report)}"
    )


def graphs(report: dict[str, Any], table: Table) -> str:
    """How many graphs agreed, and why the others were refused."""
    counts, least = report["counts"], report["least"]
    rows = [(kind, f"{counts.get(kind, 0):,}") for kind in ("equal", "refused", "wrong")]
    words = (
        f"{report['graphs']:,} graphs by {', '.join(report['methods'])} on both engines; of {report['compared']:,} "
        f"comparisons, float64 settled {counts.get('differences that float64 settles', 0):,} that differed in "
        f"float32. Each of {len(report['ops'])} operators is in at least {least['graphs']} of the graphs that were "
        f"answered (fewest: `{least['op']}`)."
    )
    reasons = "\n".join(f"- {count}: {reason}" for reason, count in report["refused"].items())
    told = f"\n\nRefused:\n\n{reasons}" if reasons else ""
    return table(("", "graphs"), rows) + f"\n\n{words}{_mended(report)}{told}"


def _mended(report: dict[str, Any]) -> str:
    """How many faults were found on the way."""
    count = len(report.get("mended", ()))
    which = "1 of them found a fault; it is" if count == 1 else f"{count} of them found faults; they are"
    return f" {which} mended, and what is counted is how the same seed ends now." if count else ""
