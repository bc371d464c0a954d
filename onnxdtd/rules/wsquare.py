"""w-square: shares by the squared weights, whatever the input."""

from __future__ import annotations

from onnxdtd.registry import rule
from onnxdtd.rules.directions import along_weights
from onnxdtd.rules.maps import ones, square
from onnxdtd.rules.terms import Bias, Group, Term, TermRule, label


@rule("wsquare", direction=along_weights)
def wsquare(epsilon: float = 1e-6, bias: Bias = "absorb") -> TermRule:
    """R_i = sum_j w_ij^2 / (sum_i w_ij^2 + b_j^2) r_j: the input layer's rule for an unbounded domain.

    Source: Montavon et al. 2017, eq. (12). With bias = redistribute there is no b_j^2, as in the paper. Computed in
    units of neuron j's largest |w_ij|, in whose square epsilon counts: shares do not depend on the weights' scale.
    """
    return TermRule(
        label("wsquare", epsilon=epsilon, bias=bias),
        (Group((Term(ones, square, square),)),),
        epsilon=epsilon,
        bias=bias,
        claims=frozenset({"nonnegative"}),
        scale_free=True,
    )
