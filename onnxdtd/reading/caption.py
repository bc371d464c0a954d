"""The title of a picture and the grey line below it: what was explained, in which unit, of what it is made."""

from __future__ import annotations

import math

import numpy as np

from onnxdtd.explanation import Explanation
from onnxdtd.reading.shares import blown_up, shares


def asked(e: Explanation, sample: int = 0) -> str:
    """What is explained: as `label` says it, of a detected box with the question it answers."""
    label = e.label(sample)
    boxed = bool(e.corners) and e.corners[sample] is not None and bool(e.question)
    return f"{e.question} ({label})" if boxed and label != e.question else label


def unit(e: Explanation, sample: int = 0) -> str:
    """`logit` for a score of one class among several, or what a set-aside Softmax or Sigmoid makes a probability of;
    `probability` where the model has none to set aside but its scores are one; else `value`."""
    if set_aside(e, sample):
        return "logit"
    scores = _scores(e, sample)
    if scores.size < 2:
        return "value"
    likely = scores.min() >= 0 and scores.max() <= 1 and math.isclose(float(scores.sum()), 1, abs_tol=1e-3)
    return "probability" if likely else "logit"


def set_aside(e: Explanation, sample: int = 0) -> bool:
    """Whether the explained number is that before a final activation, and not the output's own."""
    if e.question and not e.corners:
        return any(note.startswith("final ") for note in e.notes)
    values = e.outputs[e.output]
    rows = values[None] if e.batch_axis is None else np.moveaxis(values, e.batch_axis, 0)
    own = sum(float(rows[(sample, *index)]) for index in e.target[sample])
    value = float(e.target_value[sample])
    return math.isfinite(value) and not math.isclose(value, own, rel_tol=1e-5, abs_tol=1e-5)


def title(e: Explanation, sample: int = 0, image: str = "") -> str:
    """What was explained, its number with its unit, and the method; of several images which one it is."""
    which = f"  ·  input '{image}'" if image else ""
    return f"{asked(e, sample)}, {unit(e, sample)} {e.target_value[sample]:.4g}  ·  {e.method}{which}"


def caption(e: Explanation, sample: int = 0) -> str:
    """One line: of what the number is made, whether relevance blows up, which findings fired."""
    made = shares(e, sample)
    pieces = [f"{unit(e, sample)} {made}"] if made else []
    if account := blown_up(e, sample):
        pieces.append(
            f"|relevance| grows {account.growth.factor:.3g}-fold on the way: signs are not reliable"
        )
    if fired := [f["name"] for f in e.findings if f["fired"]]:
        pieces.append(f"fired: {', '.join(fired)}")
    elif e.findings:
        pieces.append("no finding fired")
    return "  ·  ".join(pieces)


def _scores(e: Explanation, sample: int) -> np.ndarray:
    """The output's numbers along the class axis, where the first explained element lies."""
    values = e.outputs[e.output]
    own = values if e.batch_axis is None or not values.ndim else np.take(values, sample, e.batch_axis)
    indices = e.target[sample]
    if not own.ndim or not indices:
        return np.asarray(own).reshape(-1)[:1]
    place: list[int | slice] = list(indices[0])
    place[e.class_axis] = slice(None)
    return np.asarray(own[tuple(place)], np.float64)
