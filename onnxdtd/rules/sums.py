"""The denominators of a table rule at a site, each made from what is there already where that is exact enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from onnxdtd.linear import Site
from onnxdtd.primitives import absolute, at_hand, mean_size, near_zero, relu, stabilised
from onnxdtd.rules.algebra import PLAIN, Kinds, fixed, is_zero, kinds, plus
from onnxdtd.rules.maps import Bound, negative, positive
from onnxdtd.rules.rule import Facts


class Denominator(NamedTuple):
    """value: the stabilised sum. sign: its sign, where it is known. dead: where the sum is zero; step: the size of
    what the stabiliser added to it; both made on demand."""

    value: Any
    sign: int
    dead: Callable[[], Any]
    step: Callable[[], Any]


@dataclass(slots=True)
class Sums:
    """The sums of one site, for a rule's groups one after the other.

    absorbs: the bias column counts. epsilon, relative: the stabiliser. bases: sums that further ones can be made
    of, what they hold first: z, and those that took a convolution.
    """

    site: Site
    facts: Facts
    absorbs: bool
    epsilon: float
    relative: bool
    bases: list[tuple[Kinds, float, Any]] = field(default_factory=list)

    def denominator(self, terms: Sequence[Any], served: int) -> Denominator:
        """The stabilised sum of the terms. served: the sign of z where it is wanted, 0 for everywhere."""
        site = self.site
        steady = [term for term in terms if fixed(term.x)]
        moving = [term for term in terms if not fixed(term.x)]
        absorbs = self.absorbs or not site.has_bias
        kind = kinds(moving, nonnegative=self.facts.inputs_nonnegative, absorbs=absorbs) if moving else None
        sign = 0 if kind is None or steady else kind.sign(1 if self._sealed else served)
        z, offset, made = self._sum(moving, kind, sign if served else 0)
        for term in steady:
            if isinstance(term.x, Bound) and not term.x.values.any():
                continue
            for i in range(len(site.maps)):
                offset = plus(offset, self._steady(i, term), term.sign)
            if self.absorbs and site.has_bias:
                offset = plus(offset, term.b(site.bias), term.sign)
        if z is None:
            z, offset = offset, None
        spare = made and not self.relative and _whole(z, site)
        step = self.epsilon
        value = stabilised(z, offset, epsilon=step, relative=self.relative, sign=sign, spare=spare)
        if kind is not None and made and not self.relative and (sign or not step):
            self.bases.append((kind, sign * step, value))
        if self.relative:
            plain = partial(plus, offset, z)
            return Denominator(value, sign, lambda: near_zero(plain()), lambda: mean_size(plain()) * step)
        floor = value.dtype.type(max(step, np.finfo(value.dtype).tiny))
        return Denominator(value, sign, partial(_within, value, floor, sign), lambda: step)

    @property
    def _sealed(self) -> bool:
        """Whether outputs <= 0 may be taken for 0, since nothing arrives there: cheap for a traced graph only. They
        do count in the mean |z| of a relative stabiliser."""
        return self.facts.vanishes_below_zero and not at_hand(self.site.output) and not self.relative

    def _sum(self, terms: list[Any], kind: Kinds | None, trusted: int) -> tuple[Any, Any, bool]:
        """(value, offset, whether the value is new): their sum is that of the terms.

        trusted: nonzero where no sum of the bases can lose its digits.
        """
        site = self.site
        if not terms:
            return None, None, False
        output = relu(site.output) if self._sealed else site.output
        bases = [(PLAIN, 0.0, output), *(self.bases if trusted else [])]
        factors = None if kind is None else kind.out_of([sort for sort, _, _ in bases])
        if kind is None or factors is None:
            return self._applied(terms), self._bias(terms), True
        rest, constant = kind, 0.0
        for factor, (sort, step, _) in zip(factors, bases, strict=False):
            rest, constant = rest.minus(sort, factor), constant - factor * step
        if len(factors) > 1 and site.has_bias and (rest.k or rest.l):
            # A bias that is taken out again may be far larger than what is left.
            return self._applied(terms), self._bias(terms), True
        value: Any = None
        for factor, (_, _, part) in zip(factors, bases, strict=False):
            value = plus(value, part if abs(factor) == 1 else part * abs(factor), 1 if factor > 0 else -1)
        return value, self._column(rest, constant), False

    def _applied(self, terms: list[Any]) -> Any:
        total: Any = None
        for term in terms:
            for i, linear in enumerate(self.site.maps):
                weights = self.site.derive(i, term.w)
                if not is_zero(weights):
                    part = linear.apply(weights, term.x(self.site.inputs[i]))
                    total = plus(total, part, term.sign)
        return 0.0 * self.site.output if total is None else total

    def _bias(self, terms: list[Any]) -> Any:
        offset: Any = None
        if self.absorbs and self.site.has_bias:
            for term in terms:
                if np.any(term.b(np.array([1.0, -1.0]))):
                    offset = plus(offset, term.b(self.site.bias), term.sign)
        return offset

    def _column(self, rest: Kinds, constant: float) -> Any:
        """k b+ + l b- + constant; None for zero."""
        bias = self.site.bias if rest.k or rest.l else None
        offset: Any = None
        if bias is not None and rest.k == rest.l != 0:
            offset = bias * rest.k
        elif bias is not None:
            for factor, change in ((rest.k, positive), (rest.l, negative)):
                offset = plus(offset, change(bias) * factor) if factor else offset
        if not constant:
            return offset
        step = np.asarray(constant, self.site.output.dtype)
        return step if offset is None else offset + step

    def _steady(self, which: int, term: Any) -> Any:
        """A(w') x' where x' does not depend on x: made once for a shape, for all samples if x' is alike for them."""
        site, x = self.site, self.site.inputs[which]
        linear, weights = site.maps[which], site.derive(which, term.w)
        alike = x.ndim > 2 and x.shape[0] == site.output.shape[0] and at_hand(weights)
        shape = (1, *x.shape[1:]) if alike else x.shape
        if not linear.constant or not all(isinstance(n, int) for n in shape):
            return linear.apply(weights, term.x(x))
        key = (site.name, which, term.w, term.x, shape)
        if key not in site.kept:
            site.kept[key] = linear.apply(weights, term.x(np.broadcast_to(np.zeros((), x.dtype), shape)))
        return site.kept[key]


def _within(value: Any, floor: Any, sign: int) -> Any:
    """Where |value| is at most the floor; of values of one sign, the least tells whether there are such."""
    if sign and value.size and (value.min() > floor if sign > 0 else value.max() < -floor):
        return False
    return absolute(value) <= floor


def _whole(z: Any, site: Site) -> bool:
    """Whether z is an array of its own, as large as the output: then it may be overwritten."""
    if not isinstance(z, np.ndarray) or not isinstance(site.output, np.ndarray):
        return False
    return z.base is None and z.shape == site.output.shape and all(z is not x for x in site.inputs)
