"""What a table does not hand on, told to whoever keeps the books: the bias's share, and r - q z."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np

from onnxdtd.linear import Site
from onnxdtd.primitives import near_zero
from onnxdtd.rules.sums import Denominator


def claim_bias(site: Site, q: Any, change: Callable[[Any], Any], factor: float) -> None:
    """q times a bias column."""
    if site.has_bias:
        site.lost("bias", q, partial(_column, change, site), factor)


def _column(change: Callable[[Any], Any], site: Site) -> Any:
    return change(site.bias)


def claim_sum(
    site: Site,
    r: Any,
    q: Any,
    served: Any,
    d: Denominator,
    factor: float,
    *,
    epsilon: float,
    step: float,
    spreads: bool,
) -> None:
    """r - q z of one group: all of r where z is zero (dead), else what the stabiliser takes.

    epsilon: of the rule, 0 for none; step: the size that it has everywhere, 0 where it is relative. spreads: what is
    dead is shared by the weights, so that only that is lost which a bias keeps alive.
    """

    @lru_cache(maxsize=1)
    def dead() -> Any:
        gone = d.dead()
        if gone is not False and served is not None:
            gone = gone & served
        return gone if np.any(gone) else False

    def lost() -> Any:
        gone = dead()
        return gone & ~near_zero(site.output) if spreads and gone is not False else gone

    def alive() -> Any:
        gone = dead()
        return True if gone is False else ~gone

    def damped() -> Any:
        gone, size = dead(), np.copysign(d.step(), d.value)
        return size if gone is False else np.where(gone, np.zeros((), size.dtype), size)

    site.lost("dead", r, lost, factor)
    if step and d.sign:
        site.lost("epsilon", q, alive, factor * d.sign * step)
    elif epsilon:
        site.lost("epsilon", q, damped, factor)
