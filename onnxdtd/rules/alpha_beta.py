"""Alpha-beta: excitation and inhibition shared apart."""

from __future__ import annotations

from onnxdtd.errors import UsageError
from onnxdtd.registry import rule
from onnxdtd.rules.signed_zplus import INHIBITING
from onnxdtd.rules.terms import Bias, Group, TermRule, label
from onnxdtd.rules.zplus import EXCITING


@rule("alpha_beta")
def alpha_beta(
    alpha: float = 2.0, beta: float = 1.0, epsilon: float = 1e-6, bias: Bias = "absorb"
) -> TermRule:
    """R_i = alpha * (share of x+w+ + x-w-, b+) - beta * (share of x+w- + x-w+, b-), alpha - beta = 1.

    Source: Bach et al. 2015, eq. (60). Raises UsageError when alpha - beta is not 1.
    """
    if abs(alpha - beta - 1) > 1e-9 or beta < 0:
        raise UsageError(
            f"alpha_beta needs alpha - beta = 1 and beta >= 0, not alpha={alpha:g}, beta={beta:g}"
        )
    groups = [Group(EXCITING, alpha)] + ([Group(INHIBITING, -beta)] if beta else [])
    return TermRule(
        label("alpha_beta", alpha=alpha, beta=beta, epsilon=epsilon, bias=bias),
        tuple(groups),
        epsilon=epsilon,
        bias=bias,
    )
