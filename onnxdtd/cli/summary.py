"""The summary that `run` prints: prediction, target, method, where relevance went, warnings, files."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from onnxdtd.cli.text import aligned, numbers, page, sections
from onnxdtd.conservation import Conservation
from onnxdtd.explanation import Explanation
from onnxdtd.registry import METHODS, PASSES
from onnxdtd.render import columns

SHOWN = 3
CAUSES = {
    "bias": "biases",
    "dead": "neurons that only their bias keeps active",
    "epsilon": "the stabiliser, which damps small sums",
    "border": "padding and constants",
    "masked": "channels that were left out",
}
# Notes on what changes no number, and on the final activation, which the target's line tells.
ROUTINE = ("Constant lifted", "constants folded", "no-ops dropped", "final ")
ENGINE = "engine "  # opens the note on which engine `auto` took
VISIBLE = 5e-4  # a share that does not print as 0.0 %


def summary(e: Explanation, directory: Path, files: Sequence[str]) -> str:
    """Lines for a person; the same facts, and more, are in explanation.json."""
    notes = [note for note in e.notes if not note.startswith((*ROUTINE, ENGINE))]
    engine = [note.removeprefix(ENGINE) for note in e.notes if note.startswith(ENGINE)]
    rows = [
        ("prediction", _prediction(e)),
        ("target", _each(e, _target)),
        ("method", [e.method + (f", picked by auto: {e.reason}" if e.reason else "")]),
        ("relevance", _relevance(e)),
        *_losses(e.conservation),
        ("found", _extras(e)),
        ("audit", _findings(e)),
        ("graph", ["; ".join(notes)] if notes else []),
        ("engine", engine),
        ("warning", list(e.warnings)),
        ("written", [f"{directory}: {', '.join(_files(e, files))}"]),
    ]
    return sections([row for row in rows if row[1]], page())


def _prediction(e: Explanation) -> list[str]:
    if len(e.target) > 1:
        return _each(
            e, lambda e, i: ", ".join(f"{' '.join(row[:2]).strip()} = {row[2]}" for row in _top(e, i))
        )
    return aligned(_top(e, 0), "><>")


def _top(e: Explanation, sample: int) -> list[tuple[str, str, str]]:
    """Index, class name where it says more than the index, value."""
    best = e.top(SHOWN, sample)
    places = [",".join(map(str, index)) for index, _, _ in best]
    names = [label if label != place else "" for place, (_, label, _) in zip(places, best, strict=True)]
    return list(zip(places, names, numbers([value for *_, value in best]), strict=True))


def _target(e: Explanation, sample: int) -> str:
    what = e.label(sample)
    what += "" if f"'{e.output}'" in what else f" of output '{e.output}'"
    value, values = float(e.target_value[sample]), e.outputs[e.output]
    chosen = sum(float(values[sample][index] if values.ndim else values) for index in e.target[sample])
    if math.isclose(value, chosen, rel_tol=1e-5, abs_tol=1e-5) or not math.isfinite(value):
        return f"{what}, {value:.4g}"
    return f"{what}, by its logit {value:.4g} before the final activation"


def _each(e: Explanation, tell: Callable[[Explanation, int], str]) -> list[str]:
    """One line a sample; of many samples the first."""
    if len(e.target) == 1:
        return [tell(e, 0)]
    lines = [f"sample {i}: {tell(e, i)}" for i in range(min(len(e.target), SHOWN))]
    rest = len(e.target) - len(lines)
    return [*lines, f"and {rest} more samples"] if rest else lines


def _relevance(e: Explanation) -> list[str]:
    account = e.conservation
    if e.method in PASSES and PASSES[e.method].adds_up:
        return [f"{account.relevance:.4g} in sum, of {account.target:.4g} that the method explains"]
    if e.method in PASSES or (e.method in METHODS and METHODS[e.method].seed == "one"):
        return [f"{account.relevance:.4g} in sum (by this method it need not add up to the target)"]
    if not e.seed.any():
        return ["none, since none started at the target"]
    share = _percent(account.relevance, account.target)
    where = "the inputs" if len(e.relevance) > 1 else "the input"
    told = [
        f"{account.relevance:.4g} of {account.target:.4g} arrived at {where}" + f" ({share})" * bool(share)
    ]
    if account.relative > VISIBLE:
        rest = f"{account.error:.4g} is not accounted for"
        told.append("where the rest went, --engine numpy tells" if e.engine == "onnx" else rest)
    return told


def _percent(part: float, whole: float) -> str:
    """Of a target near zero no share is told."""
    return f"{part / whole:.1%}" if abs(part) < 10 * abs(whole) else ""


def _losses(account: Conservation) -> list[tuple[str, list[str]]]:
    """By cause, and the nodes that lost most; what has not the target's sign was gained there."""
    sign = math.copysign(1, account.target)
    causes = [(amount, CAUSES.get(cause, cause)) for cause, amount in account.causes.items()]
    nodes = sorted(((sum(n.lost.values()), n.name) for n in account.nodes), key=lambda loss: -abs(loss[0]))
    rows = []
    for label, word, losses in (("lost", "to", causes), ("lost most", "at", nodes[:SHOWN])):
        whole = max([abs(account.target), *(abs(amount) for amount, _ in losses)])
        seen = [(amount, where) for amount, where in losses if abs(amount) > VISIBLE * whole]
        sizes = numbers([amount for amount, _ in seen])
        shares = [_percent(amount, account.target) for amount, _ in seen]
        shares = shares if all(shares) else [""] * len(seen)
        places = [f"{word} {where}" + (" (a gain)" if amount * sign < 0 else "") for amount, where in seen]
        rows.append((label, aligned(list(zip(sizes, shares, places, strict=True)), ">><") if seen else []))
    return rows


def _findings(e: Explanation) -> list[str]:
    """The numbers of the quick audit, and in words what speaks against the heatmap, if anything does."""
    told = [(f["name"], _short(f["value"]), "fired" if f["fired"] else "") for f in e.findings]
    return [*aligned(told, "<<<"), e.sentence] if told else []


def _extras(e: Explanation) -> list[str]:
    """What a method of many passes found out besides, of the first sample."""
    told = []
    for name, value in e.extras.items():
        first = value[0] if isinstance(value, (list, tuple)) and value else value
        told.append((name.replace("_", " "), f"{first:.4g}" if isinstance(first, float) else str(first)))
    return aligned(told, "<<") if told else []


def _short(value: float | str | None) -> str:
    """Three digits; what is not finite comes as its name."""
    return "-" if value is None else f"{round(float(value), 4):.3g}"


def _files(e: Explanation, files: Sequence[str]) -> list[str]:
    """The picture first, and what it shows where that is not everything."""
    drawn = []
    if len(e.target) > 1:
        drawn.append("sample 0")
    if len(e.relevance) > 1 and not columns(e):
        drawn.append(f"input '{next(iter(e.relevance))}'")
    pictures = [name for name in files if name.endswith(".png")]
    shows = f" (of {' and '.join(drawn)})" if drawn else ""
    return [*(name + shows for name in pictures), *(name for name in files if name not in pictures)]
