"""The search directions of a rule's roots: read off the rule's own table.

A rule hands neuron j's relevance to input i in proportion to a numerator n_ij. The Taylor term at a root on the
line x - t v_j is v_ij w_ij / (sum_i' v_i'j w_i'j) R_j, so the rule is the expansion along

    v_ij = n_ij / w_ij

epsilon: v = x. z+ and signed z+: x_i 1[x_i w_ij z_j > 0]. gamma: x_i (1 + gamma 1[...]). w-square: w_ij.
z-box: x_i - l_i 1[w_ij > 0] - h_i 1[w_ij < 0]. The bias column and the stabiliser of a rule change how much is
shared, not the direction; they are left out, as in Montavon et al. 2017, section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from onnxdtd.linear import Site
from onnxdtd.rules.maps import ones
from onnxdtd.rules.terms import Group, TermRule
from onnxdtd.types import Array


def unit_vectors(neurons: Sequence[tuple[int, ...]], shape: Sequence[int]) -> Array:
    """(neurons, *shape) with a one at each neuron."""
    e = np.zeros((len(neurons), *shape))
    for line, index in enumerate(neurons):
        e[(line, *index)] = 1
    return e


def weights(site: Site, e: Array) -> list[Array]:
    """w_ij of the neurons e, for each data input: (neurons, *input)."""
    return [m.adjoint(m.weights, e) for m in site.maps]


def connected(site: Site, e: Array) -> list[Array]:
    """Which inputs a neuron reads, whatever its weights: (neurons, *input)."""
    return [m.adjoint(None if m.weights is None else ones(m.weights), e) != 0 for m in site.maps]


def directions(rule: TermRule, site: Site, e: Array, w: Sequence[Array], z: Array) -> list[Array]:
    """v_ij of the neurons e with pre-activations z (neurons,), for each data input: (neurons, *input).

    Not finite where the rule gives a share to an input of weight zero.
    """
    numerators: list[Any] = [0.0] * len(w)
    for group in rule.groups:
        parts = [_numerator(group, site, i, e) for i in range(len(w))]
        shares: Array = {"any": np.ones_like(z), "positive": z > 0, "negative": z < 0}[group.where] * 1.0
        if sum(g.where == "any" for g in rule.groups) > 1:
            # Groups that all serve one neuron, as alpha-beta's, divide by sums of their own.
            total = sum(part.reshape(len(z), -1).sum(axis=1) for part in parts)
            with np.errstate(divide="ignore", invalid="ignore"):
                shares = np.where(total != 0, group.coefficient / total, 0.0)
        for i, part in enumerate(parts):
            numerators[i] = numerators[i] + shares.reshape(-1, *(1,) * (part.ndim - 1)) * part
    with np.errstate(divide="ignore", invalid="ignore"):
        return [np.where(n == 0, 0.0, n / weight) for n, weight in zip(numerators, w, strict=True)]


def _numerator(group: Group, site: Site, i: int, e: Array) -> Any:
    """n_ij of one group at data input i."""
    total: Any = 0.0
    for term in group.terms:
        part = site.maps[i].adjoint(site.derive(i, term.w), e)
        part = part if term.x is ones else term.x(site.inputs[i]) * part
        total = total + term.sign * part
    return total
