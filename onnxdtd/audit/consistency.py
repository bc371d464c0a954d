"""Is nothing explained where there is nothing to explain, that is, where the explained value is not positive?"""

from __future__ import annotations

import numpy as np

from onnxdtd.audit import seeds
from onnxdtd.audit.finding import Finding, percent
from onnxdtd.audit.probe import Probe
from onnxdtd.explanation import Explanation
from onnxdtd.plan.plan import Plan
from onnxdtd.plan.seed import Seed, start_of
from onnxdtd.registry import audit
from onnxdtd.types import Array

# A zero, but for rounding.
LIMIT = 1e-6
MOST = 3


@audit("consistency", cost="quick", source="Montavon et al. 2017, Definition 3: f(x) = 0 implies R(x) = 0")
def consistency(plan: Plan, explanation: Explanation, probe: Probe) -> Finding:
    """The relevance given to outputs that are <= 0 at this input, relative to the target's."""
    logits = probe.logits
    if seeds.classes(probe) > 1:
        masks = [seeds.class_seed(probe, which) for which in seeds.lowest(probe, MOST)]
    else:
        masks = [probe.mask]
    masks = [found for mask in masks if (found := mask & (logits <= 0)).any()]
    if not masks:
        sentence = "No output is negative at this input, so there was nothing to hold against this."
        return Finding("consistency", None, LIMIT, "above", sentence)
    base = _size(probe, start_of(plan.seed, Seed(probe.mask), np.abs(logits)))
    sizes = [_size(probe, start_of(plan.seed, Seed(mask), logits)) for mask in masks]
    worst = int(np.argmax(sizes))
    value = max(sizes) / base if base else float(max(sizes) > 0)
    logit = float(logits[masks[worst]].min())
    if value <= LIMIT:
        sentence = f"Where an output is not positive ({logit:.3g}), all relevance is zero, as it should be."
    elif plan.seed == "value":
        sentence = (
            f"An output of {logit:.3g} is given relevance too, {percent(value)} as much as the target: evidence "
            "against it, where a Deep Taylor decomposition has nothing to explain."
        )
    else:
        sentence = (
            f"An output of {logit:.3g}, of which there is nothing to explain, is given relevance too: "
            f"{percent(value)} as much as the target."
        )
    return Finding("consistency", value, LIMIT, "above", sentence, {"tested": len(masks), "logit": logit})


def _size(probe: Probe, seed: Array) -> float:
    if not seed.any():
        return 0.0
    return float(sum(np.abs(r).sum(dtype=np.float64) for r in probe.relevance(seed).values()))
