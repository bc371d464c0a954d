"""The main kind of rule: a table of terms, and the one kernel that serves every table.

For each group of terms

    z = sum over terms of sign * (A(w') x' + b')        q = coefficient * r / stabilise(z)
    R += sign * x' * A^T(w') q                            for each term

where x', w', b' are named maps of input, weights and bias. A rule of this kind is nothing but its table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from onnxdtd.entries import OpEntry
from onnxdtd.errors import UsageError
from onnxdtd.linear import Site
from onnxdtd.primitives import at_hand, beyond, cast_like, equal, near_zero, quotient, unless_zero, where
from onnxdtd.rules.algebra import Entries, by_weights, factor_of, is_zero, plus, product_of, times
from onnxdtd.rules.claims import claim_bias, claim_sum
from onnxdtd.rules.maps import identity, negative, ones, positive, zero
from onnxdtd.rules.rule import Facts, Rule
from onnxdtd.rules.sums import Denominator, Sums
from onnxdtd.rules.units import in_units

Map = Callable[[Any], Any]
Bias = Literal["absorb", "redistribute"]
SIGNS = {"any": 0, "positive": 1, "negative": -1}
LEAST = float(np.finfo(np.float32).tiny)
"""Of the numbers above 0, the least that single precision holds in full."""
DEFAULTS = {"epsilon": 1e-6, "relative": False, "bias": "absorb"}


@dataclass(frozen=True, slots=True)
class Term:
    """One product x' w' of a table; b' is its bias column. Maps are named functions, so tables can be compared,
    printed and pickled."""

    x: Map = identity
    w: Map = identity
    b: Map = zero
    sign: int = 1


@dataclass(frozen=True, slots=True)
class Group:
    """Terms that share one denominator. where: the sign of z at the outputs that the group serves."""

    terms: tuple[Term, ...]
    coefficient: float = 1.0
    where: Literal["any", "positive", "negative"] = "any"


@dataclass(frozen=True, slots=True)
class TermRule(Rule):
    """A rule given by its table.

    label: how it is printed. epsilon: the stabiliser, absolute or (relative) in units of each sample's mean |z|;
    0 is exact: a neuron without any contribution then loses its relevance, which is reported. bias: `absorb`
    keeps the bias column in the denominators, so the bias takes its share; `redistribute` leaves it out.
    claims: what holds by construction, checked by the tests: conserves, nonnegative. product: R = x * c, so
    relevance vanishes where the input does. facts: what `prune` was told. scale_free: weights and bias are taken in
    units of each neuron's largest |weight|, so that their products neither overflow nor vanish. chained: the table is
    z itself, and the stabiliser is for relevance that comes from other rules only: what comes as a ratio goes on as
    one, so that a chain of such rules divides once.
    """

    label: str
    groups: tuple[Group, ...]
    epsilon: float = 1e-6
    relative: bool = False
    bias: Bias = "absorb"
    claims: frozenset[str] = field(default_factory=frozenset)
    facts: Facts = field(default_factory=Facts)
    scale_free: bool = False
    passes: bool = False
    differentiates: bool = False
    chained: bool = False

    def __post_init__(self) -> None:
        if self.epsilon and not LEAST <= self.epsilon < math.inf:  # a smaller one would be 0 in a denominator
            raise UsageError(f"epsilon is 0, or a finite number from {LEAST:.2g} on, not {self.epsilon!r}")

    def __str__(self) -> str:
        return self.label

    @property
    def accounts(self) -> bool:
        """Of every table the losses are known."""
        return True

    @property
    def product(self) -> bool:
        """Whether every term vanishes with x."""
        return all(t.x in (identity, positive, negative) for g in self.groups for t in g.terms)

    @property
    def one_sided(self) -> bool:
        """Whether every term with weights of that sign is one of x+."""
        return all(t.x is positive or t.w is negative for g in self.groups for t in g.terms)

    @property
    def products(self) -> int:
        """An apply and an adjoint for each term; z itself was made by the forward pass."""
        plain = [g for g in self.groups if len(g.terms) == 1 and g.terms[0] == Term(b=g.terms[0].b)]
        return 2 * sum(len(group.terms) for group in self.groups) - len(plain)

    @property
    def derived(self) -> int:
        """One for each weight map that changes anything."""
        return len({term.w for group in self.groups for term in group.terms} - {identity})

    def serves(self, op: OpEntry) -> bool:
        """Tables that change weights need structural weights, which linear ops have."""
        return op.kind == "linear" or all(t.w is identity for g in self.groups for t in g.terms)

    def prune(self, facts: Facts) -> TermRule:
        """The same rule without terms that are zero by what is known of signs."""
        groups = list(self.groups)
        if facts.vanishes_below_zero:
            # Nothing arrives where z <= 0, so the outputs need not be told apart either.
            groups = [replace(g, where="any") for g in groups if g.where != "negative"]
        if facts.inputs_nonnegative:
            groups = [replace(g, terms=_for_nonnegative(g.terms)) for g in groups]
        return replace(self, groups=tuple(g for g in groups if g.terms), facts=facts)

    def __call__(self, site: Site, r: Any) -> tuple[Any, ...]:
        """Relevance of each data input, shaped like it."""
        shares = [product_of(backs, x) for backs, x in zip(self._backs(site, r), site.inputs, strict=True)]
        if site.spread_dead and self.product:
            shares = _spread(site, shares, r)
        return tuple(shares)

    def multiplies(self, site: Site) -> bool:
        """Where every term is one of x itself; not where relevance is spread beside them."""
        own = all(term.x is identity for group in self.groups for term in group.terms)
        return own and not site.spread_dead

    def factors(self, site: Site, r: Any) -> tuple[Any, ...]:
        """The sums of A^T(w') q."""
        return tuple(factor_of(backs, x) for backs, x in zip(self._backs(site, r), site.inputs, strict=True))

    def _backs(self, site: Site, r: Any) -> list[dict[Entries, Any]]:
        """For each data input the sums of A^T(w') q, by the maps x' that they are multiplied by."""
        site = in_units(site) if self.scale_free else site
        spreads = site.spread_dead and self.product
        gathered: list[dict[Entries, Any]] = [{} for _ in site.maps]
        exact = self.relative or not self.epsilon
        for group, (served, d) in zip(self.groups, self._sums(site), strict=True):
            q = quotient(r, d.value, served, exact=exact, sign=d.sign, floor=self.epsilon)
            for change, factor, entries in by_weights(group.terms, group.coefficient):
                for i, linear in enumerate(site.maps):
                    weights = site.derive(i, change)
                    if not is_zero(weights):
                        back = times(linear.adjoint(weights, q), abs(factor))
                        gathered[i][entries] = plus(gathered[i].get(entries), back, 1 if factor > 0 else -1)
            self._report_bias(group, site, q)
            self._report_sum(site, r, q, served, d, group.coefficient)
        if any(group.where != "any" for group in self.groups) and not spreads:
            # Groups by the sign of z leave out the outputs that are exactly zero.
            site.lost("dead", r, lambda: equal(site.output, 0.0), 1.0)
        return gathered

    @property
    def divides(self) -> bool:
        """Whether it is one of a chain."""
        return self.chained

    def carries(self, site: Site) -> bool:
        """Where the maps and the bias that counts make the output, once or so many times."""
        return self.chained and (self.bias == "absorb" or site.counts > 1 or not site.has_bias)

    def ratio(self, site: Site, r: Any) -> Any:
        """r / z, z stabilised; 0 where z is, since what is divided there would grow on its way down a chain."""
        (group,), ((served, d),) = self.groups, self._sums(site)
        q = quotient(r, d.value, served, exact=False, sign=d.sign, floor=self.epsilon)
        self._report_sum(site, r, q, served, d, group.coefficient)
        if not self.facts.vanishes_below_zero:  # then nothing arrives there
            q = unless_zero(q, site.output)
        return times(q, self._counts(site))

    def through(self, site: Site, q: Any) -> tuple[Any, ...]:
        """A^T(w) q: the ratio at each data input."""
        self._report_bias(self.groups[0], site, q)
        q = times(q, 1.0 / self._counts(site))
        return tuple(m.adjoint(site.derive(i, identity), q) for i, m in enumerate(site.maps))

    def _counts(self, site: Site) -> float:
        """How often the sum that shares are taken of is the output."""
        return float(site.counts) if self.bias == "redistribute" else 1.0

    def _sums(self, site: Site) -> Sequence[tuple[Any, Denominator]]:
        """For each group the outputs that it serves and the denominators, on which relevance has no influence."""
        kept = {} if site.sums is None else site.sums
        if (key := (site.name, self)) not in kept:
            sums = Sums(site, self.facts, self.bias == "absorb", self.epsilon, self.relative)
            kept[key] = []
            for group in self.groups:
                sign = SIGNS[group.where]
                served = beyond(site.output, sign=sign) if sign else None
                kept[key].append((served, sums.denominator(group.terms, sign)))
        pairs: Sequence[tuple[Any, Denominator]] = kept[key]
        return pairs

    def _report_bias(self, group: Group, site: Site, q: Any) -> None:
        if self.bias == "absorb":
            for term in group.terms:
                if term.b is not zero:
                    claim_bias(site, q, term.b, term.sign * group.coefficient)

    def _report_sum(self, site: Site, r: Any, q: Any, served: Any, d: Denominator, factor: float) -> None:
        step, spreads = 0.0 if self.relative else self.epsilon, site.spread_dead and self.product
        claim_sum(site, r, q, served, d, factor, epsilon=self.epsilon, step=step, spreads=spreads)


def label(name: str, *, defaults: Mapping[str, Any] = DEFAULTS, **parameters: Any) -> str:
    """How a rule is printed: its name and the parameters that differ from the usual, `gamma(gamma=0.25)`."""
    unusual = {k: v for k, v in parameters.items() if k not in defaults or defaults[k] != v}
    words = [f"{k}={v:g}" if isinstance(v, float) else f"{k}={v}" for k, v in unusual.items()]
    return f"{name}({', '.join(words)})" if words else name


def _spread(site: Site, shares: list[Any], r: Any) -> list[Any]:
    """Share by the weights where no input in reach is active, so that pooling loses nothing there."""
    dead = near_zero(site.output)
    if at_hand(dead) and not dead.any():
        return shares
    reach: Any = None
    for i, linear in enumerate(site.maps):
        part = linear.apply(linear.weights, ones(site.inputs[i]))
        reach = part if reach is None else reach + part
    q = quotient(r, reach, dead)
    # Where nothing is in reach, the window lies in the padding.
    site.lost("border", r, lambda: where(dead, cast_like(near_zero(reach), r), np.zeros((), r.dtype)), 1.0)
    return [s + m.adjoint(m.weights, q) for s, m in zip(shares, site.maps, strict=True)]


def _for_nonnegative(terms: tuple[Term, ...]) -> tuple[Term, ...]:
    """x+ is x, and x- is zero."""
    kept = (t for t in terms if t.x is not negative)
    return tuple(replace(t, x=identity) if t.x is positive else t for t in kept)
