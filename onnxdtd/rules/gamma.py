"""Gamma: epsilon with the exciting weights raised; plain for inputs >= 0, generalised for any sign."""

from __future__ import annotations

from onnxdtd.registry import rule
from onnxdtd.rules.directions import along_boosted
from onnxdtd.rules.maps import Boosted, negative, positive, zero
from onnxdtd.rules.terms import Bias, Group, Term, TermRule, label


@rule("gamma_plain")
def gamma_plain(gamma: float = 0.25, epsilon: float = 1e-6, bias: Bias = "absorb") -> TermRule:
    """R_i = x_i sum_j (w_ij + g w_ij+) r_j / (sum_i x_i (w_ij + g w_ij+) + b_j + g b_j+), for x >= 0.

    Source: Montavon et al. 2019, "Layer-wise relevance propagation: an overview".
    """
    up = Boosted(gamma)
    return TermRule(
        label("gamma_plain", gamma=gamma, epsilon=epsilon, bias=bias),
        (Group((Term(w=up, b=up),)),),
        epsilon=epsilon,
        bias=bias,
    )


@rule("gamma", direction=along_boosted)
def gamma(gamma: float = 0.25, epsilon: float = 1e-6, bias: Bias = "absorb") -> TermRule:
    """Where z > 0 shares of x+ (w + g w+) + x- (w + g w-); where z < 0 of x+ (w + g w-) + x- (w + g w+).

    The bias takes b + g b+ or b + g b-; z = 0 gets nothing. Source: Andéol et al. 2021.
    """
    up, down = Boosted(gamma), Boosted(gamma, -1)
    return TermRule(
        label("gamma", gamma=gamma, epsilon=epsilon, bias=bias),
        (
            Group((Term(positive, up, up), Term(negative, down, zero)), where="positive"),
            Group((Term(positive, down, down), Term(negative, up, zero)), where="negative"),
        ),
        epsilon=epsilon,
        bias=bias,
    )
