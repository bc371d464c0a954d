"""From the explained indices back to a mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from onnxdtd.plan.batch import samples_first
from onnxdtd.plan.target import Index


def mask_of(
    target: Sequence[Sequence[Index]], shape: tuple[int, ...], axis: int | None
) -> npt.NDArray[np.bool_]:
    """True at each sample's indices in a value of this shape, whose samples lie along the axis: the reverse of
    `plan.seed.Seed.elements`."""
    mask = np.zeros(shape, bool)
    first = samples_first(mask, axis if shape else None)
    for sample, indices in enumerate(target):
        for index in indices:
            first[(sample, *index)] = True
    return mask
