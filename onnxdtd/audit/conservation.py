"""Is all that starts at the target accounted for, and does it stay of its size on the way?"""

from __future__ import annotations

from typing import Any

from onnxdtd.audit.finding import Finding, percent
from onnxdtd.audit.probe import Probe
from onnxdtd.conservation import Conservation, NodeReport
from onnxdtd.explanation import Explanation
from onnxdtd.plan.plan import Plan
from onnxdtd.reading import GROWS, grown
from onnxdtd.registry import audit

BALANCE, FULL = "conservation", 1.0
# Of the target: less cannot be seen in a heatmap.
ERROR = 0.01


@audit(
    BALANCE, cost="quick", books=True,
    source="Montavon et al. 2017, Definition 1: sum_p R_p = f(x), constants aside; the limits, 1 % and tenfold, are "
    "onnxdtd's",
)  # fmt: skip
def conservation(plan: Plan, explanation: Explanation, probe: Probe | None = None) -> Finding:
    """What no cause accounts for over 1 % of the target, or the growth of |relevance| over ten: the larger."""
    account = explanation.conservation
    value = unbalance(plan, account)
    if plan.seed == "one":
        return _silent(f"{plan.method} carries the gradient, not the value, so nothing is to be conserved.")
    if value is None:
        return _silent("No relevance started at the target, so none could get lost.")
    growth = account.growth
    details: dict[str, Any] = {
        "started": account.target,
        "arrived": account.relevance,
        "error": account.error if account.nodes else None,
        "growth": growth.factor,
        "where": growth.node,
        "causes": account.causes,
        "layers": [_entry(n) for n in sorted(filter(_keeps_less, account.nodes), key=_missing)],
    }
    return Finding(BALANCE, value, FULL, "above", _sentence(account, _error(account)), details)


def unbalance(plan: Plan, account: Conservation) -> float | None:
    """The value of the finding for these books, such as those of one sample; None where it does not apply."""
    if plan.seed == "one" or not account.target:
        return None
    return max(_error(account) / ERROR, account.growth.factor / GROWS)


def _error(account: Conservation) -> float:
    return account.relative if account.nodes else 0.0


def _silent(sentence: str) -> Finding:
    return Finding(BALANCE, None, FULL, "above", sentence)


def _sentence(account: Conservation, error: float) -> str:
    if error > ERROR:
        worst = max(account.nodes, key=lambda n: abs(n.error))
        return (
            f"{account.error:.3g} of the explained {account.target:.4g} is neither at the input nor lost to a cause, "
            f"most of it at '{worst.name}': the relevance below is wrong by as much."
        )
    if blown := grown(account):
        return blown
    if not account.nodes:
        return f"|relevance| at the input is {account.size / abs(account.target):.2g} of what started at the target."
    owed = f", {percent(error)} of it but for rounding" if error > ERROR / 10 else ""
    return f"All of the explained {account.target:.4g} is accounted for{owed}."


def _entry(n: NodeReport) -> dict[str, Any]:
    amounts = {"arrived": n.arrived, "left": n.left, "lost": dict(n.lost), "error": n.error}
    return {"node": n.name, "op": n.op, "rule": n.rule, **amounts}


def _missing(node: NodeReport) -> float:
    return -abs(node.arrived - node.left)


def _keeps_less(node: NodeReport) -> bool:
    return bool(node.lost) or abs(node.error) > 1e-5 * max(abs(node.arrived), abs(node.left))
