"""Anchors, by the package `anchor-exp`."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from onnxdtd.comparison.neighbour import Question, neighbour, quiet
from onnxdtd.errors import UsageError
from onnxdtd.types import Array

BATCH = 32


@neighbour("anchors", "anchor-exp (BSD-2-Clause)", "anchor", "lime", "skimage")
def anchors(
    question: Question,
    *,
    seed: int = 0,
    threshold: float = 0.95,
    max_anchor_size: int = 8,
    max_predictions: int = 10_000,
) -> tuple[Array, dict[str, Any]]:
    """R_i = 1 in the fewest parts that keep the prediction, whatever covers the rest. Source: Ribeiro et al. 2018.

    Only the predicted class has an anchor. threshold: the share of predictions to keep. max_anchor_size: parts. Where
    the search, which has no end of its own, asks for more than max_predictions, it is given up and says so.
    `precision` and `coverage` of what was found; `reached`: whether the precision is the threshold or more. Covered
    as by the package's own image explainer: each other part with probability one half; with a background, a
    table's other columns come from its rows.
    """
    limit = question.predict.rows + max_predictions
    predicted = int(question.predict(question.parts.x[None])[0].argmax())
    if predicted != question.label:
        raise UsageError(f"anchors explains the predicted class, {predicted}, not {question.label}")
    if not 0 < threshold < 1 or max_anchor_size < 1:
        raise UsageError(
            f"anchors takes a threshold in 0..1 and a size >= 1, not {threshold}, {max_anchor_size}"
        )
    find = _by_parts if question.background is None else _by_columns
    with quiet(seed):
        try:
            features, precision, coverage, words = find(question, threshold, max_anchor_size, limit)
        except _TooManyError:
            raise UsageError(
                f"anchors found none within {max_predictions:,} predictions: allow more (max_predictions), or lower "
                "the threshold"
            ) from None
    chosen = np.zeros(question.parts.count)
    chosen[list(features)] = 1
    quality: dict[str, Any] = {
        "precision": precision,
        "coverage": coverage,
        "reached": precision >= threshold,
    }
    return question.parts.spread(chosen), {**quality, "anchor": words or sorted(set(map(int, features)))}


class _TooManyError(Exception):
    """The search goes on and on."""


def _labels(question: Question, limit: int, probabilities: Array) -> Array:
    if question.predict.rows > limit:
        raise _TooManyError
    return np.asarray(probabilities.argmax(axis=1))


def _by_parts(
    question: Question, threshold: float, most: int, limit: int
) -> tuple[list[int], float, float, list[str]]:
    base: Any = importlib.import_module("anchor.anchor_base")
    count = question.parts.count

    def sample(present: list[int], rows: int, compute_labels: bool = True) -> tuple[Array, Array, Array]:
        # The package keeps what is drawn, one row for each of a million draws: bytes, and nothing twice.
        shown = np.random.randint(0, 2, (rows, count), np.int8)
        shown[:, present] = 1
        kept = np.zeros((rows, 1), np.int8)
        if not compute_labels:
            return kept, shown, np.zeros(0, int)
        same = _labels(question, limit, question.probabilities(shown)) == question.label
        return kept, shown, same.astype(int)

    anchor = base.AnchorBaseBeam.anchor_beam(
        sample, delta=0.1, epsilon=0.15, batch_size=BATCH, desired_confidence=threshold,
        max_anchor_size=min(most, count), coverage_samples=2000,
    )  # fmt: skip
    if not anchor["feature"]:  # the prediction stays whatever is covered
        return [], float(anchor["all_precision"]), 1.0, []
    return (
        [int(f) for f in anchor["feature"]],
        float(anchor["precision"][-1]),
        float(anchor["coverage"][-1]),
        [],
    )


def _by_columns(
    question: Question, threshold: float, most: int, limit: int
) -> tuple[list[int], float, float, list[str]]:
    tables: Any = importlib.import_module("anchor.anchor_tabular")
    x, rows = question.parts.x.astype(np.float64), question.background
    names = question.names or tuple(f"[{i}]" for i in range(x.size))
    explainer = tables.AnchorTabularExplainer(list(range(1 + question.label)), list(names), rows)
    anchor = explainer.explain_instance(
        x,
        lambda points: _labels(question, limit, question.predict(points)),
        threshold=threshold,
        max_anchor_size=most,
        batch_size=BATCH,
    ).exp_map
    if not anchor["feature"]:
        return [], float(anchor["all_precision"]), 1.0, []
    last = float(anchor["precision"][-1]), float(anchor["coverage"][-1])
    return [int(f) for f in anchor["feature"]], *last, [str(n) for n in anchor["names"]]
