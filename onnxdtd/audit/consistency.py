"""Is nothing explained where there is nothing to explain, that is, where the explained value is not positive?"""

from __future__ import annotations

import numpy as np

from onnxdtd.audit import seeds
from onnxdtd.audit.finding import Finding, percent
from onnxdtd.audit.rerun import Rerun
from onnxdtd.explanation import Explanation
from onnxdtd.plan.plan import Plan
from onnxdtd.plan.seed import Seed, start_of
from onnxdtd.registry import audit
from onnxdtd.types import Array

# A zero, but for rounding.
LIMIT = 1e-6
MOST = 3


@audit("consistency", cost="quick", source="Montavon et al. 2017, Definition 3: f(x) = 0 implies R(x) = 0")
def consistency(plan: Plan, explanation: Explanation, rerun: Rerun) -> Finding:
    """The relevance given to outputs that are <= 0 at this input, relative to the target's."""
    logits = rerun.logits
    if seeds.classes(rerun) > 1:
        masks = [seeds.class_seed(rerun, which) for which in seeds.lowest(rerun, MOST)]
    else:
        masks = [rerun.mask]
    masks = [found for mask in masks if (found := mask & (logits <= 0)).any()]
    if not masks:
        sentence = "No output is negative at this input, so there was nothing to hold against this."
        return Finding("consistency", None, LIMIT, "above", sentence)
    base = _size(rerun, start_of(plan.seed, Seed(rerun.mask), np.abs(logits)))
    sizes = [_size(rerun, start_of(plan.seed, Seed(mask), logits)) for mask in masks]
    worst = int(np.argmax(sizes))
    value = max(sizes) / base if base else float(max(sizes) > 0)
    logit = float(logits[masks[worst]].min())
    if value <= LIMIT:
        sentence = f"Where an output is not positive ({logit:.3g}), all relevance is zero, as it should be."
    else:
        sentence = (
            f"An output of {logit:.3g}, of which there is nothing to explain, is given relevance too: "
            f"{percent(value)} as much as the target."
        )
    return Finding("consistency", value, LIMIT, "above", sentence, {"tested": len(masks), "logit": logit})


def _size(rerun: Rerun, seed: Array) -> float:
    if not seed.any():
        return 0.0
    return float(sum(np.abs(r).sum(dtype=np.float64) for r in rerun.relevance(seed).values()))
