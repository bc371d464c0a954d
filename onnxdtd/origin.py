"""Where an array lies on disk: weights read from a file beside their model can be named instead of copied."""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Origin(NamedTuple):
    """So many bytes of a file. stamp: what the file was when they were read."""

    path: Path
    offset: int
    length: int
    stamp: tuple[int, ...]

    @property
    def holds(self) -> bool:
        """Whether the file is still the one that was read."""
        try:
            return stamp(os.stat(self.path)) == self.stamp
        except OSError:
            return False


_origins: dict[int, Origin] = {}
"""By the address of the bytes, as long as these live: views of them, and other names for them, are found too."""


def stamp(status: os.stat_result) -> tuple[int, ...]:
    """What tells a file from what it becomes when it is written again."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def remember(data: npt.NDArray[np.uint8], origin: Origin) -> None:
    """That this array, which nobody writes to, is a copy of those bytes."""
    address = data.ctypes.data
    _origins[address] = origin
    weakref.finalize(data, _origins.pop, address, None)


def origin_of(array: npt.NDArray[Any]) -> Origin | None:
    """Where the array lies as it is, None where it was not read from a file of its own, or changed since."""
    if array.dtype == object or not array.flags.c_contiguous or array.flags.writeable:
        return None
    origin = _origins.get(array.ctypes.data)
    return origin if origin is not None and origin.length == array.nbytes else None
