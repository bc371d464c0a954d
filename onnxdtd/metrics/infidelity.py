"""Does relevance say how much the output changes when a part of the input is removed?"""

from __future__ import annotations

import numpy as np

from onnxdtd.metrics.case import Case, Measured
from onnxdtd.registry import metric

SIDE = 4
"""Of the square that is removed, in regions."""


@metric(
    "infidelity", better={"scaled": "lower", "error": "lower"}, order=5, source="Yeh et al. 2019, eq. (1)"
)
def infidelity(case: Case) -> Measured:
    """mean over draws of (sum over S of R - (f(x) - f(x without S)))^2, f the explained logit: infidelity.

    S is a square of four regions' side at a random place, in all channels; of a table or of tokens, each with
    probability 1/2. Its elements become the fill. The sum over S of R is what relevance says of this change, as a
    contribution; Yeh et al. write it as the product of the perturbation and a gradient-like explanation. `error` is
    in squared logits, so that only a method with the unit of the logit can be good at it. `scaled`: the same with R
    times the one factor >= 0 that suits it best, over the mean of the squared changes, 0 to 1; 1 where R says
    nothing. Not defined where f changes nowhere. Source: Yeh et al. 2019, eq. (1), with square removal; the
    factor makes explanations of other units comparable.
    """
    draws = np.stack([case.view.part(case.rng(f"part {k}"), _side(case)) for k in range(case.settings.draws)])
    draws &= case.counted
    said = draws @ case.relevance
    scores: dict[str, float] = {}
    for fill in case.fills:
        other = case.fill(fill)
        logits, _ = case.values(iter([case.x, *(np.where(part, other, case.x) for part in draws)]))
        change = logits[0] - logits[1:]
        size, strength = float(change @ change), float(said @ said)
        explained = (
            max(float(said @ change), 0.0) ** 2 / (size * strength) if size > 0 and strength > 0 else 0.0
        )
        scores[f"{fill}.scaled"] = 1 - explained if size > 0 else np.nan
        scores[f"{fill}.error"] = float(np.mean((said - change) ** 2))
    return Measured(scores)


def _side(case: Case) -> int:
    return SIDE * (case.settings.patch or case.view.patch) if case.view.spatial else 1
