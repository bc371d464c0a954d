"""The geometry of sliding windows, shared by convolution and pooling.

Through kernel offset k, window o of a layer with stride s, padding p and dilation d reads the input position

    i = o s - p + k d                                                                  (on every spatial axis)

For one k, the windows whose i lies inside the input form a box, and so do the positions that they read: two strided
slices of equal shape, a `Tap`. A layer is a sum, or a maximum, over its taps. Padding is what no tap reads, so it
never exists in memory. Any number of spatial axes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from typing import NamedTuple

Shape = tuple[int, ...]
Box = tuple[slice, ...]


class Tap(NamedTuple):
    """One kernel offset, the windows that read the input through it, and the positions that they read."""

    offset: Shape
    windows: Box
    reads: Box


class Windows(NamedTuple):
    """`count` windows on an input of shape `spatial`; `begins` is the padding in front of each axis."""

    spatial: Shape
    count: Shape
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
        """As many windows as fit: count = floor((size + pads - (kernel - 1) d - 1) / s) + 1.

        `pads` in ONNX order (begins..., ends...). Raises ValueError if a sequence has the wrong length or none fits.
        """
        rank = len(spatial)
        lengths = [len(kernel), len(strides), len(pads) / 2, len(dilations)]
        if lengths != [rank] * 4:
            raise ValueError(
                f"{rank} spatial axes, but kernel {tuple(kernel)}, strides {tuple(strides)}, pads {tuple(pads)}, "
                f"dilations {tuple(dilations)}: give {rank} of each, pads {2 * rank}"
            )
        begins, ends = tuple(pads[:rank]), tuple(pads[rank:])
        axes = zip(spatial, kernel, strides, begins, ends, dilations, strict=True)
        count = tuple((size + a + b - (k - 1) * d - 1) // s + 1 for size, k, s, a, b, d in axes)
        if min(count) < 1:
            raise ValueError(
                f"no window fits: input {tuple(spatial)}, kernel {tuple(kernel)}, dilations {tuple(dilations)}, "
                f"pads {tuple(pads)}: enlarge the input or its pads"
            )
        return cls(tuple(spatial), count, tuple(kernel), tuple(strides), begins, tuple(dilations))

    def part(self, box: Box) -> Windows:
        """The windows of `box` alone, counted from its corner."""
        begins = tuple(p - b.start * s for p, b, s in zip(self.begins, box, self.strides, strict=True))
        return self._replace(count=tuple(b.stop - b.start for b in box), begins=begins)

    def taps(self) -> list[Tap]:
        """Every kernel offset through which at least one window reads the input, in row-major order."""
        axes = [_axis_taps(*axis) for axis in zip(*self, strict=True)]
        return [Tap(*zip(*choice, strict=True)) for choice in product(*axes)]

    def single_reads(self) -> Box | None:
        """The positions read where every window reads exactly one, and no padding: a 1x1 kernel. None otherwise."""
        if set(self.kernel) != {1}:
            return None
        whole = tuple(slice(0, n) for n in self.count)
        return next((tap.reads for tap in self.taps() if tap.windows == whole), None)


def _axis_taps(
    size: int, count: int, kernel: int, stride: int, begin: int, dilation: int
) -> list[tuple[int, slice, slice]]:
    found = []
    for k in range(kernel):
        shift = k * dilation - begin
        first = max(0, -(shift // stride))  # the ceiling of -shift / stride
        last = min(count - 1, (size - 1 - shift) // stride)
        if first <= last:
            reads = slice(first * stride + shift, last * stride + shift + 1, stride)
            found.append((k, slice(first, last + 1), reads))
    return found


def runs(shape: Shape, length: int) -> Iterator[Box]:
    """Cut `shape` into boxes of about equal size that are contiguous in row-major order, none over `length` entries."""
    axis, inner = 0, prod(shape[1:])
    while inner > length and axis + 1 < len(shape):
        axis, inner = axis + 1, inner // shape[axis + 1]
    pieces = -(-shape[axis] // max(1, length // inner))
    step = -(-shape[axis] // pieces)
    for lead in product(*(range(size) for size in shape[:axis])):
        for start in range(0, shape[axis], step):
            one = (slice(i, i + 1) for i in lead)
            rest = (slice(0, size) for size in shape[axis + 1 :])
            yield (*one, slice(start, min(start + step, shape[axis])), *rest)
