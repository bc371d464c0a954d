"""z+: shares among the contributions that excite."""

from __future__ import annotations

from onnxdtd.registry import rule
from onnxdtd.rules.directions import along_exciting
from onnxdtd.rules.maps import negative, positive, zero
from onnxdtd.rules.terms import Bias, Group, Term, TermRule, label

EXCITING = (Term(positive, positive, positive), Term(negative, negative, zero))


@rule("zplus", direction=along_exciting)
def zplus(epsilon: float = 1e-6, bias: Bias = "absorb") -> TermRule:
    """R_i = sum_j (x_i+ w_ij+ + x_i- w_ij-) r_j / (sum_i (x_i+ w_ij+ + x_i- w_ij-) + b_j+).

    For x >= 0 it is x_i w_ij+ over its sum: Montavon et al. 2017, eq. (16). For any sign of x it is
    alpha1-beta0 of Bach et al. 2015.
    """
    return TermRule(
        label("zplus", epsilon=epsilon, bias=bias),
        (Group(EXCITING),),
        epsilon=epsilon,
        bias=bias,
        claims=frozenset({"nonnegative"}),
    )
