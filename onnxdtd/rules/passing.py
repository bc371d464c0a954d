"""Rules that hand relevance on as it is, or as the gradient does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxdtd.entries import OpEntry
from onnxdtd.linear import ROUNDING, LinearMap, Site
from onnxdtd.primitives import absolute, less, quotient, relu, stabilised, where
from onnxdtd.registry import rule
from onnxdtd.rules.rule import Facts, Rule
from onnxdtd.rules.terms import Bias, label

EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class Passing(Rule):
    """R = the adjoint with unit weights of r, less what the op's constant takes of it.

    bias: `redistribute` gives the constant nothing; `absorb` gives it its share of the value y = f(x) - f(0) + f(0),
    as every rule of shares does.
    """

    bias: Bias = "redistribute"
    product: bool = False
    passes: bool = True
    differentiates: bool = False
    products: int = 0
    derived: int = 0
    accounts: bool = True

    def __str__(self) -> str:
        return label("pass", defaults={"bias": "redistribute"}, bias=self.bias)

    @property
    def claims(self) -> frozenset[str]:
        """A constant that takes a share may take more than all."""
        return frozenset({"conserves", "nonnegative"} if self.bias == "redistribute" else ())

    def serves(self, op: OpEntry) -> bool:
        """Ops with one input per output: there is nothing to share."""
        return op.kind in ("route", "select", "elementwise") or op.family == "scale"

    def prune(self, facts: Facts) -> Passing:
        """Nothing to leave out."""
        return self

    def __call__(self, site: Site, r: Any) -> tuple[Any, ...]:
        """One relevance per data input."""
        shift = site.shift
        if self.bias == "absorb" and shift is not None:
            # What overflows carries nothing: no finite logit depends on it.
            y = where(_finite(site.output), site.output, shift)
            q = r / stabilised(y, epsilon=EPSILON)
            site.lost("bias", q, lambda: shift, 1.0)
            site.lost("epsilon", q, lambda: np.copysign(np.asarray(EPSILON, y.dtype), y), 1.0)
            r = (y - shift) * q
        if site.rounding is not None:
            site.lost(ROUNDING, r, site.rounding, 1.0)
        if site.fills:
            site.lost("border", r, site.filled, 1.0)
        return tuple(linear.adjoint(None, r) for linear in site.maps)

    def carries(self, site: Site) -> bool:
        """Where values are moved, multiplied, shifted by a constant that takes its share, or bent by a curve through
        zero."""
        if site.at_zero is not None:
            return site.at_zero == 0
        return self.bias == "absorb" or not site.has_bias or _moves(site)

    def through(self, site: Site, q: Any) -> tuple[Any, ...]:
        """R / x = q y / x: the ratio moves with its value, or is multiplied by the secant."""
        if self.bias == "absorb" and site.at_zero is None and site.has_bias:
            zero = np.zeros((), site.output.dtype)
            site.lost("bias", q, lambda: where(_finite(site.output), site.bias, zero), 1.0)
        elif site.fills:
            y = site.output
            site.lost("border", q, lambda: site.filled() * where(_finite(y), y, 0.0), 1.0)
        if site.at_zero is None or site.straight:
            return tuple(linear.adjoint(linear.weights, q) for linear in site.maps)
        return (site.maps[0].adjoint(quotient(site.output, site.inputs[0]), q),)


@dataclass(frozen=True, slots=True)
class Gradient(Rule):
    """R = the adjoint of the Jacobian at the point.

    clamps: r to r >= 0 first, at activations; masks: there by the Jacobian (else by unit weights). switches: at a
    selection the first of tied winners takes all (else they share equally).
    """

    label: str = "gradient"
    clamps: bool = False
    masks: bool = True
    switches: bool = False
    claims: frozenset[str] = frozenset()
    product: bool = False
    passes: bool = False
    differentiates: bool = True
    products: int = 1
    derived: int = 0
    accounts: bool = False

    def __str__(self) -> str:
        return self.label

    def serves(self, op: OpEntry) -> bool:
        """Every op that is a linear map at the point; the clamping kinds mean activations only."""
        return op.kind == "elementwise" if self.clamps else True

    def prune(self, facts: Facts) -> Gradient:
        """Nothing to leave out."""
        return self

    def __call__(self, site: Site, r: Any) -> tuple[Any, ...]:
        """One relevance per data input."""
        r = relu(r) if self.clamps else r
        return tuple(m.adjoint(m.weights if self.masks else None, r) for m in self._maps(site))

    def _maps(self, site: Site) -> tuple[LinearMap, ...]:
        return (self.switches and site.switches) or site.jacobian or site.maps


def _finite(y: Any) -> Any:
    return less(absolute(y), np.asarray(np.inf, y.dtype))


def _moves(site: Site) -> bool:
    return all(linear.structure is None for linear in site.maps)


@rule("pass")
def passing(bias: Bias = "redistribute") -> Passing:
    """R = r: each value's relevance stays with it (activations, moves, copies, selections).

    absorb: R = r (f(x) - f(0)) / f(x), where the op has a constant f(0): a shift, the 1/2 of a Sigmoid.
    """
    return Passing(bias)


@rule("gradient")
def gradient() -> Gradient:
    """R_i = sum_j dz_j/dx_i r_j: the gradient, by the Jacobian at the point."""
    return Gradient()


@rule("switches")
def switches() -> Gradient:
    """The gradient, where the first of a max pool's tied winners takes all. Source: Zeiler and Fergus 2014."""
    return Gradient("switches", switches=True)


@rule("guided_backprop")
def guided_backprop() -> Gradient:
    """The gradient with r clamped to r >= 0 at each activation. Source: Springenberg et al. 2015."""
    return Gradient("guided_backprop", clamps=True)


@rule("deconvnet")
def deconvnet() -> Gradient:
    """r clamped to r >= 0 at each activation, whose own mask is left out. Source: Zeiler and Fergus 2014."""
    return Gradient("deconvnet", clamps=True, masks=False)
