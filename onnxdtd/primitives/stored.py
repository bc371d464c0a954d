"""How a constant lies in the file: in C order, once, and read from there in whatever order it is used."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.origin import origin_of

# Of a smaller constant a copy is cheaper than the nodes that would read it in another order.
SMALL = 1024


PROBED = 64  # Elements that tell most arrays of one shape apart.


class Fingerprints:
    """What equal data have in common: their bytes, or the place of a file where they lie, which is sooner said.

    Of large data a few elements come first, and a sum of all bytes only where two arrays agree in these: weights are
    hardly ever the same, and to read all of them takes most of the time of compiling a large model.
    """

    def __init__(self) -> None:
        self._first: dict[tuple[Any, ...], npt.NDArray[Any]] = {}
        self._sums: dict[tuple[Any, ...], bytes] = {}

    def of(self, data: npt.NDArray[Any]) -> tuple[Any, ...]:
        """Of data in C order, which nobody changes from now on."""
        kind = (data.dtype.str, data.shape)
        if data.nbytes <= SMALL:
            return (*kind, data.tobytes())
        if (origin := origin_of(data)) is not None:
            return (*kind, origin)
        probe = (*kind, data.reshape(-1)[:: max(1, data.size // PROBED)].tobytes())
        first = self._first.setdefault(probe, data)
        if first.ctypes.data == data.ctypes.data:
            return probe
        if probe not in self._sums:
            self._sums[probe] = _sum(first)
        own = _sum(data)
        return probe if own == self._sums[probe] else (*kind, own)


def _sum(data: npt.NDArray[Any]) -> bytes:
    return hashlib.sha1(data.reshape(-1).view(np.uint8).data).digest()


def stored(
    array: npt.NDArray[Any], free: bool = True
) -> tuple[npt.NDArray[Any], tuple[int, ...], tuple[int, ...]]:
    """(data, order, mirrored): the array is `data`, in C order, transposed by `order` and then mirrored along axes.

    A view of an array that lies in C order is taken apart; anything else, and what is not free to, is brought into
    C order.
    """
    whole = tuple(range(array.ndim))
    if array.flags.c_contiguous:
        return array, whole, ()
    if free and array.nbytes > SMALL:
        mirrored = tuple(i for i in whole if array.strides[i] < 0 and array.shape[i] > 1)
        ahead = array[tuple(slice(None, None, -1 if i in mirrored else None) for i in whole)]
        # Axes of length 1 have no order of their own and stay where they are.
        long = [i for i in whole if array.shape[i] > 1]
        moved = dict(zip(long, sorted(long, key=lambda i: -ahead.strides[i]), strict=True))
        order = [moved.get(i, i) for i in whole]
        data = ahead.transpose(order)
        if data.flags.c_contiguous:
            return data, tuple(int(i) for i in np.argsort(order)), mirrored
    return np.ascontiguousarray(array).reshape(array.shape), whole, ()
