"""Epsilon: shares by contribution to z, damped near zero."""

from __future__ import annotations

from onnxdtd.registry import rule
from onnxdtd.rules.directions import along_input
from onnxdtd.rules.maps import identity
from onnxdtd.rules.terms import Bias, Group, Term, TermRule, label


@rule("epsilon", direction=along_input)
def epsilon(epsilon: float = 1e-6, relative: bool = False, bias: Bias = "absorb") -> TermRule:
    """R_i = x_i sum_j w_ij r_j / (z_j + epsilon sign(z_j)); with epsilon -> 0 it is LRP-0.

    relative: epsilon counts in units of mean |z| of the sample. Source: Bach et al. 2015, eq. (58).
    """
    return TermRule(
        label("epsilon", epsilon=epsilon, relative=relative, bias=bias),
        (Group((Term(identity, identity, identity),)),),
        epsilon=epsilon,
        relative=relative,
        bias=bias,
    )
