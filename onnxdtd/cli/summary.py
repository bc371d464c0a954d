"""The summary that `run` prints: prediction, target, method, where relevance went, warnings, files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

SHOWN = 3


def summary(explanation: Any, files: Sequence[str]) -> str:
    """Lines for a person; the same facts, and more, are in explanation.json."""
    e, account = explanation, explanation.conservation
    lines: list[tuple[str, str]] = []
    many = len(e.target) > 1
    for sample in range(min(len(e.target), SHOWN)):
        which = f" (sample {sample})" if many else ""
        best = [f"{_named(index, label)} {value:.4g}" for index, label, value in e.top(SHOWN, sample)]
        lines.append(("prediction" + which, " · ".join(best)))
        note = "" if _is_output(e, sample) else ", before the model's final activation"
        lines.append(
            ("target" + which, f"{e.label(sample)} of '{e.output}' = {e.target_value[sample]:.4g}{note}")
        )
    lines.append(("method", e.method + (f" ({e.reason})" if e.reason else "")))
    total = account.relevance
    if e.seed.sum():
        share = f" of {account.target:.4g} at the target ({100 * total / account.target:.1f} %)"
    else:
        share = ""
    lines.append(("relevance", f"sum {total:.4g}{share}"))
    lines += _losses(account)
    lines += [("warning", text) for text in e.warnings]
    lines += [("note", text) for text in e.notes]
    lines.append(("written", ", ".join(files)))
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in lines)


def _losses(account: Any) -> list[tuple[str, str]]:
    if not account.causes:
        return []
    words = {"dead": "to neurons that only their bias keeps active", "bias": "to biases",
             "epsilon": "to the stabiliser", "border": "to padded borders"}  # fmt: skip
    told = [f"{amount:.4g} {words.get(cause, 'to ' + cause)}" for cause, amount in account.causes.items()]
    lines = [("lost", ", ".join(told))]
    nodes = sorted(account.nodes, key=lambda node: -abs(sum(node.lost.values())))[:SHOWN]
    worst = [f"{n.name} {sum(n.lost.values()):.4g} of {n.arrived:.4g}" for n in nodes if n.lost]
    lines.append(("lost most at", " · ".join(worst)))
    return lines


def _named(index: tuple[int, ...], label: str) -> str:
    place = ",".join(map(str, index)) or "output"
    return f"{place} '{label}'" if label else place


def _is_output(e: Any, sample: int) -> bool:
    values = e.outputs[e.output][sample]
    chosen = sum(float(values[index]) for index in e.target[sample])
    return bool(abs(chosen - float(e.target_value[sample])) <= 1e-5 * max(1.0, abs(chosen)))
