"""Root functions of the recursive Taylor method: where layer l's relevance is expanded, as a function of a_l.

    root_j(a) = a - t_j v_j(a),   t_j = z_j / (w_j . v_j),   z_j = w_j . a + b_j

A rule of Deep Taylor Decomposition is its search direction v (Montavon et al. 2017, section 4; the gamma rule's
as Sixt and Landgraf 2022 read it). The direction depends on a, so the root moves with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.errors import UsageError
from onnxdtd.rules import RULES
from onnxdtd.theory.chain import Layer
from onnxdtd.theory.tape import Variable, variable
from onnxdtd.types import Array

RootFunction = Callable[[Variable, Layer], Variable]
"""(a (N, inputs), layer) -> one root for all upper neurons (N, inputs), or one for each (N, outputs, inputs)."""

SEARCHED = tuple(sorted(name for name, entry in RULES.items() if entry.direction is not None))
"""Those that declare a search direction."""

NUDGE = 2.0**-30
"""A rule's root lies on its neuron's kink, where the derivative is one-sided: it is approached from a up to this
share of the way, so that rounding does not choose the side."""

NEAR = 2.0**-60
"""A power of two keeps every sign of W a, bit for bit, and a - NEAR a is a in float64."""


LARGEST = 1 << 24
"""Numbers in the roots of one layer, at all points where the layers below ask for them."""


def direction(
    rule: str, a: Array, w: Array, low: npt.ArrayLike = 0.0, high: npt.ArrayLike = 1.0, gamma: float = 0.25
) -> tuple[Array, Array]:
    """The search direction v_j(a) = share a + offset of every neuron, both (..., outputs, inputs).

    a (..., inputs), w (..., outputs, inputs). low, high: the domain, of zbox; gamma: of gamma. See
    `rules.directions`. UsageError for any other rule.
    """
    if rule not in SEARCHED:
        raise UsageError(f"no rule {rule!r} has a root function; the rules are {', '.join(SEARCHED)}")
    search: Any = RULES[rule].direction
    share, offset = search(a, w, low, high, gamma)
    return share, offset


@dataclass(frozen=True)
class RuleRoot:
    """One root for each neuron, as a rule searches it. A neuron that puts out 0, or whose direction meets no root,
    keeps root = a: its unresolved part is then its whole relevance.

    low, high: the domain, of zbox; gamma: of gamma.
    """

    rule: str
    low: Any = 0.0
    high: Any = 1.0
    gamma: float = 0.25

    def __call__(self, a: Variable, layer: Layer) -> Variable:
        """a (N, inputs) -> (N, outputs, inputs)."""
        count, inputs = a.shape
        check_size((count, layer.outputs, inputs), layer)
        w = layer.weights
        share, offset = direction(self.rule, a.value, w, self.low, self.high, self.gamma)
        spread = a.reshape(count, 1, inputs)
        v = spread * share + offset
        z, slope = a @ w.T + layer.bias, (v * w).sum(2)
        solvable = (layer.bend(z).value != 0) & (slope.value != 0)
        t = z.where(solvable) / (slope + ~solvable) * (1.0 - NUDGE)
        roots: Variable = spread - t.reshape(*z.shape, 1) * v
        return roots


@dataclass(frozen=True)
class Constant:
    """The same root wherever a is: (inputs,) for all upper neurons, or (outputs, inputs) one for each."""

    root: Array

    def __call__(self, a: Variable, layer: Layer) -> Variable:
        """(N, inputs) or (N, outputs, inputs)."""
        return variable(np.broadcast_to(self.root, (len(a.value), *self.root.shape)))


@dataclass(frozen=True)
class Own:
    """A function of a alone, such as `lambda a: a @ jacobian.T`, in the arithmetic of `tape.Variable`."""

    function: Callable[[Variable], Any]

    def __call__(self, a: Variable, layer: Layer) -> Variable:
        """Whatever the function returns; an array is a constant."""
        return variable(self.function(a))


def check_size(shape: tuple[int, ...], layer: Layer) -> None:
    """UsageError where the roots of a layer would be too many to hold."""
    if math.prod(shape) > LARGEST:
        raise UsageError(
            f"layer {layer.name} would need roots of {math.prod(shape)} numbers, beyond {LARGEST}; give the layers "
            "below one root for all neurons, or take a smaller model"
        )


def origin(a: Variable) -> Variable:
    """Root zero, approached from a: ReLU networks without bias have a kink at 0, and their region of a reaches
    up to it. Its own change with a, 2^-60, is below float64's precision."""
    return a * NEAR
