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

import numpy as np

from onnxdtd.primitives import expand_like

Bilinear = Callable[[Any, Any], Any]
Claim = Callable[[str, Any, Callable[[], Any], float], None]
"""Told (cause, flow, share, factor) of relevance that reaches no input: at each output element, flow * share() *
factor."""


ROUNDING = "rounding"
"""The cause of a claim that takes nothing: of what is handed on, how much is owed to rounding."""


def ignore(cause: str, flow: Any, share: Callable[[], Any], factor: float) -> None:
    """The observer of losses that observes nothing."""


@dataclass(frozen=True, slots=True)
class LinearMap:
    """One data input's share of an op, at the point.

    structure: the structural weights; or None when opaque (a selection, a move), for rules that leave weights
    as they are; or a function that makes them on demand (a Jacobian at the point). apply(w, x): linear in both,
    without bias. adjoint(w, r): <apply(w, x), r> = <x, adjoint(w, r)>, shaped like x; where each input feeds
    at most one place per output, w = None stands for unit weights. constant: weights stem from the model, not
    from activations, so what is derived from them can be kept between calls. largest(w): each
    neuron's largest |w|, shaped to divide w, and to divide the output; None where w does not tell neurons apart.
    """

    structure: Any
    apply: Bilinear
    adjoint: Bilinear
    constant: bool = False
    largest: Callable[[Any], tuple[Any, Any]] | None = None

    @property
    def weights(self) -> Any:
        """The weights, None when opaque."""
        return self.structure() if callable(self.structure) else self.structure


@dataclass(frozen=True, slots=True)
class Site:
    """An op at the point of the forward pass: output = sum over data inputs of apply(weights, x) + bias.

    name: of the node, and of the output if it is not the first one. inputs: one x per map. constant: the bias,
    broadcastable to the output, or a function that makes it on demand, or None. output: z as the forward pass
    computed it. jacobian: the maps of the derivative, where rules are to see simpler ones (a norm with its
    statistics held fixed). spread_dead: where z = 0 because every x in reach is zero, relevance is shared by the
    weights instead of being lost (average pooling). fills: in some places of the output stands padding or a
    constant, where no input does. kept: where derived weights are kept, by (node, map, weight map). lost: called with
    the relevance that reaches no input, see `Claim`; the call costs nothing when nobody listens: the share is a
    function. sums: where a rule's sums are kept, which only depend on the point, by (node, rule); None where no
    further walk will ask for them. at_zero: f(0) of a curve of one value, None of other ops. straight: each piece of
    that curve is a line through zero, so its slope is y / x. counts: how often the maps together make the output:
    each factor of a product makes the whole of it, and the bias takes off what is too much. of_values: inputs are the
    node's own (made finite), not stand-ins of which only the shape is theirs.
    switches: the maps of a selection in which the first of tied winners takes all. rounding: the share that rounding
    has in each value of the output, on demand; None of what does not round.
    """

    name: str
    maps: tuple[LinearMap, ...]
    inputs: tuple[Any, ...]
    constant: Any
    output: Any
    jacobian: tuple[LinearMap, ...] = ()
    spread_dead: bool = False
    fills: bool = False
    kept: MutableMapping[Any, Any] = field(default_factory=dict)
    lost: Claim = ignore
    sums: MutableMapping[Any, Any] | None = None
    at_zero: float | None = None
    straight: bool = False
    counts: int = 1
    of_values: bool = True
    switches: tuple[LinearMap, ...] = ()
    rounding: Callable[[], Any] | None = None

    @property
    def shift(self) -> Any:
        """What the output is where no input is: f(0) of a curve, else the bias; None for nothing."""
        if self.at_zero is None:
            return self.bias
        return np.asarray(self.at_zero, self.output.dtype) if self.at_zero else None

    @property
    def has_bias(self) -> bool:
        """Whether there is a bias, without making it."""
        return self.constant is not None

    @property
    def bias(self) -> Any:
        """The bias, None where there is none."""
        return self.constant() if callable(self.constant) else self.constant

    def filled(self) -> Any:
        """The part of each output element that no input fills, but padding or a constant: 1 - sum of A(1) 1."""
        parts = [
            m.apply(None, expand_like(np.ones((1,) * x.ndim, self.output.dtype), x))
            for m, x in zip(self.maps, self.inputs, strict=True)
        ]
        return 1.0 - sum(parts[1:], parts[0])

    def derive(self, which: int, change: Callable[[Any], Any]) -> Any:
        """change(weights) of one map, computed once if the weights are constant."""
        linear = self.maps[which]
        if not linear.constant:
            return change(linear.weights)
        key = (self.name, which, change)
        if key not in self.kept:
            self.kept[key] = change(linear.weights)
        return self.kept[key]
