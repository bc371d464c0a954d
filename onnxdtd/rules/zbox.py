"""z-box and its half-open relatives: the Deep Taylor rules of an input layer with a bounded domain."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from onnxdtd.errors import UsageError
from onnxdtd.registry import rule
from onnxdtd.rules.directions import within_box
from onnxdtd.rules.maps import Bound, identity, negative, positive, zero
from onnxdtd.rules.terms import Group, Term, TermRule, label


@rule("zbox", direction=within_box)
def zbox(low: npt.ArrayLike = 0.0, high: npt.ArrayLike = 1.0, epsilon: float = 1e-6) -> TermRule:
    """R_i = sum_j (x_i w_ij - l_i w_ij+ - h_i w_ij-) / (its sum over i) r_j, for l <= x <= h.

    low, high: numbers, or arrays that broadcast to the input (per channel, per pixel). The bias cancels.
    Source: Montavon et al. 2017, eq. (18). Raises UsageError unless low <= high everywhere.
    """
    if np.any(np.asarray(low) > np.asarray(high)):
        raise UsageError("zbox needs low <= high everywhere; check the order of the input range")
    bottom, top = Bound.of(low), Bound.of(high)
    return TermRule(
        label("zbox", low=bottom, high=top, epsilon=epsilon),
        (Group((Term(), Term(bottom, positive, sign=-1), Term(top, negative, sign=-1))),),
        epsilon=epsilon,
        claims=frozenset({"nonnegative"}),
    )


@rule("zplus_shifted")
def zplus_shifted(low: npt.ArrayLike = 0.0, epsilon: float = 1e-6) -> TermRule:
    """R_i = sum_j (x_i - l_i) w_ij+ / (its sum over i) r_j, for x >= l.

    Derived as Montavon et al. 2017, section 4, with the root searched along (x_i - l_i) 1[w_ij > 0].
    """
    bound = Bound.of(low)
    return TermRule(
        label("zplus_shifted", low=bound, epsilon=epsilon),
        (Group((Term(identity, positive, zero), Term(bound, positive, sign=-1))),),
        epsilon=epsilon,
        claims=frozenset({"nonnegative"}),
    )


@rule("zminus_shifted")
def zminus_shifted(high: npt.ArrayLike = 0.0, epsilon: float = 1e-6) -> TermRule:
    """R_i = sum_j (x_i - h_i) w_ij- / (its sum over i) r_j, for x <= h: the mirror of zplus_shifted."""
    bound = Bound.of(high)
    return TermRule(
        label("zminus_shifted", high=bound, epsilon=epsilon),
        (Group((Term(identity, negative, zero), Term(bound, negative, sign=-1))),),
        epsilon=epsilon,
        claims=frozenset({"nonnegative"}),
    )
