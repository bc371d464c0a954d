"""From the explained indices back to a mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from onnxdtd.plan.target import Index


def mask_of(target: Sequence[Sequence[Index]], shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """True at each sample's indices in a value (N, ...) of this shape: the reverse of `plan.target.explained`."""
    mask = np.zeros(shape, bool)
    for sample, indices in enumerate(target):
        for index in indices:
            mask[(sample, *index) if shape else ()] = True
    return mask
