"""What a result warns of: what was explained, and what came out, where either is not as the rules suppose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.domains.box import range_of
from onnxdtd.domains.propagation import Range
from onnxdtd.plan.plan import Plan

Arrays = Mapping[str, npt.NDArray[Any]]


def remarks(
    plan: Plan, feeds: Arrays, stated: Range, started: npt.NDArray[Any], relevance: Arrays
) -> tuple[str, ...]:
    """Warnings of the plan, then of this input. started: the relevance that each sample starts with."""
    warnings = [*plan.warnings]
    if not started.all():
        empty = np.flatnonzero(started == 0)
        warnings.append(
            f"sample {', '.join(map(str, empty))}: the target's logit is not positive, so Deep Taylor has nothing "
            "to explain and all relevance is zero; choose another target, or a method such as epsilon_plus"
        )
    for name in plan.inputs:
        low, high = range_of(name, stated)
        if (feeds[name] < low).any() or (feeds[name] > high).any():
            warnings.append(
                f"input '{name}' leaves its stated range; rules that rest on the range do not hold there"
            )
        if not np.isfinite(relevance[name]).all():
            warnings.append(f"the relevance of '{name}' is not finite everywhere: a denominator overflowed")
    return tuple(warnings)
