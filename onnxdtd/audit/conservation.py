"""Does what starts at the target arrive at the input, and if not, where does it stay?"""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxdtd.audit.finding import Finding, listed, percent
from onnxdtd.audit.rerun import Rerun
from onnxdtd.conservation import NodeReport
from onnxdtd.explanation import Explanation
from onnxdtd.plan.plan import Plan
from onnxdtd.registry import audit

# Less cannot be seen in a heatmap.
LIMIT = 0.01
CAUSES = {
    "bias": "was given to biases",
    "dead": "was lost at neurons that only their bias keeps active",
    "epsilon": "was taken by the stabiliser epsilon",
    "border": "fell on padding or constants",
}


@audit(
    "conservation", cost="quick",
    source="Montavon et al. 2017, Definition 1: sum_p R_p = f(x); the limit of 1 % is onnxdtd's",
)  # fmt: skip
def conservation(plan: Plan, explanation: Explanation, rerun: Rerun | None = None) -> Finding:
    """|f - sum_p R_p| / |f|, layer by layer, with the cause of each loss."""
    account = explanation.conservation
    walks_values = plan.seed != "one"
    started = account.target if walks_values else float(np.sum(explanation.target_value))
    missing = started - account.relevance
    # Zero only where nothing started and nothing arrived.
    value = abs(missing) / abs(started) if started else float(missing != 0)
    lost = sorted(filter(_loses, account.nodes), key=lambda n: -abs(_missing(n))) if walks_values else []
    details: dict[str, Any] = {
        "started": started,
        "arrived": account.relevance,
        "causes": account.causes if walks_values else {},
        "layers": [
            {
                "node": n.name,
                "op": n.op,
                "rule": n.rule,
                "arrived": n.arrived,
                "left": n.left,
                "lost": dict(n.lost),
            }
            for n in lost
        ],
    }
    return Finding(
        "conservation", value, LIMIT, "above", _sentence(plan, explanation, started, value, lost), details
    )


def _sentence(plan: Plan, e: Explanation, started: float, value: float, lost: list[NodeReport]) -> str:
    arrived = e.conservation.relevance
    if not started:
        return "The explained value starts no relevance, so none arrives: it is not positive."
    if plan.seed == "one":
        close = "close to" if value <= LIMIT else "which is not"
        return (
            f"The heatmap sums to {arrived:.4g}, {close} the explained {started:.4g}: {plan.method} carries the "
            "gradient, not the value."
        )
    if value <= LIMIT:
        return f"Of {started:.4g} at the target, {arrived:.4g} arrived at the input: nothing to speak of is lost."
    shares = {cause: amount / started for cause, amount in e.conservation.causes.items()}
    causes = [
        f"{percent(share)} {CAUSES.get(cause, f'was lost to {cause}')}"
        if share > 0
        else f"{percent(-share)} more came from where relevance is lost otherwise ({cause})"
        for cause, share in shares.items()
        if abs(share) > LIMIT / 10
    ]
    why = listed(causes) if causes else f"{percent(value)} is missing"
    most = f", most of all at '{lost[0].name}'" if lost else ""
    if not e.nodes:
        most = " (engine='numpy' would tell where)"
    return f"The heatmap sums to {arrived:.4g} of the explained {started:.4g}: {why}{most}."


def _missing(node: NodeReport) -> float:
    return node.arrived - node.left


def _loses(node: NodeReport) -> bool:
    return bool(node.lost) or abs(node.error) > 1e-5 * max(abs(node.arrived), abs(node.left))
