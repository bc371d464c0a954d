"""What a result warns of: what was explained, and what came out, where either is not as the rules suppose."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.domains.box import range_of
from onnxdtd.domains.propagation import Range
from onnxdtd.plan.plan import Inside, Plan
from onnxdtd.types import Arrays

GONE = 1e-6
"""The part of what started that counts as nothing: what float32 rounds off it. A small share is none of that: where
constants make nearly all of a logit, the map still shows how the rest is spread."""
MOST_NAMED = 8
"""Samples that a warning names one by one."""


def remarks(
    plan: Plan,
    feeds: Arrays,
    stated: Range,
    started: npt.NDArray[Any],
    relevance: Arrays,
    lost: Mapping[str, float] = MappingProxyType({}),
) -> tuple[str, ...]:
    """Warnings of the plan, then of this input. started: the relevance that each sample starts with. lost: of all of
    it, by cause."""
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
    warnings += _vanished(plan, started, relevance, lost)
    return tuple(warnings)


def _vanished(
    plan: Plan, started: npt.NDArray[Any], relevance: Arrays, lost: Mapping[str, float]
) -> list[str]:
    """A warning where relevance started and next to none of it arrived, whatever the reason."""
    count = len(started)
    if plan.inside != Inside() or not all(r.shape[:1] == (count,) or count == 1 for r in relevance.values()):
        return []
    sizes = np.sum(
        [np.abs(r, dtype=np.float64).reshape(count, -1).sum(axis=1) for r in relevance.values()], axis=0
    )
    least = 0.0 if plan.seed == "one" else GONE  # a gradient is small where the model's slope is
    gone = (started != 0) & (sizes <= least * np.abs(started))
    if not gone.any():
        return []
    causes = [cause for cause, amount in sorted(lost.items(), key=lambda c: -abs(c[1])) if amount]
    why = f", lost to {' and '.join(causes[:2])}" if causes else ""
    return [
        f"{_samples(gone)}: next to nothing of the relevance that started arrived at an input{why}; the map "
        "shows what is left, which is no explanation"
    ]


def _samples(which: npt.NDArray[np.bool_]) -> str:
    """The samples that are meant: by number, or many by their count."""
    places = np.flatnonzero(which)
    if len(places) > MOST_NAMED:
        return f"{len(places)} of {len(which)} samples"
    return f"sample {', '.join(map(str, places))}"
