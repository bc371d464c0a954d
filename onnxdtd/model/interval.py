"""Intervals and their arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

INF = math.inf


@dataclass(frozen=True, slots=True)
class Domain:
    """The interval in which a value lies; infinite ends print open: `[0, 6]`, `[0, inf)`, `(-inf, inf)`."""

    low: float = -INF
    high: float = INF

    @property
    def nonnegative(self) -> bool:
        """Whether no value is below zero."""
        return self.low >= 0

    @property
    def nonpositive(self) -> bool:
        """Whether no value is above zero."""
        return self.high <= 0

    @property
    def bounded(self) -> bool:
        """Whether both ends are finite."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def __str__(self) -> str:
        left, right = "(["[math.isfinite(self.low)], ")]"[math.isfinite(self.high)]
        return f"{left}{self.low:.4g}, {self.high:.4g}{right}"

    def __or__(self, other: Domain) -> Domain:
        """The least interval that holds both."""
        return Domain(min(self.low, other.low), max(self.high, other.high))

    def __add__(self, other: Domain) -> Domain:
        return Domain(self.low + other.low, self.high + other.high)

    def __neg__(self) -> Domain:
        return Domain(-self.high, -self.low)

    def __mul__(self, other: Domain) -> Domain:
        ends = [_times(a, b) for a in (self.low, self.high) for b in (other.low, other.high)]
        return Domain(min(ends), max(ends))

    def reciprocal(self) -> Domain:
        """1 / x; unbounded if zero lies inside."""
        if self.nonnegative:
            return Domain(1 / self.high if self.high else INF, 1 / self.low if self.low else INF)
        return -(-self).reciprocal() if self.nonpositive else ANY

    def through(self, f: Callable[[Any], Any], *turns: float) -> Domain:
        """The range of f, monotone but for turning points: its values at the ends and at the turns inside."""
        found = [float(f(x)) for x in (self.low, self.high, *turns) if self.low <= x <= self.high]
        return ANY if any(map(math.isnan, found)) else Domain(min(found), max(found))

    def outward(self, digits: int) -> Domain:
        """Ends that a float of so many binary digits cannot hold move out by 4 units in its last place: what
        the rounding of a kernel may overshoot."""
        return Domain(_moved(self.low, -1, digits), _moved(self.high, 1, digits))


ANY = Domain()
ZERO = Domain(0, 0)
UNIT = Domain(0, 1)
SIGNED_UNIT = Domain(-1, 1)
POSITIVE = Domain(0, INF)
NEGATIVE = Domain(-INF, 0)


def _times(a: float, b: float) -> float:
    return a * b if a and b else 0.0  # an infinite end is a limit: zero times it is zero


def _moved(end: float, sign: int, digits: int) -> float:
    if not math.isfinite(end) or math.frexp(end)[0] * 2.0**digits % 1 == 0:
        return end
    return end + sign * 8 * abs(end) * 2.0**-digits
