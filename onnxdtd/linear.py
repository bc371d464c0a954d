"""The two types between ops and rules, and the glossary of their letters.

    x  input (activation) of a linear map        z  pre-activation, z_j = sum_i x_i w_ij + b_j
    w  weights                                   r  relevance: r_j arriving, R_i leaving
    b  bias                                      q  share, r_j / z_j (stabilised)

An op says which linear map it is at the point of the forward pass: a `Site`, with one `LinearMap` per data input.
A rule says how relevance is shared through any site. Neither knows the other.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from onnxdtd.primitives import Array

Bilinear = Callable[[Any, Any], Any]


def ignore(cause: str, amount: Callable[[], Array]) -> None:
    """The observer of losses that observes nothing."""


@dataclass(frozen=True, slots=True)
class LinearMap:
    """One data input's share of an op, at the point.

    structure: the structural weights; or None when opaque (a selection, a move), for rules that leave weights
    as they are; or a function that makes them on demand (a Jacobian at the point). apply(w, x): linear in both,
    without bias. adjoint(w, r): <apply(w, x), r> = <x, adjoint(w, r)>, shaped like x; where each input feeds
    at most one place per output, w = None stands for unit weights. constant: weights stem from the model, not
    from activations, so what is derived from them can be kept between calls.
    """

    structure: Any
    apply: Bilinear
    adjoint: Bilinear
    constant: bool = False

    @property
    def weights(self) -> Any:
        """The weights, None when opaque."""
        return self.structure() if callable(self.structure) else self.structure


@dataclass(frozen=True, slots=True)
class Site:
    """An op at the point of the forward pass: output = sum over data inputs of apply(weights, x) + bias.

    name: of the node, and of the output if it is not the first one. inputs: one x per map. bias: broadcastable to the
    output, or None. output: z as the forward pass computed it. jacobian: the maps of the derivative, where rules are
    to see simpler ones (a norm with its statistics held fixed). spread_dead: where z = 0 because every x in reach is
    zero, relevance is shared by the weights instead of being lost (average pooling). kept: where derived weights are
    kept, by (node, map, weight map). lost: told of relevance that reaches no input, with its cause; calling it is
    free when nobody listens, since the amount is a function. sums: where a rule's sums are kept, which only depend on
    the point, by (node, rule); None where no further walk will ask for them.
    """

    name: str
    maps: tuple[LinearMap, ...]
    inputs: tuple[Any, ...]
    bias: Any
    output: Any
    jacobian: tuple[LinearMap, ...] = ()
    spread_dead: bool = False
    kept: MutableMapping[Any, Any] = field(default_factory=dict)
    lost: Callable[[str, Callable[[], Array]], None] = ignore
    sums: MutableMapping[Any, Any] | None = None

    def derive(self, which: int, change: Callable[[Any], Any]) -> Any:
        """change(weights) of one map, computed once if the weights are constant."""
        linear = self.maps[which]
        if not linear.constant:
            return change(linear.weights)
        key = (self.name, which, change)
        if key not in self.kept:
            self.kept[key] = change(linear.weights)
        return self.kept[key]
