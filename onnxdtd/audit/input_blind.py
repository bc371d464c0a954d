"""Does the heatmap look at the input at all?"""

from __future__ import annotations

import numpy as np

from onnxdtd.audit.finding import Finding, likeness, middle
from onnxdtd.audit.probe import Probe
from onnxdtd.audit.similarity import cosine, side_by_side
from onnxdtd.explanation import Explanation
from onnxdtd.plan.plan import Plan
from onnxdtd.registry import audit
from onnxdtd.types import Array

# An angle of 2.6 degrees: who looks at the input at all tells its values in another order further apart.
LIMIT = 0.999


@audit(
    "input_blind", cost="quick",
    source="Sixt and Landgraf 2022: roots that do not depend on the input; the shuffled copy and the limit are "
    "onnxdtd's",
)  # fmt: skip
def input_blind(plan: Plan, explanation: Explanation, probe: Probe) -> Finding:
    """Similarity with the heatmap of the same input, its values shuffled, for the same explained element."""
    return beside(probe, shuffled(probe))


def shuffled(probe: Probe) -> Probe | None:
    """At the same input, its values shuffled; None where that changes nothing."""
    rng = np.random.default_rng(0)
    feeds = {
        name: _shuffled(x, probe.samples, rng) if name in probe.plan.floats else x
        for name, x in probe.feeds.items()
    }
    same = all(np.array_equal(x, probe.feeds[name]) for name, x in feeds.items())
    return None if same else probe.at(feeds)


def beside(probe: Probe, other: Probe | None) -> Finding:
    """The same with the heatmap of a probe at the shuffled input."""
    if not probe.plan.floats:
        return _silent("The input holds integers only, which stay where they are.")
    if other is None:
        return _silent("The input has no values that could stand in another order.")
    value = middle(cosine(*(side_by_side(r, probe.samples) for r in (probe.original, other.original))))
    if value is None:
        return _silent("One of the heatmaps to compare is all zero, so their likeness is not defined.")
    if value > LIMIT:
        sentence = (
            "Another input gets the same heatmap: it shows the model's weights, not what *this* input had to do with "
            "the answer."
        )
    else:
        sentence = f"The same values in another order get another heatmap (cosine {likeness(value)})."
    return Finding("input_blind", value, LIMIT, "above", sentence)


def _silent(sentence: str) -> Finding:
    return Finding("input_blind", None, LIMIT, "above", sentence)


def _shuffled(x: Array, samples: int, rng: np.random.Generator) -> Array:
    """Each sample's values in another order, all samples in the same one; the whole of what has no batch axis."""
    rows = x.reshape(samples, -1) if x.ndim and len(x) == samples else x.reshape(1, -1)
    order = rng.permutation(rows.shape[1])
    moved = np.empty_like(rows)
    moved[:, order] = rows[:, np.roll(order, 1)]  # one ring through all places: none keeps its value
    return moved.reshape(x.shape)
