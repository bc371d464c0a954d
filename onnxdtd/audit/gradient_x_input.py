"""Does the heatmap agree with what the model does locally: gradient times input?"""

from __future__ import annotations

import numpy as np

from onnxdtd.audit.finding import Finding, likeness, middle
from onnxdtd.audit.probe import Probe
from onnxdtd.audit.similarity import compare
from onnxdtd.explanation import Explanation
from onnxdtd.plan.plan import Plan
from onnxdtd.registry import audit

# An angle of 60 degrees: below it, less than a quarter of the squared length lies along gradient x input.
LIMIT = 0.5


@audit(
    "gradient_x_input", cost="quick",
    source="Sixt and Landgraf 2022: with roots that do not depend on the input, Deep Taylor is "
    "gradient x (input - root); the limit 0.5 is onnxdtd's",
)  # fmt: skip
def gradient_x_input(plan: Plan, explanation: Explanation, probe: Probe) -> Finding:
    """Similarity with the gradient of the target times the input."""
    local = probe.by("gradient_x_input").original
    if plan.seed == "value":  # a share of a negative value has the other sign
        sign = np.where(explanation.seed[: probe.samples] < 0, -1.0, 1.0)
        local = {
            n: r * sign.reshape(-1, *[1] * (r.ndim - 1)) if np.ndim(r) and len(r) == len(sign) else r
            for n, r in local.items()
        }
    alike = compare(probe.original, local, probe.samples)
    details = {name: None if array is None else middle(array) for name, array in alike.items()}
    value = details["cosine"]
    if value is None:
        sentence = "One of the heatmaps to compare is all zero, so their likeness is not defined."
    elif value < LIMIT:
        sentence = (
            f"The heatmap has little in common with gradient x input (cosine {likeness(value)}): it does not show "
            "how the model responds at this very input, but what the rules make of its weights."
        )
    else:
        more = " It says little beyond it." if value > 0.99 else ""
        sentence = f"The heatmap agrees with gradient x input (cosine {likeness(value)}).{more}"
    return Finding("gradient_x_input", value, LIMIT, "below", sentence, details)
