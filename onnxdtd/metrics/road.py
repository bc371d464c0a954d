"""Does the decision fall when relevant pixels are removed without leaving a trace of where they were?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from onnxdtd.metrics.case import Case, Measured
from onnxdtd.metrics.impute import imputed
from onnxdtd.metrics.perturb import placed
from onnxdtd.registry import metric
from onnxdtd.types import Array

SHARES = np.arange(1, 10) / 10
NOISE = 0.01
"""Of the input's range, the standard deviation of what is added to imputed pixels."""


@metric(
    "road", better={"least_minus_most": "higher", "most": "lower", "least": "higher"}, order=2,
    source="Rong et al. 2022", needs="places",
)  # fmt: skip
def road(case: Case) -> Measured:
    """mean over k of [decision at x_least,k is that at x] - [decision at x_most,k is]: remove and debias.

    The decision is the class of the largest logit, of a single logit its sign; averaged over inputs, an accuracy. k
    runs over 10, 20, ..., 90 % of the pixels. Removed pixels become weighted means of their neighbours, removed ones
    too, by solving for all at once (`linear`), plus normal noise of 1 % of the input's range. Other fills show the
    removed pixels' shape, from which a model may tell the class. `most` and `least`: the two parts, the most or the
    least relevant removed first. Source: Rong et al. 2022 (ROAD), section 4; both orders in one number is our choice.
    """
    labels, place, count = placed(case, 1)
    rng = case.rng("road")
    wide = NOISE * (case.background.high - case.background.low)

    def points() -> Iterator[Array]:
        yield case.x
        for order in (place, count - 1 - place):
            for share in SHARES:
                removed = (order < round(share * count))[labels]
                noise = rng.normal(size=case.x.size) * wide
                yield np.where(removed, imputed(case, removed) + noise, case.x)

    logits = case.logits_at(points())
    decisions = logits.argmax(axis=1) if logits.shape[1] > 1 else logits[:, 0] > 0
    held = (decisions[1:] == decisions[0]).reshape(2, -1).mean(axis=1)
    most, least = (float(share) for share in held)
    return Measured({"least_minus_most": least - most, "most": most, "least": least})
