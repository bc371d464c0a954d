"""What takes part: every method of one walk, and the gammas and rules at the input that `auto` could have taken."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

from onnxdtd import METHODS

GAMMAS = (0.25, 0.5, 1.0, 3.0)
PATCHES, DENSE = (0.25, 1.0, 3.0), (0.0, 0.05, 0.25, 1.0)


class Candidate(NamedTuple):
    """A method by name, and rules on top of it."""

    method: str
    rules: tuple[Mapping[str, Any], ...] = ()


def methods() -> dict[str, Candidate]:
    """Every method of one walk, and `auto`."""
    return {name: Candidate(name) for name in ("auto", *sorted(METHODS))}


def variants(low: Any, high: Any) -> dict[str, Candidate]:
    """`epsilon_gamma` with each gamma, the first layer by the same rule, or by z-box over the input's range."""
    found = {}
    first = {"first": True, "use": "zbox", "low": low, "high": high, "epsilon": 0.0}
    for gamma in GAMMAS:
        rule = {"family": "convolution", "use": "gamma", "gamma": gamma}
        found[f"gamma {gamma:g}"] = Candidate("epsilon_gamma", (rule,))
        found[f"gamma {gamma:g}, z-box first"] = Candidate("epsilon_gamma", (rule, first))
    return found


def of_patches() -> dict[str, Candidate]:
    """`attnlrp` with a gamma on the convolution that embeds patches and one on dense layers, or none on these."""
    found = {}
    for patches, dense in itertools.product(PATCHES, DENSE):
        rules = [{"family": "convolution", "use": "gamma", "gamma": patches}]
        rules += [{"family": "dense", "use": "gamma", "gamma": dense}] * (dense > 0)
        found[f"patches {patches:g}, dense {dense:g}"] = Candidate("attnlrp", tuple(rules))
    return found
