"""Several targets of one sample as a batch of targets: what does not depend on them is computed once.

Values of the forward pass are one sample long then, relevance is as long as there are targets, and ONNX's operators
repeat the former beside the latter: forward pass and denominators run once. No node of a walk adds over samples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.errors import InputError
from onnxdtd.types import Arrays
from onnxdtd.walk.chunks import equal_to_rounding

MOST = 16
"""Targets that are held at one time."""


class Stacked:
    """Runs one sample with several targets. A graph may ask a value for its length where relevance has another, so
    the first time the last target is run alone as well, and must come out as it did among others."""

    def __init__(self, run: Callable[[Arrays], dict[str, Any]]) -> None:
        self._run, self.stacks, self._seen = run, True, False

    def __call__(
        self, feeds: Arrays, name: str, targets: npt.NDArray[np.generic]
    ) -> list[dict[str, Any]] | None:
        """The outputs by name for each target; None where they must be run one by one. name: of the input that the
        targets are fed to, one row each."""
        if not self.stacks:
            return None
        parts = [targets[i : i + MOST] for i in range(0, len(targets), MOST)]
        try:
            made = [one for part in parts for one in _each(self._run({**feeds, name: part}), len(part))]
        except InputError:
            self.stacks = False
            return None
        if not self._seen:
            alone = self._run({**feeds, name: targets[-1:]})
            self.stacks = all(equal_to_rounding(made[-1][key], alone[key]) for key in alone)
            self._seen = True
        return made if self.stacks else None


def _each(values: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """What the model computes of the sample alone belongs to all."""
    return [
        {key: array[i : i + 1] if len(array) == count > 1 else array for key, array in values.items()}
        for i in range(count)
    ]
