"""What flows back through a value: relevance, or its ratio to the value, whichever the rules behind it handed on.

A rule that divides by the output just what another one has multiplied by it gains nothing: where both are of that
kind the ratio goes on as it is (no stabiliser, no division), and relevance is made of it where it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from onnxdtd.linear import Claim, Site
from onnxdtd.plan.step import Step
from onnxdtd.primitives import at_hand, cast_like, quotient, where


@dataclass(frozen=True)
class Flow:
    """At one value: relevance + value * ratio, either of which may be None, for nothing."""

    value: Any
    relevance: Any = None
    ratio: Any = None

    def __add__(self, other: Flow) -> Flow:
        """What two consumers of the value hand on."""
        value = other.value if self.value is None else self.value
        return Flow(value, _sum(self.relevance, other.relevance), _sum(self.ratio, other.ratio))

    @property
    def parts(self) -> dict[str, Any]:
        """Those that are there, by name."""
        both = {"relevance": self.relevance, "ratio": self.ratio}
        return {kind: part for kind, part in both.items() if part is not None}

    @cached_property
    def whole(self) -> Any:
        """The relevance."""
        if self.ratio is None:
            return self.relevance
        return _sum(self.relevance, _product(self.value, self.ratio))

    def masked(self, mask: Any, claim: Claim) -> Flow:
        """Where the mask lets it on; the rest is claimed as lost to it."""
        if mask is None:
            return self
        whole = self.whole
        claim("masked", whole, lambda: 1.0 - cast_like(mask, whole), 1.0)
        return replace(
            self, **{kind: where(mask, p, np.zeros((), p.dtype)) for kind, p in self.parts.items()}
        )


def begin(step: Step | None, value: Any, r: Any) -> Flow:
    """The flow where a walk starts with relevance that is proportional to the value. Divided by it at once, where the
    first rule would divide by it stabilised."""
    if step is not None and step.rule.divides:
        return Flow(value, ratio=quotient(r, value))
    return Flow(value, r)


def divided(steps: Sequence[Step]) -> frozenset[str]:
    """The values whose relevance the walk divides by them further down: what makes them has a rule that does, or
    hands relevance on to such a value."""
    values: set[str] = set()
    for step in steps:
        passed = step.rule.passes and not values.isdisjoint(step.node.inputs[slot] for slot in step.slots)
        if step.trail is None and (step.rule.divides or passed):
            values.update(filter(None, step.node.outputs))
    return frozenset(values)


def shares(step: Step, site: Site, flow: Flow, over: frozenset[str] = frozenset()) -> tuple[Flow, ...]:
    """The flow at each data input, by the step's rule. over: the values by which relevance is divided next."""
    rule, r, q = step.pruned, flow.relevance, flow.ratio
    # Of an integer relevance is no multiple, nor of a value that the site has another one for.
    divisible = site.of_values and all(np.dtype(x.dtype).kind == "f" for x in (site.output, *site.inputs))
    if not (divisible and rule.carries(site)):
        if q is not None and site.of_values and not at_hand(flow.value):
            flow = replace(flow, value=site.output)  # where a mask has added -inf, the site counts 0
        names = [step.node.inputs[slot] for slot in step.slots]
        if divisible and not over.isdisjoint(names) and rule.multiplies(site):
            made = zip(names, site.inputs, rule.factors(site, flow.whole), strict=True)
            return tuple(Flow(x, ratio=c) if name in over else Flow(x, x * c) for name, x, c in made)
        values = site.inputs if site.of_values else (None,) * len(site.inputs)
        return tuple(Flow(x, s) for x, s in zip(values, rule(site, flow.whole), strict=True))
    if rule.divides and r is not None and not site.spread_dead:
        q, r = _sum(rule.ratio(site, r), q), None
    nothing = (None,) * len(site.inputs)
    kept = nothing if r is None else rule(site, r)
    ratios = nothing if q is None else rule.through(site, q)
    return tuple(Flow(x, *parts) for x, *parts in zip(site.inputs, kept, ratios, strict=True))


def _sum(one: Any, other: Any) -> Any:
    return other if one is None else one if other is None else one + other


def _product(value: Any, ratio: Any) -> Any:
    """value * ratio, 0 where the ratio is, also of what is infinite: a masked score that no output depends on."""
    product = value * ratio
    if at_hand(product) and not np.isfinite(np.sum(product)):
        return np.where(ratio == 0, np.zeros((), product.dtype), product)
    return product
