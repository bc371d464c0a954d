"""What an explainer and its calls take, by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

from onnxdtd.compiled.sessions import CacheDir
from onnxdtd.inputs import Preparation
from onnxdtd.plan.focus import Asks
from onnxdtd.plan.target import Function, Target
from onnxdtd.types import OnProgress

S = TypeVar("S")
T = TypeVar("T")
Positions = Literal["absorb", "token"]
Engine = Literal["numpy", "onnx", "auto"]
CACHE = "ONNXDTD_CACHE"
SHARED = ("engine", "bias", "providers", "cache_dir", "verify", "strict_rules", "positions")
"""What an explainer made from another takes over as it is."""
OF_PLANS = frozenset(
    {
        "input_range",
        "preprocess",
        "bias",
        "rules",
        "strict_rules",
        "fixed",
        "background",
        "max_steps",
        "mask",
        "positions",
    }
)
"""What of an explainer's arguments plans depend on."""


class Ways(Asks, total=False):
    """What a call takes besides the input and the target."""

    preprocess: Preparation
    progress: OnProgress


def by_output(targets: Sequence[Target], explain: Callable[[list[Target]], Sequence[T]]) -> list[T]:
    """One result for each target, in their order. explain: those of several targets of one output; of a function of
    the outputs' shapes, for it alone."""
    keys = [i if isinstance(t.form, Function) else t.output for i, t in enumerate(targets)]
    return grouped(keys, targets, explain)


def grouped(keys: Sequence[Any], things: Sequence[S], make: Callable[[list[S]], Sequence[T]]) -> list[T]:
    """What `make` makes of all things of one key at once, in the order of the things."""
    places: dict[Any, list[int]] = {}
    for i, key in enumerate(keys):
        places.setdefault(key, []).append(i)
    made = {
        i: one
        for alike in places.values()
        for i, one in zip(alike, make([things[i] for i in alike]), strict=True)
    }
    return [made[i] for i in range(len(things))]


def cache_of(stated: CacheDir) -> CacheDir:
    """Where compiled walks are kept: as stated, else as the environment says, where nothing is said by default."""
    if stated is not None:
        return stated
    return os.environ.get(CACHE, "") or False if CACHE in os.environ else None
