"""Is the relevance where the object is, as a mask says?"""

from __future__ import annotations

import numpy as np

from onnxdtd.metrics.case import Case, Measured
from onnxdtd.registry import metric


@metric(
    "localisation", better={"mass": "higher", "rank": "higher", "pointing": "higher"}, order=7, needs="mask",
    source="Arras, Osman and Samek 2022; Zhang et al. 2018",
)  # fmt: skip
def localisation(case: Case) -> Measured:
    """sum over the mask of R+ / sum over the picture of R+: the mass of positive relevance that is inside.

    R is the relevance of a pixel, summed over its channels, R+ = max(R, 0). `rank`: the share of the K pixels with
    the largest R that are inside, K the mask's size. `pointing`: 1 where the pixel with the largest R is inside, else
    0. Chance is the mask's share of the picture, for all three. Not defined for an empty mask, and `mass` where
    nothing is positive. A model may use what is beside the object, and rightly: look before a low score is held
    against a method. Source: Arras, Osman and Samek 2022 (mass and rank accuracy, pooled by the sum); Zhang et al.
    2018 (pointing game, here without a margin).
    """
    assert case.mask is not None  # or the metric is left out
    inside = case.mask.ravel()
    r, size = case.units(1), int(inside.sum())
    if not size:
        return Measured(dict.fromkeys(("mass", "rank", "pointing"), np.nan))
    order = np.lexsort((case.rng("ties").permutation(r.size), -r))
    positive = np.maximum(r, 0)
    total = float(positive.sum())
    return Measured(
        {
            "mass": float(positive[inside].sum()) / total if total > 0 else np.nan,
            "rank": float(inside[order[:size]].mean()),
            "pointing": float(inside[order[0]]),
        }
    )
