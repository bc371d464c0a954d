"""Signed z+: the Deep Taylor rule of a hidden layer with any input domain that contains zero."""

from __future__ import annotations

from onnxdtd.registry import rule
from onnxdtd.rules.maps import negative, positive, zero
from onnxdtd.rules.terms import Bias, Group, Term, TermRule, label
from onnxdtd.rules.zplus import EXCITING

INHIBITING = (Term(positive, negative, negative), Term(negative, positive, zero))


@rule("signed_zplus")
def signed_zplus(epsilon: float = 0.0, bias: Bias = "redistribute") -> TermRule:
    """R_i = sum_j v_ij w_ij / (sum_i v_ij w_ij) r_j with v_ij = x_i 1[x_i w_ij z_j > 0].

    The contributions of z's own sign share its relevance. For x >= 0 and z > 0 it is z+. The root of the
    first-order Taylor expansion lies between x and 0, so in every interval domain that contains 0, and v is
    linear in x, so the next layer can go on: the three conditions on a hidden layer's rule. Derived from
    Montavon et al. 2017, section 4.
    """
    return TermRule(
        label("signed_zplus", epsilon=epsilon, bias=bias, defaults={"epsilon": 0.0, "bias": "redistribute"}),
        (Group(EXCITING, where="positive"), Group(INHIBITING, where="negative")),
        epsilon=epsilon,
        bias=bias,
        claims=frozenset({"nonnegative", "conserves"} if bias == "redistribute" else {"nonnegative"}),
    )
