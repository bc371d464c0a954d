"""Does the heatmap stay the same when nobody could tell the inputs apart?"""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxdtd.audit.finding import Finding, likeness, middle
from onnxdtd.audit.probe import Probe
from onnxdtd.audit.similarity import cosine, side_by_side
from onnxdtd.domains.box import range_of
from onnxdtd.explanation import Explanation
from onnxdtd.plan.plan import Plan
from onnxdtd.registry import audit
from onnxdtd.types import Array

LIMIT = 0.9
DRAWS = 8
NOISE = 0.01
"""Standard deviation, as a part of the input's range; of each value itself where it is one of a table's columns."""
MOVED = 0.1
"""Part of the explained value by which the model's own answer may move under the noise."""


@audit(
    "stability", cost="full",
    source="Montavon et al. 2018 (continuity); the noise, 1 % of the range, and the limit 0.9 are "
    "onnxdtd's",
)  # fmt: skip
def stability(plan: Plan, explanation: Explanation, probe: Probe) -> Finding:
    """Similarity with the heatmaps of the same input under small noise, the explained element held."""
    if not plan.floats:
        still = "The input holds integers only, which no small noise can move."
        return Finding("stability", None, LIMIT, "below", still, {"noise": NOISE, "draws": 0})
    rng = np.random.default_rng(0)
    found, logits = [], []
    for draw in range(DRAWS):
        probe.tick(draw, DRAWS)
        shaken = probe.at({**probe.feeds, **{name: _shaken(probe, name, rng) for name in plan.floats}})
        found.append(cosine(*(side_by_side(r, probe.samples) for r in (probe.original, shaken.original))))
        logits.append(np.abs(shaken.logits - probe.logits)[probe.mask].mean())
    value = middle(found)
    noise = "1 % of " + ("each value" if all(_column(probe, n) for n in plan.floats) else "the input's range")
    size = float(np.abs(probe.logits[probe.mask]).mean())
    details: dict[str, Any] = {
        "noise": NOISE,
        "draws": DRAWS,
        "least": float(np.nanmin(found)) if value is not None else None,
        "logit_change": float(np.mean(logits)),
    }
    if value is None:
        sentence = "The heatmap is all zero, so its likeness to others is not defined."
    elif value < LIMIT:
        effect = f"Noise of {noise} changes the heatmap to a likeness of {likeness(value)}"
        change = f"the explained value moves by {details['logit_change']:.2g}"
        if details["logit_change"] > MOVED * size:
            sentence = (
                f"{effect}, and {change} from {size:.2g}: the model itself is not stable at this input."
            )
        else:
            sentence = f"{effect}, while {change}: details of this heatmap are chance."
    else:
        sentence = f"Noise of {noise} leaves the heatmap as it is (cosine {likeness(value)})."
    return Finding("stability", value, LIMIT, "below", sentence, details)


def _stated(probe: Probe, name: str) -> tuple[Array, Array]:
    """The range that was stated for an input, infinite where none was."""
    low, high = (np.asarray(end, np.float64) for end in range_of(name, probe.explainer.input_range))
    return low, high


def _column(probe: Probe, name: str) -> bool:
    """Whether the input is a row of a table, whose columns have units of their own, or one column of it."""
    return probe.feeds[name].ndim <= 2 and not np.isfinite(_stated(probe, name)).all()


def _shaken(probe: Probe, name: str, rng: np.random.Generator) -> Array:
    """The input with noise, inside its stated range."""
    x = probe.feeds[name]
    low, high = _stated(probe, name)
    if _column(probe, name):
        spread = np.abs(x.astype(np.float64))
    elif np.isfinite(low).all() and np.isfinite(high).all():
        spread = high - low
    else:
        spread = np.asarray(np.ptp(x) if x.size else 0.0)
    noise = NOISE * spread * rng.standard_normal(x.shape)
    return np.clip(x + noise, low, high).astype(x.dtype)
