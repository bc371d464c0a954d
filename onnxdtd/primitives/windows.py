"""The geometry of sliding windows, shared by convolution and pooling.

Through kernel offset k, window o of a layer with stride s, padding p and dilation d reads the input position

    i = o s - p + k d                                                            (on every spatial axis)

For one k, the windows whose i lies inside the input form a box, and so do the positions that they read: two
strided slices of equal shape, a `Tap`. A layer is a sum, or a maximum, over its taps. Padding is what no tap
reads, so it never exists in memory. Any number of spatial axes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from types import EllipsisType
from typing import NamedTuple

Shape = tuple[int, ...]
Box = tuple[slice, ...]
Index = tuple[EllipsisType | slice | int, ...]


class Tap(NamedTuple):
    """One kernel offset as three indices of equal shape, each into the last axes of an array.

    windows: those that read the input through this offset, in (..., *out); reads: the positions that they
    read, in (..., *spatial); column: what they read among all that windows read, (..., *kernel, *out).
    """

    column: Index
    windows: Index
    reads: Index


class Windows(NamedTuple):
    """`out` windows on an input of shape `spatial`; `begins` is the padding in front of each axis."""

    spatial: Shape
    out: Shape
    kernel: Shape
    strides: Shape
    begins: Shape
    dilations: Shape

    @classmethod
    def fitting(
        cls,
        spatial: Sequence[int],
        kernel: Sequence[int],
        strides: Sequence[int],
        pads: Sequence[int],
        dilations: Sequence[int],
    ) -> Windows:
        """As many windows as fit: out = floor((spatial + pads - (kernel - 1) d - 1) / s) + 1.

        `pads` in ONNX order (begins..., ends...). Raises ValueError for a wrong length, or where none fits.
        """
        rank = len(spatial)
        window = f"kernel {(*kernel,)}, strides {(*strides,)}, pads {(*pads,)}, dilations {(*dilations,)}"
        if [len(kernel), len(strides), len(pads) / 2, len(dilations)] != [rank] * 4:
            raise ValueError(f"{rank} spatial axes, but {window}: give {rank} numbers each, {2 * rank} pads")
        axes = zip(spatial, kernel, strides, pads[:rank], pads[rank:], dilations, strict=True)
        out = tuple((size + a + b - (k - 1) * d - 1) // s + 1 for size, k, s, a, b, d in axes)
        if min(out) < 1:
            raise ValueError(f"no window fits {(*spatial,)} with {window}: enlarge the input or its pads")
        return cls(tuple(spatial), out, tuple(kernel), tuple(strides), tuple(pads[:rank]), tuple(dilations))

    def part(self, box: Box) -> Windows:
        """The windows of `box` alone, counted from its corner."""
        begins = tuple(p - b.start * s for p, b, s in zip(self.begins, box, self.strides, strict=True))
        return self._replace(out=tuple(b.stop - b.start for b in box), begins=begins)

    def taps(self) -> list[Tap]:
        """Every kernel offset through which at least one window reads the input, in row-major order."""
        taps = []
        for choice in product(*(_axis_taps(*axis) for axis in zip(*self, strict=True))):
            offset, windows, reads = zip(*choice, strict=True)
            taps.append(Tap((..., *offset, *windows), (..., *windows), (..., *reads)))
        return taps

    def single_reads(self) -> Index | None:
        """The positions read, if each window reads exactly one and no padding (a 1x1 kernel); else None."""
        whole = (..., *(slice(0, n) for n in self.out))
        if set(self.kernel) != {1}:
            return None
        return next((tap.reads for tap in self.taps() if tap.windows == whole), None)


def _axis_taps(
    size: int, out: int, kernel: int, stride: int, begin: int, dilation: int
) -> list[tuple[int, slice, slice]]:
    taps = []
    for k in range(kernel):
        shift = k * dilation - begin
        first = max(0, -(shift // stride))  # the ceiling of -shift / stride
        last = min(out - 1, (size - 1 - shift) // stride)
        if first <= last:
            reads = slice(first * stride + shift, last * stride + shift + 1, stride)
            taps.append((k, slice(first, last + 1), reads))
    return taps


def runs(shape: Shape, length: int) -> Iterator[Box]:
    """Cut `shape` into nearly equal boxes, contiguous in row-major order, of at most `length` entries."""
    axis, inner = 0, prod(shape[1:])
    while inner > length:
        axis, inner = axis + 1, inner // shape[axis + 1]
    pieces = -(-shape[axis] // (length // inner))
    step = -(-shape[axis] // pieces)
    rest = [slice(0, size) for size in shape[axis + 1 :]]
    for lead in product(*(range(size) for size in shape[:axis])):
        for start in range(0, shape[axis], step):
            stop = min(start + step, shape[axis])
            yield (*(slice(i, i + 1) for i in lead), slice(start, stop), *rest)
