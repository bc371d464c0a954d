"""The summary that `run` prints: what the picture says, of what the number is made, how far to trust it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from onnxdtd.cli.text import aligned, numbers, page, sections
from onnxdtd.explanation import Explanation
from onnxdtd.reading import asked, blown_up, columns, grown, images, owed, set_aside, shares, shows, unit
from onnxdtd.registry import METHODS, PASSES

SHOWN = 3
# Notes on what changes no number, and on the final activation, which the target's line tells.
ROUTINE = ("Constant lifted", "constants folded", "no-ops dropped", "final ")
ENGINE = "engine "  # opens the note on which engine `auto` took
BRANCH = "branch taken: "


def summary(e: Explanation, directory: Path, files: Sequence[str], names: Sequence[str] | None = None) -> str:
    """Lines for a person; the same facts, and more, are in explanation.json. names: of a table's columns."""
    notes = [note for note in e.notes if not note.startswith((*ROUTINE, ENGINE, BRANCH))]
    engine = [note.removeprefix(ENGINE) for note in e.notes if note.startswith(ENGINE)]
    rows = [
        ("answer", _answer(e, names)),
        ("made of", _made_of(e)),
        ("trust", _trust(e)),
        *_predicted(e),
        ("target", _each(e, _target)),
        ("method", [e.method + (f", picked by auto: {e.reason}" if e.reason else "")]),
        ("mask", [f"'{name}' says what counts, and is not explained" for name in e.masks]),
        ("found", _extras(e)),
        ("rounding", _rounding(e)),
        ("audit", aligned(_findings(e), "<<<") if e.findings else []),
        ("branch", [note.removeprefix(BRANCH) for note in e.notes if note.startswith(BRANCH)]),
        ("graph", ["; ".join(notes)] if notes else []),
        ("engine", engine),
        ("warning", list(e.warnings)),
        ("written", [f"{directory}: {', '.join(_files(e, files))}"]),
    ]
    return sections([row for row in rows if row[1]], page())


def _answer(e: Explanation, names: Sequence[str] | None) -> list[str]:
    """What the picture says, or each of several."""
    lines = []
    for image in images(e) or (None,):

        def tell(e: Explanation, sample: int, image: str | None = image) -> str:
            which = f"input '{image}': " if image else ""
            return which + " ".join(shows(e, sample, names, image))

        lines += _each(e, tell)
    return lines


def _made_of(e: Explanation) -> list[str]:
    """Of what the explained number is made, in its own unit; of a single sample also what the words mean."""
    if not _line(e, 0) and len(e.target) == 1:
        return [_no_sum(e)]
    return _each(e, _line) if len(e.target) > 1 else [_line(e, 0), *owed(e)]


def _line(e: Explanation, sample: int) -> str:
    made = shares(e, sample)
    return f"{unit(e, sample)} {made}" if made else ""


def _no_sum(e: Explanation) -> str:
    """Why there is no line that adds up."""
    entry = METHODS.get(e.method)
    if (e.method in PASSES and not PASSES[e.method].adds_up) or (entry is not None and entry.seed == "one"):
        return (
            f"{e.conservation.relevance:.4g} in sum, which by this method need not be the explained {unit(e)}"
        )
    return "no relevance started at the target, so none arrived"


def _rounding(e: Explanation) -> list[str]:
    """Of what was handed on, the part owed to rounding to integers, and where most of it is."""
    parts = e.conservation.rounding
    if not parts or not e.conservation.target:
        return []
    name, most = next(iter(parts.items()))
    net, gross = sum(parts.values()), sum(map(abs, parts.values()))
    return [
        f"{net:.3g} of {e.conservation.target:.4g} ({gross:.3g} without regard to sign), most of it at '{name}' "
        f"({most:.3g})"
    ]


def _trust(e: Explanation) -> list[str]:
    """In words what speaks against the heatmap, if anything does."""
    blown = [account for i in range(len(e.target)) if (account := blown_up(e, i))]
    worst = max(blown, key=lambda account: account.growth.factor, default=None)
    return [*dict.fromkeys(filter(None, (grown(worst) if worst else "", e.sentence)))]


def _predicted(e: Explanation) -> list[tuple[str, list[str]]]:
    """The largest elements; of a detector, whose elements are pixels too, the explained box."""
    if not any(e.corners):
        return [("prediction", _prediction(e))]
    sides = ("left", "top", "right", "bottom")

    def tell(e: Explanation, sample: int) -> str:
        corners = e.corners[sample]
        if corners is None:
            return "none"
        places = ", ".join(f"{side} {place:.4g}" for side, place in zip(sides, corners, strict=True))
        return f"{places} (pixels of the model's input)"

    return [("box", _each(e, tell))]


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
    what = asked(e, sample)
    what += "" if f"'{e.output}'" in what else f" of output '{e.output}'"
    value = float(e.target_value[sample])
    if set_aside(e, sample):
        return f"{what}, by its logit {value:.4g} before the final activation"
    return f"{what}, {unit(e, sample)} {value:.4g}"


def _each(e: Explanation, tell: Callable[[Explanation, int], str]) -> list[str]:
    """One line a sample; of many samples the first."""
    if len(e.target) == 1:
        return [tell(e, 0)]
    lines = [f"sample {i}: {tell(e, i)}" for i in range(min(len(e.target), SHOWN))]
    rest = len(e.target) - len(lines)
    return [*lines, f"and {rest} more samples"] if rest else lines


def _findings(e: Explanation) -> list[tuple[str, str, str]]:
    """The numbers of the quick audit."""
    return [(f["name"], _short(f["value"]), "fired" if f["fired"] else "") for f in e.findings]


def _extras(e: Explanation) -> list[str]:
    """What a method of many passes found out besides, of the first sample."""
    rows = []
    for name, value in e.extras.items():
        first = value[0] if isinstance(value, (list, tuple)) and value else value
        rows.append((name.replace("_", " "), f"{first:.4g}" if isinstance(first, float) else str(first)))
    return aligned(rows, "<<") if rows else []


def _short(value: float | str | None) -> str:
    """Three digits; what is not finite comes as its name."""
    return "-" if value is None else f"{round(float(value), 4):.3g}"


def _files(e: Explanation, files: Sequence[str]) -> list[str]:
    """The pictures first, and what they show where that is not everything."""
    drawn = ["sample 0"] if len(e.target) > 1 else []
    pictures = [name for name in files if name.endswith(".png")]
    if len(e.relevance) > 1 and not columns(e):
        alone = len([name for name in pictures if name.startswith("heatmap")]) < 2
        drawn.append(f"input '{next(iter(e.relevance))}'" if alone else "an input each")
    shows = f" (of {' and '.join(drawn)})" if drawn else ""
    heatmaps = [name for name in pictures if name.startswith("heatmap")]
    rest = [name for name in files if name not in heatmaps]
    return [*([", ".join(heatmaps) + shows] if heatmaps else []), *rest]
