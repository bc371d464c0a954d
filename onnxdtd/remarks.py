"""What a result warns of: what was explained, and what came out, where either is not as the rules suppose."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.domains.box import range_of
from onnxdtd.domains.propagation import Range
from onnxdtd.plan.plan import Plan
from onnxdtd.types import Arrays

MOST_NAMED = 8
"""Samples that a warning names one by one."""


def remarks(
    plan: Plan, feeds: Arrays, stated: Range, started: npt.NDArray[Any], relevance: Arrays
) -> tuple[str, ...]:
    """Warnings of the plan, then of this input. started: the relevance that each sample starts with."""
    warnings = [*plan.warnings]
    if not plan.inside.starts and not started.all() and plan.seed == "positive":
        warnings.append(
            f"{_samples(started == 0)}: the target's logit is not positive, so Deep Taylor has nothing to explain "
            "and all relevance is zero; dtd_head starts from the logit with its sign"
        )
    if not plan.inside.starts and plan.seed == "value" and (started < 0).any():
        warnings.append(
            f"{_samples(started < 0)}: the target's logit is negative, so what is explained is evidence against it: "
            "negative relevance speaks against the target, positive for it"
        )
    for name in plan.inputs:
        low, high = range_of(name, stated)
        texts = feeds[name].dtype == object
        if not texts and ((feeds[name] < low).any() or (feeds[name] > high).any()):
            warnings.append(
                f"input '{name}' leaves its stated range; rules that rest on the range do not hold there"
            )
        if not np.isfinite(relevance[name]).all():
            warnings.append(f"the relevance of '{name}' is not finite everywhere: a denominator overflowed")
    return tuple(warnings)


def _samples(which: npt.NDArray[np.bool_]) -> str:
    """The samples that are meant: by number, or many by their count."""
    places = np.flatnonzero(which)
    if len(places) > MOST_NAMED:
        return f"{len(places)} of {len(which)} samples"
    return f"sample {', '.join(map(str, places))}"
