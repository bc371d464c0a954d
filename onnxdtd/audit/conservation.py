"""Is all that starts at the target accounted for, and does it stay of its size on the way?"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.audit.finding import Finding, percent
from onnxdtd.audit.probe import Probe
from onnxdtd.conservation import Conservation
from onnxdtd.explanation import Explanation, sum_by_sample
from onnxdtd.node_report import NodeReport
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
    """The value of the finding for these books; None where it does not apply."""
    if plan.seed == "one" or not account.target:
        return None
    return max(_error(account) / ERROR, account.growth.factor / GROWS)


def unbalances(plan: Plan, e: Explanation) -> npt.NDArray[np.float64]:
    """(N,) `unbalance` of each sample's books, NaN where it does not apply."""
    started, count = np.asarray(e.seed, np.float64), len(e.seed)
    if plan.seed == "one":
        return np.full(count, np.nan)
    sizes = np.zeros(count) + sum(sum_by_sample(np.abs(r), count) for r in e.relevance.values())
    first, largest, missing = np.abs(started), sizes, np.zeros(count)
    if e.nodes:  # the compiled engine keeps no books
        books = [node.samples for node in e.nodes if node.samples is not None]
        arrived, left = (
            np.array([getattr(b, name) for b in books]) for name in ("arrived_size", "left_size")
        )
        seen = np.isfinite(arrived + left)
        at_target = seen & np.array([[node.depth == 0] for node in e.nodes])
        first = np.where(seen.any(axis=0), np.where(at_target, arrived, 0).sum(axis=0), first)
        largest = np.maximum(sizes, np.where(seen, left, 0).max(axis=0))
        lost = sum(np.sum([*b.lost.values()], axis=0) for b in books if b.lost)
        came = sum(sum_by_sample(r, count) for r in e.relevance.values())
        missing = np.abs(started - came - lost)
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = np.where(first > 0, np.maximum(largest / first, 1), 1)
        value = np.maximum(missing / np.abs(started) / ERROR, growth / GROWS)
    return np.where(started == 0, np.nan, value)


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
