"""What a table makes of the kinds of product, so that the kernel needs few convolutions.

Each product x w either excites (x+ w+, x- w-) or inhibits (x+ w-, x- w+). With their sums P and N, an op computes

    z = P + N + b

and a group whose maps are multiples of u+ and u- computes  e P + i N + k b+ + l b-.  Two such sums give a third
without another convolution: N = z - b - P. And where it is known which kinds a group holds, so is its sign.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from onnxdtd.rules.maps import Boosted, Bound, identity, negative, ones, positive, zero

Map = Callable[[Any], Any]
Entries = tuple[tuple[float, Map], ...]


@lru_cache
def slopes(change: Map) -> tuple[float, float] | None:
    """(a, b) of a map u -> a u+ + b u-; None of any other map."""
    if change in (identity, positive, negative, zero) or isinstance(change, Boosted):
        above, below = change(np.array([1.0, -1.0]))
        return float(above), float(-below)
    return None


@dataclass(frozen=True, slots=True)
class Kinds:
    """The sum e P + i N + k b+ + l b-."""

    e: float
    i: float
    k: float
    l: float

    def sign(self, served: int = 0) -> int:
        """Its sign, 0 if unknown. served: the sign of z at the outputs where it is wanted, 0 for any.

        e P + i N + k b+ + l b- = i z + (e - i) P + (k - i) b+ + (l - i) b-, and likewise with e and N.
        """
        plain = 0.0 if served <= 0 else self.i
        if 0 <= plain == self.i <= min(self.e, self.k) and self.l <= plain:
            return 1
        plain = 0.0 if served >= 0 else self.e
        if 0 <= plain == self.e <= min(self.i, self.l) and self.k <= plain:
            return -1
        return 0

    def minus(self, other: Kinds, factor: float) -> Kinds:
        """This sum less a multiple of another."""
        return Kinds(
            self.e - factor * other.e,
            self.i - factor * other.i,
            self.k - factor * other.k,
            self.l - factor * other.l,
        )

    def out_of(self, bases: Sequence[Kinds]) -> tuple[float, ...] | None:
        """Factors with which the P and N of one or two known sums make those of this one."""
        if not bases:
            return None
        first = bases[0]
        if self.e * first.i == self.i * first.e:
            return (self.e / first.e,)
        return None if len(bases) < 2 else _factors(self, first, bases[1])


@lru_cache
def _factors(kind: Kinds, one: Kinds, other: Kinds) -> tuple[float, ...] | None:
    """Those of two sums, None where they are multiples of each other."""
    matrix = np.array([[one.e, other.e], [one.i, other.i]])
    if np.linalg.det(matrix) == 0:
        return None
    return tuple(float(f) for f in np.linalg.solve(matrix, [kind.e, kind.i]))


PLAIN = Kinds(1.0, 1.0, 1.0, 1.0)


def kinds(terms: Sequence[Any], *, nonnegative: bool, absorbs: bool) -> Kinds | None:
    """What terms with maps of that sort compute; None where they single out products by more than their kind.

    nonnegative: x >= 0, so x- w- and x- w+ are zero. absorbs: the bias column counts.
    """
    e = i = other_i = other_e = k = l = 0.0
    for term in terms:
        x, w, b = slopes(term.x), slopes(term.w), slopes(term.b)
        if x is None or w is None or b is None:
            return None
        e, i = e + term.sign * x[0] * w[0], i + term.sign * x[0] * w[1]
        other_i, other_e = other_i + term.sign * x[1] * w[0], other_e + term.sign * x[1] * w[1]
        k, l = k + term.sign * absorbs * b[0], l + term.sign * absorbs * b[1]
    if not nonnegative and (e, i) != (other_e, other_i):
        return None
    return Kinds(e, i, k, l)


def fixed(change: Map) -> bool:
    """Whether a map of x looks at its shape only."""
    return change is ones or isinstance(change, Bound)


def by_weights(terms: Sequence[Any], coefficient: float = 1.0) -> list[tuple[Map, float, Entries]]:
    """For each map of w one adjoint, at most two where all weights are multiples of w+ and w-: with the maps of x
    that stand beside it, each with its factor, and a factor before all of them, so that adjoints that meet the same
    x can be added up first."""
    by_map: dict[Map, list[tuple[float, Map]]] = {}
    for term in terms:
        if not (isinstance(term.x, Bound) and not term.x.values.any()):
            by_map.setdefault(term.w, []).append((term.sign * coefficient, term.x))
    if len(by_map) > 2 and None not in (parts := [slopes(change) for change in by_map]):
        halves: dict[Map, list[tuple[float, Map]]] = {positive: [], negative: []}
        for pair, entries in zip(parts, by_map.values(), strict=True):
            for half, slope in zip(halves, pair or (), strict=True):
                halves[half] += [(slope * factor, change) for factor, change in entries if slope]
        by_map = {half: entries for half, entries in halves.items() if entries}
    return [
        (change, first, tuple((factor / first, x) for factor, x in entries))
        for change, entries in by_map.items()
        for first in [entries[0][0]]
    ]


def weighted(entries: Entries, x: Any) -> Any:
    """The sum of factor * x': an array, or a number where it is the same everywhere."""
    total: Any = None
    for factor, change in entries:
        if change is ones:
            part: Any = 1.0
        elif isinstance(change, Bound):
            part = change.values.astype(x.dtype)
        else:
            part = change(x)
        total = plus(total, times(part, abs(factor)), 1 if factor > 0 else -1)
    return total


def product_of(backs: Mapping[Entries, Any], x: Any) -> Any:
    """The sum of x' * back. backs: by the maps x' that they stand beside."""
    total: Any = None
    for entries, back in backs.items():
        total = plus(total, times(back, weighted(entries, x)))
    return 0.0 * x if total is None else total


def factor_of(backs: Mapping[Entries, Any], x: Any) -> Any:
    """The same over x, where each x' is x itself."""
    total: Any = None
    for entries, back in backs.items():
        total = plus(total, times(back, sum(factor for factor, _ in entries)))
    return 0.0 * x if total is None else total


def plus(total: Any, part: Any, sign: int = 1) -> Any:
    """total + sign * part; nothing is added to None."""
    if total is None:
        return part if sign > 0 else -part
    return total + part if sign > 0 else total - part


def times(x: Any, factor: Any) -> Any:
    """factor * x, x itself where the factor is the number 1."""
    return x if isinstance(factor, float) and factor == 1 else factor * x


def is_zero(weights: Any) -> bool:
    """Whether all weights are one number, zero: the negative part of a skip connection's."""
    return isinstance(weights, (np.ndarray, np.generic)) and weights.ndim == 0 and not weights
