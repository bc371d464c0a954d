"""What ops declare their ranges with: a row says where the outputs lie if the inputs lie in their domains."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from onnxdtd.domains.interval import ANY, NONNEGATIVE, ZERO, At, Domain, Row


def within(domain: Domain) -> Row:
    """The row of an op whose outputs always lie in one interval."""
    return lambda at: domain


anywhere = within(ANY)
nonnegative = within(NONNEGATIVE)


def same(at: At) -> Domain:
    """Outputs are values of the first input, or means of them."""
    return at.x


def or_zero(at: At) -> Domain:
    """Outputs are values of the first input, or zero."""
    return at.x | ZERO


def hull(at: At) -> Domain:
    """Outputs are values of some input."""
    return functools.reduce(Domain.__or__, at.all)


def total(at: At) -> Domain:
    """Outputs are sums with one value of each input."""
    return functools.reduce(Domain.__add__, at.all)


def same_sign(at: At) -> Domain:
    """Outputs are sums of an unknown number of values of the first input."""
    return at.x * NONNEGATIVE


def nonnegative_if_x(at: At) -> Domain:
    """Outputs are products: not negative where the values are not."""
    return NONNEGATIVE if at.x.nonnegative else ANY


def curve(f: Callable[..., Any], *turns: float, **defaults: float) -> Row:
    """The row of y = f(x, attributes), monotone but for its turning points. defaults: of the attributes."""

    def row(at: At) -> Domain:
        parameters = {name: at.attribute(name, default) for name, default in defaults.items()}
        return at.x.through(lambda x: f(x, **parameters), *turns)

    return row
