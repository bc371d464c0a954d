"""Occlusion of tokens: another one stands in the place of each, one at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from onnxdtd.errors import UnsupportedError, UsageError
from onnxdtd.explainer import Explainer
from onnxdtd.explanation import Explanation
from onnxdtd.inputs import token_number
from onnxdtd.passes.embedded import one_element, replaced, token_ids
from onnxdtd.passes.passes import MOST_ROWS, elements, fixed_rows
from onnxdtd.plan.target import Target
from onnxdtd.runs.batches import chunks, filled, taken
from onnxdtd.types import Array, OnProgress, Rows


def without_tokens(
    explainer: Explainer,
    x: Any,
    target: Any,
    progress: OnProgress,
    occlude: int | str | None,
    batch: int | None,
) -> Explanation:
    """R_i = f(x) - f(x with the token `occlude` at place i), for every place of the inputs that say which token it
    is. Raises UsageError without such a token, UnsupportedError without such an input."""
    base = explainer.one_pass(x, target)
    plan = explainer.plan(base.output)
    names = token_ids(plan)
    if not names:
        raise UnsupportedError("occlusion: no explained input holds the numbers of tokens")
    if occlude is None:
        raise UsageError(
            "occlusion puts another token in the place of each: say which, --occlude ID by its number (that of "
            "[MASK], of padding, or of an unknown word), or with a tokenizer --occlude mask, pad or unk"
        )
    occlude = token_number(explainer.loaded.reader, occlude)
    question, count, fixed = one_element(base), len(base.target), fixed_rows(plan, base)
    covered = replaced(base.inputs, names, occlude)
    forward = explainer.forward([plan.target])
    whole = np.asarray(base.target_value, np.float64)
    places = {name: covered[name][0].size for name in names}
    done, points = 0, count * sum(places.values())

    def values(name: str) -> Iterator[tuple[Rows, Array]]:
        """f at each point, that is without each place of each sample."""
        for rows in chunks(count * places[name], fixed or batch or MOST_ROWS):
            samples, at = np.divmod(filled(rows, fixed), places[name])
            ids = base.inputs[name][samples].reshape(len(samples), -1)
            ids[np.arange(len(samples)), at] = occlude
            feeds = taken(base.inputs, samples)
            logits = forward(feeds | {name: ids.reshape(feeds[name].shape)})[plan.target]
            yield rows, elements(base, _of(question, samples), logits)[: len(rows)]

    relevance = {}
    for name, size in places.items():
        losses = np.repeat(whole, size)
        for rows, value in values(name):
            losses[rows] -= value
            done += len(rows)
            if progress is not None:
                progress(done, points)
        relevance[name] = losses.reshape(base.inputs[name].shape)
    sums = sum(losses.reshape(count, -1).sum(axis=1) for losses in relevance.values())
    extras = {"occlude": occlude, "sum_of_losses": np.asarray(sums).tolist()}
    return dataclasses.replace(
        base, method="occlusion", relevance=relevance, seed=whole, nodes=(), constants={}, extras=extras
    )


def _of(question: Target, samples: Rows) -> Target:
    """What is asked of these samples."""
    if not question.per_sample:
        return question
    indices: Any = question.index
    return Target(question.output, tuple(indices[n] for n in samples))
