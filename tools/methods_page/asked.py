"""What words and figures ask of a study in methods.json."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

Told = Mapping[str, Any]

CONTROLS = ("random", "constant")
MEAN, BLUR, BLACK = (f"pixel_flipping.{fill}.most_minus_least" for fill in ("mean", "blur", "constant"))
REGION_MEAN, REGION_BLUR, REGION_BLACK = (
    score.replace("pixel_flipping", "region_perturbation") for score in (MEAN, BLUR, BLACK)
)
DELETION, INSERTION = "deletion.area", "insertion.area"
STABLE, CLASS = "stability.max_sensitivity", "class_sensitivity.cosine"
SHORT = {
    "pixel_flipping": "pixel flipping", "region_perturbation": "regions", "deletion": "deletion",
    "insertion": "insertion", "sparseness": "sparseness", "stability": "stability",
    "class_sensitivity": "class sensitivity",
}  # fmt: skip


def short(score: str) -> str:
    """A headline score in words."""
    metric, *rest = score.split(".")
    return f"{SHORT[metric]}, {rest[0]}" if len(rest) > 1 else SHORT[metric]


def interval(one: Told, decimals: int = 2) -> str:
    """Mean [low, high]."""
    mean, low, high = (f"{round(one[key], decimals) + 0.0:.{decimals}f}" for key in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


def holds_zero(one: Told) -> bool:
    """Whether the interval does."""
    return bool(one["low"] <= 0 <= one["high"])


def score_of(study: Told, method: str, score: str, decimals: int = 2) -> str:
    """A method's mean with its interval."""
    return interval(study["table"][method][score], decimals)


def behind(study: Told, method: str, score: str, decimals: int = 2) -> str:
    """By how much a method is worse than the best: paired, with its interval, as a positive number."""
    one = study["from_best"][method][score]
    ends = sorted(abs(one[key]) if one["mean"] * one[key] > 0 else -abs(one[key]) for key in ("low", "high"))
    return interval({"mean": abs(one["mean"]), "low": ends[0], "high": ends[1]}, decimals)


def order(study: Told) -> list[str]:
    """Methods, the best mean place by the removal scores first."""
    return sorted(study["mean_place"], key=study["mean_place"].__getitem__)


def tied(study: Told, score: str) -> list[str]:
    """The best method by a score, then those that the paired difference does not tell from it, the nearer first."""
    best, better = study["best"][score], study["better"][score]
    sign = -1 if better == "higher" else 1
    near = [
        m for m in study["mean_place"]
        if m != best and (apart := study["from_best"][m][score])["count"] and holds_zero(apart)
    ]  # fmt: skip
    return [best, *sorted(near, key=lambda m: sign * study["table"][m][score]["mean"])]


def removal(study: Told) -> list[str]:
    """The scores that remove something and ask the model again."""
    return [
        s for s in study["scores"] if s.split(".")[0] not in ("sparseness", "stability", "class_sensitivity")
    ]


def flips(study: Told) -> list[str]:
    """Those of them whose chance level is 0."""
    return [s for s in study["scores"] if s.endswith("most_minus_least")]


def beats_chance(study: Told, method: str, score: str) -> bool:
    """Whether its paired difference to `random` is wholly on the better side."""
    one = study["from_random"][method][score]
    return bool(one["low"] > 0 if study["better"][score] == "higher" else one["high"] < 0)


def agreement(study: Told, a: str, b: str) -> float:
    """Spearman's correlation of the methods' places by two scores."""
    return next(float(p["spearman"]) for p in study["agreement"] if {p["a"], p["b"]} == {a, b})


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """In Markdown."""
    lines = (head, *rows)
    first, *rest = ("| " + " | ".join(line) + " |" for line in lines)
    return "\n".join([first, "|---" * len(head) + "|", *rest])


def alike(told: Told, a: str, b: str) -> float:
    """The cosine of two methods' heatmaps."""
    i, j = (told["methods"].index(told["equal"].get(m, m)) for m in (a, b))
    return float(told["cosine"][i][j])


def middle(told: Told) -> float:
    """The median cosine of all pairs of methods."""
    pairs = (v for i, line in enumerate(told["cosine"]) for v in line[i + 1 :])
    return median(v for v in pairs if isinstance(v, (int, float)))
