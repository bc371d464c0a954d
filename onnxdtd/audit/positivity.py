"""Is the heatmap free of negative relevance, as the definition of a Deep Taylor decomposition asks?"""

from __future__ import annotations

import numpy as np

from onnxdtd.audit.finding import Finding, percent
from onnxdtd.audit.probe import Probe
from onnxdtd.audit.similarity import side_by_side
from onnxdtd.explanation import Explanation
from onnxdtd.plan.plan import Plan
from onnxdtd.registry import audit

# Less cannot be seen in a heatmap.
LIMIT = 0.01


@audit(
    "positivity", cost="quick",
    source="Montavon et al. 2017, Definition 2: R_p(x) >= 0; the limit of 1 % is onnxdtd's",
)  # fmt: skip
def positivity(plan: Plan, explanation: Explanation, probe: Probe | None = None) -> Finding:
    """The share of relevance whose sign is not that of the relevance that started."""
    relevance = side_by_side(explanation.relevance, len(explanation.seed)).astype(np.float64)
    relevance = relevance * np.where(explanation.seed < 0, -1.0, 1.0)[:, None]
    total = float(np.abs(relevance).sum())
    share = float(np.maximum(-relevance, 0).sum()) / total if total else 0.0
    promised = all("nonnegative" in step.rule.claims for step in plan.steps) and not plan.finish
    if not total:
        sentence = "There is no relevance, so none of it is negative."
    elif share == 0:
        because = ", as its rules promise" if promised else ""
        sentence = f"The heatmap has one sign{because}: every value shown speaks for the target."
    elif share <= LIMIT:
        sentence = f"Nearly all relevance speaks for the target; {percent(share)} speaks against it."
    else:
        sentence = (
            f"{percent(share)} of the relevance speaks against the target: the heatmap is a balance of both signs, "
            "not a decomposition into positive parts."
        )
    return Finding("positivity", share, LIMIT, "above", sentence, {"promised": promised})
