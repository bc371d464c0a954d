"""What a sum's constant would take is credited to the token that stands at that place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from onnxdtd.entries import OpEntry
from onnxdtd.linear import Site
from onnxdtd.primitives import near_zero, quotient, reduce_sum
from onnxdtd.rules.rule import Facts, Rule


@dataclass(frozen=True, slots=True)
class Credited(Rule):
    """The rule, of a sum z = s + p of values s (..., T, D) and a position embedding p, whose relevance at each place
    is given to what else stands there.

        c_t = sum_d R_td(p)        R_td(s) += s_td^2 / sum_d' s_td'^2 c_t

    s is the sum of the data inputs, which share what it is credited as they share s: each has its part along it. So
    each token has the relevance of the pair of token and place, however many sums of constants and in which order. A
    place where s is zero keeps its own. axis: of the features, D. Source of the policy: Bakish et al. 2025, whose
    input space are pairs of tokens and positions.
    """

    rule: Rule
    axis: int = -1

    def __str__(self) -> str:
        return f"{self.rule}, positions to tokens"

    @property
    def claims(self) -> frozenset[str]:
        """What comes from the position may have another sign than what is shared."""
        return self.rule.claims - {"nonnegative"}

    @property
    def product(self) -> bool:
        """As the rule."""
        return self.rule.product

    @property
    def products(self) -> int:
        """An adjoint more."""
        return self.rule.products + 1

    @property
    def derived(self) -> int:
        """As the rule."""
        return self.rule.derived

    @property
    def accounts(self) -> bool:
        """As the rule."""
        return self.rule.accounts

    @property
    def divides(self) -> bool:
        """As the rule."""
        return self.rule.divides

    def serves(self, op: OpEntry) -> bool:
        """Sums that the rule serves."""
        return op.kind == "linear" and self.rule.serves(op)

    def prune(self, facts: Facts) -> Credited:
        """What is credited does not vanish where the output is not positive."""
        return replace(self, rule=self.rule.prune(replace(facts, vanishes_below_zero=False)))

    def carries(self, site: Site) -> bool:
        """As the rule."""
        return self.rule.carries(site)

    def ratio(self, site: Site, r: Any) -> Any:
        """As the rule."""
        return self.rule.ratio(site, r)

    def __call__(self, site: Site, r: Any) -> tuple[Any, ...]:
        """One relevance per data input."""
        shares, more = self._credited(site, lambda inner: self.rule(inner, r))
        return tuple(s + x * m for s, x, m in zip(shares, site.inputs, more, strict=True))

    def through(self, site: Site, q: Any) -> tuple[Any, ...]:
        """The rule's ratios, and those of what is credited."""
        ratios, more = self._credited(site, lambda inner: self.rule.through(inner, q))
        return tuple(ratio + m for ratio, m in zip(ratios, more, strict=True))

    def _credited(
        self, site: Site, share: Callable[[Site], tuple[Any, ...]]
    ) -> tuple[tuple[Any, ...], list[Any]]:
        """What the rule makes of the site, and the ratio of what is credited at each data input."""
        taken: list[Any] = []

        def listen(cause: str, flow: Any, part: Callable[[], Any], factor: float) -> None:
            if cause == "bias":
                taken.append(flow * part() * np.asarray(factor, flow.dtype))
            else:
                site.lost(cause, flow, part, factor)

        shares = share(replace(site, lost=listen))
        if not taken:
            return shares, [np.zeros((), x.dtype) for x in site.inputs]
        amount = sum(taken[1:], taken[0])
        s = site.output - site.bias
        squares = reduce_sum(s * s, axes=(self.axis % s.ndim,))
        # A vector of zeros has no direction to be credited along.
        site.lost("bias", amount, lambda: near_zero(squares), 1.0)
        q = s * quotient(reduce_sum(amount, axes=(self.axis % s.ndim,)), squares)
        return shares, [m.adjoint(m.weights, q) for m in site.maps]
