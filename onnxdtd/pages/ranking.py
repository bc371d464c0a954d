"""What an evaluation's scores say of its methods, in a few sentences."""

from __future__ import annotations

from collections import Counter

from onnxdtd.audit.finding import listed
from onnxdtd.metrics.saved import SavedEvaluation
from onnxdtd.metrics.sources import CONTROLS

RANDOM = "random"
OF_FORM = ("sparseness", "stability", "class_sensitivity")
"""Metrics that say what a heatmap is like, and not whether it finds what the model uses: chance is no level there."""


def ranked(saved: SavedEvaluation) -> str:
    """Which method is best by most scores, where others are as good, and which are no better than chance."""
    measured = [score for score in saved.headlines if saved.ranking(score)]
    if not measured:
        return "No score was measured."
    firsts = Counter(saved.ranking(score)[0] for score in measured)
    (best, count), *others = firsts.most_common()
    sentences = [f"{best} has the best mean by {count} of {_scores(len(measured))}."]
    if others:
        sentences.append("By the others it is " + listed(f"{m} ({n})" for m, n in others) + ".")
    clear = [score for score in measured if _alone(saved, score)]
    if len(clear) < len(measured):
        sentences.append(
            f"By {len(clear)} of them the best is told apart from all others; by the others inputs are too few to "
            "say which is better."
        )
    elif len(saved.methods) > 1:
        sentences.append("By each of them the best is told apart from all others.")
    if blind := _no_better(saved, measured):
        words = listed(f"{method} by {_scores(n)}" for method, n in blind.items())
        sentences.append(f"Not better than {RANDOM}: {words}.")
    return " ".join(sentences)


def _alone(saved: SavedEvaluation, score: str) -> bool:
    """Whether the best is told apart from all others that were measured."""
    first, *others = saved.ranking(score)
    return all(saved.difference(score, other, first).excludes_zero for other in others)


def _no_better(saved: SavedEvaluation, measured: list[str]) -> dict[str, int]:
    """By method, by how many scores of faithfulness it is not told to be better than chance."""
    faithful = [s for s in measured if s.split(".")[0] not in OF_FORM and RANDOM in saved.ranking(s)]
    counts: dict[str, int] = {}
    for method in [m for m in saved.methods if m not in CONTROLS]:
        better = sum(_beats(saved, score, method) for score in faithful if method in saved.ranking(score))
        own = sum(method in saved.ranking(score) for score in faithful)
        if own > better:
            counts[method] = own - better
    return counts


def _beats(saved: SavedEvaluation, score: str, method: str) -> bool:
    d = saved.difference(score, method, RANDOM)
    return d.low > 0 if saved.higher_is_better(score) else d.high < 0


def _scores(count: int) -> str:
    return f"{count} score{'s' if count != 1 else ''}"
