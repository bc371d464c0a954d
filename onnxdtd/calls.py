"""What an explainer and its calls take, by name."""

from __future__ import annotations

import os
from typing import Literal

from onnxdtd.compiled.sessions import CacheDir
from onnxdtd.inputs import Preparation
from onnxdtd.plan.focus import Asks
from onnxdtd.types import OnProgress

Engine = Literal["numpy", "onnx", "auto"]
CACHE = "ONNXDTD_CACHE"
SHARED = ("engine", "bias", "providers", "cache_dir", "verify", "strict_rules")
"""What an explainer made from another takes over as it is."""
OF_PLANS = frozenset(
    {"input_range", "preprocess", "bias", "rules", "strict_rules", "fixed", "background", "max_steps"}
)
"""What of an explainer's arguments plans depend on."""


class Ways(Asks, total=False):
    """What a call takes besides the input and the target."""

    preprocess: Preparation
    progress: OnProgress


def cache_of(stated: CacheDir) -> CacheDir:
    """Where compiled walks are kept: as stated, else as the environment says, where nothing is said by default."""
    if stated is not None:
        return stated
    return os.environ.get(CACHE, "") or False if CACHE in os.environ else None
