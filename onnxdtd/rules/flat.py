"""Flat: an equal share for every connection."""

from __future__ import annotations

from onnxdtd.registry import rule
from onnxdtd.rules.maps import ones, zero
from onnxdtd.rules.terms import Group, Term, TermRule, label


@rule("flat")
def flat(epsilon: float = 1e-6) -> TermRule:
    """R_i = sum_j 1 / (number of connections of j) r_j.

    Source: Lapuschkin et al. 2019. The bias has no share.
    """
    return TermRule(
        label("flat", epsilon=epsilon),
        (Group((Term(ones, ones, zero),)),),
        epsilon=epsilon,
        claims=frozenset({"nonnegative"}),
    )
