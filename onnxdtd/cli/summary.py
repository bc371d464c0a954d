"""The summary that `run` prints: prediction, target, method, where relevance went, warnings, files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from onnxdtd.cli.text import aligned, numbers, page, sections
from onnxdtd.explanation import Conservation, Explanation
from onnxdtd.methods import METHODS

SHOWN = 3
CAUSES = {
    "bias": "biases",
    "dead": "neurons that only their bias keeps active",
    "epsilon": "the stabiliser, which damps small sums",
    "border": "the padding at the borders",
}
# Notes on what changes no number, and on the final activation, which the target's line tells.
ROUTINE = ("Constant lifted", "constants folded", "no-ops dropped", "final ")
VISIBLE = 5e-4  # a share that does not print as 0.0 %


def summary(e: Explanation, directory: Path, files: Sequence[str]) -> str:
    """Lines for a person; the same facts, and more, are in explanation.json."""
    notes = [note for note in e.notes if not note.startswith(ROUTINE)]
    rows = [
        ("prediction", _prediction(e)),
        ("target", _each(e, _target)),
        ("method", [e.method + (f", picked by auto: {e.reason}" if e.reason else "")]),
        ("relevance", _relevance(e)),
        *_losses(e.conservation),
        ("graph", ["; ".join(notes)] if notes else []),
        ("warning", list(e.warnings)),
        ("written", [f"{directory}: {', '.join(_files(e, files))}"]),
    ]
    return sections([row for row in rows if row[1]], page())


def _prediction(e: Explanation) -> list[str]:
    if len(e.target) > 1:
        return _each(e, lambda e, i: ", ".join(" ".join(filter(None, row)) for row in _top(e, i)))
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
    logit = f"{e.target_value[sample]:.4g}"
    values = e.outputs[e.output]
    chosen = sum(float(values[sample][index] if values.ndim else values) for index in e.target[sample])
    if abs(chosen - float(e.target_value[sample])) <= 1e-5 * max(1.0, abs(chosen)):
        return f"{what}, {logit}"
    return f"{what}, by its logit {logit} before the final activation"


def _each(e: Explanation, tell: Callable[[Explanation, int], str]) -> list[str]:
    """One line a sample; of many samples the first."""
    if len(e.target) == 1:
        return [tell(e, 0)]
    lines = [f"sample {i}: {tell(e, i)}" for i in range(min(len(e.target), SHOWN))]
    rest = len(e.target) - len(lines)
    return [*lines, f"and {rest} more samples"] if rest else lines


def _relevance(e: Explanation) -> list[str]:
    account = e.conservation
    if METHODS[e.method].seed == "one":
        return [f"{account.relevance:.4g} in sum (a gradient need not add up to the target)"]
    told = [f"{account.relevance:.4g} of {account.target:.4g} arrived at the input{_share(account)}"]
    if account.relative > VISIBLE:
        rest = f"{account.error:.4g} is not accounted for"
        told.append(rest if e.nodes else "where the rest went, --engine numpy tells")
    return told


def _share(account: Conservation) -> str:
    return f" ({account.relevance / account.target:.1%})" if account.target else ""


def _losses(account: Conservation) -> list[tuple[str, list[str]]]:
    """By cause, and the nodes that lost most. A negative loss is relevance that came from there."""
    unit = abs(account.target) or 1.0
    causes = [(amount, cause) for cause, amount in account.causes.items()]
    nodes = sorted(((sum(n.lost.values()), n.name) for n in account.nodes), key=lambda loss: -abs(loss[0]))
    words = {cause: CAUSES.get(cause, cause) for cause in account.causes}
    told = [("lost", [(a, f"to {words[c]}" if a > 0 else f"from {words[c]}: a gain") for a, c in causes])]
    told.append(("lost most", [(amount, f"at {name}") for amount, name in nodes[:SHOWN]]))
    rows = []
    for label, losses in told:
        seen = [(amount, where) for amount, where in losses if abs(amount) >= VISIBLE * unit]
        shares = [f"{amount / account.target:.1%}" if account.target else "" for amount, _ in seen]
        sizes = numbers([amount for amount, _ in seen])
        cells = list(zip(sizes, shares, [where for _, where in seen], strict=True))
        rows.append((label, aligned(cells, ">><") if cells else []))
    return rows


def _files(e: Explanation, files: Sequence[str]) -> list[str]:
    """The picture first, and what it shows where that is not everything."""
    drawn = []
    if len(e.target) > 1:
        drawn.append("sample 0")
    if len(e.relevance) > 1:
        drawn.append(f"input '{next(iter(e.relevance))}'")
    pictures = [name for name in files if name.endswith(".png")]
    shows = f" (of {' and '.join(drawn)})" if drawn else ""
    return [*(name + shows for name in pictures), *(name for name in files if name not in pictures)]
