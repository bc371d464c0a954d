"""Is the explanation of another class another one?"""

from __future__ import annotations

import numpy as np

from onnxdtd.metrics.case import Case, Measured
from onnxdtd.registry import metric


@metric(
    "class_sensitivity", better={"cosine": "lower"},
    source="after Nie et al. 2018; Sixt, Granz and Landgraf 2020; Adebayo et al. 2018", needs="another class",
)  # fmt: skip
def class_sensitivity(case: Case) -> Measured:
    """cos(R_target, R_rival), the rival being the other class with the largest logit; 1: the same picture.

    Not defined where either is zero, as Deep Taylor's for a logit below zero; nor where a method starts with the
    logit and the two logits differ in sign, since the picture then turns into its negative whatever the rules see.
    Source: the comparison is that of Nie et al. 2018 and Sixt, Granz and Landgraf 2020, who find positive rules blind
    to the class; Adebayo et al. 2018 ask the same of the weights.
    """
    rival = int(np.argmax(np.where(np.arange(case.logits.size) == case.target, -np.inf, case.logits)))
    other, seeds = case.again(case.x[None], rival, "class")
    scale = np.linalg.norm(case.relevance) * np.linalg.norm(other[0])
    if not scale > 0 or case.seed * seeds[0] < 0:
        return Measured({"cosine": np.nan})
    return Measured({"cosine": float(case.relevance @ other[0] / scale)})
