"""What an explainer and its calls take, by name."""

from __future__ import annotations

from typing import Literal

from onnxdtd.inputs import Preparation
from onnxdtd.plan.focus import Asks
from onnxdtd.types import OnProgress

Engine = Literal["numpy", "onnx", "auto"]
CACHE = "ONNXDTD_CACHE"
OF_PLANS = frozenset(
    {"input_range", "preprocess", "bias", "rules", "strict_rules", "fixed", "background", "max_steps"}
)
"""What of an explainer's arguments plans depend on."""


class Ways(Asks, total=False):
    """What a call takes besides the input and the target."""

    preprocess: Preparation
    progress: OnProgress
