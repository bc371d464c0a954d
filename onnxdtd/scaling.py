"""Signs that an input is not scaled as the model was trained: pixels as they are, an output that is saturated."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.domains.propagation import Range
from onnxdtd.inputs.layout import picture_layout
from onnxdtd.loaded import Loaded
from onnxdtd.plan.plan import Plan
from onnxdtd.types import Arrays

DARKEST, LIGHTEST = 16, 255
"""Between them lies the largest of pixels that nobody has scaled."""
SATURATED = 50.0
"""So far the largest logit leads in no network that sees what it was trained on: e^-50 = 2e-22."""


def scaling(
    plan: Plan, loaded: Loaded, feeds: Arrays, stated: Range, logits: npt.NDArray[Any]
) -> tuple[str, ...]:
    """Warnings, where an input holds whole numbers from 0 to 255 and neither the model's first steps nor its metadata
    nor the user say that it does; and where a final activation leaves nothing to tell apart."""
    scaled = loaded.rescales or "onnxdtd.preprocess" in loaded.graph.metadata or _is_pair(stated)
    warnings = []
    for name in plan.inputs if not scaled else ():
        if picture_layout(plan.graph.value(name).shape) and _are_pixels(feeds[name]):
            warnings.append(
                f"input '{name}' goes up to {feeds[name].max():.4g} in whole numbers, as pixels do that nothing has "
                "scaled: most models take 0 to 1 or standard deviations (--preset unit, symmetric, imagenet)"
            )
    if plan.target != plan.output and (lead := _lead(logits)) > SATURATED:
        warnings.append(
            f"the output is saturated: the largest logit leads by {lead:.3g}, so that its probability is 1 in every "
            "digit; is the input scaled as the model was trained?"
        )
    return tuple(warnings)


def _is_pair(stated: Range) -> bool:
    """Whether the range is two numbers, as a user or the metadata state it, and not what prepared pictures have."""
    return isinstance(stated, (tuple, list)) and all(np.ndim(end) == 0 for end in stated)


def _are_pixels(x: npt.NDArray[Any]) -> bool:
    largest = x.max(initial=0)
    return bool(DARKEST < largest <= LIGHTEST and x.min(initial=0) >= 0 and np.array_equal(x, np.rint(x)))


def _lead(logits: npt.NDArray[Any]) -> float:
    """How far the largest of a sample's logits is above the next, at most; of a single one, how far from 0."""
    if not logits.ndim or not logits.size or logits.shape[-1] < 2:
        return float(np.abs(logits).max(initial=0))
    best = np.partition(logits, -2, axis=-1)[..., -2:]
    return float((best[..., 1] - best[..., 0]).max())
