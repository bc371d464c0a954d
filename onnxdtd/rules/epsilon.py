"""Epsilon: shares by contribution to z, damped near zero."""

from __future__ import annotations

from onnxdtd.registry import rule
from onnxdtd.rules.directions import along_input
from onnxdtd.rules.maps import identity
from onnxdtd.rules.terms import DEFAULTS, Bias, Group, Term, TermRule, label

EPSILON = 1e-6


@rule("epsilon", direction=along_input)
def epsilon(epsilon: float | None = None, relative: bool = False, bias: Bias = "absorb") -> TermRule:
    """R_i = x_i sum_j w_ij r_j / (z_j + epsilon sign(z_j)); with epsilon -> 0 it is LRP-0.

    epsilon: None divides as little as can be: below another such rule, and z+ or gamma of x >= 0, r_j / z_j comes as
    it is, as that rule's x_i (...) / x_i, only relevance that other rules hand on is divided, with epsilon = 1e-6.
    A number stabilises every division. relative: epsilon counts in units of mean |z| of the sample.

    Source: Bach et al. 2015, eq. (58); Achtibat et al. 2024 (AttnLRP), section 3.3, for the form without divisions.
    """
    return TermRule(
        label(
            "epsilon", defaults=DEFAULTS | {"epsilon": None}, epsilon=epsilon, relative=relative, bias=bias
        ),
        (Group((Term(identity, identity, identity),)),),
        epsilon=EPSILON if epsilon is None else epsilon,
        relative=relative,
        bias=bias,
        chained=epsilon is None and not relative,
    )
