"""The geometry that convolution and pooling share: strides, dilations and explicit pads from any ONNX spelling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from onnxdtd.model.point import Point
from onnxdtd.primitives import Size, at_hand, ceiled, divided, larger, reshape, size, sizes

Move = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Window:
    """A sliding window. pads: ONNX order (begins, ends), as the op states them, auto_pad resolved; sizes, where they
    follow from lengths. ceil: a window may stand over the end."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[Size, ...]
    ceil: bool = False

    @property
    def attributes(self) -> dict[str, Any]:
        """As keywords of the convolution primitives."""
        return {"strides": self.strides, "pads": self.pads, "dilations": self.dilations}

    def reaching(self, spatial: Sequence[Size], output: Sequence[Size]) -> Window:
        """The same window with end pads that make a floor-sized output as long as `output` (ceil_mode)."""
        if not self.ceil and not at_hand(*spatial, *output):
            return self
        ends = []
        rank = len(self.kernel)
        for i in range(rank):
            extent = (self.kernel[i] - 1) * self.dilations[i] + 1
            needed = (output[i] - 1) * self.strides[i] + extent - spatial[i] - self.pads[i]
            ends.append(larger(needed, 0))
        return replace(self, pads=(*self.pads[:rank], *ends))


def window(point: Point, kernel: Sequence[int], x: Any) -> Window:
    """Read the window of a Conv or pooling node at input x (N, C, *spatial)."""
    rank = len(kernel)
    strides = tuple(point.attribute("strides") or (1,) * rank)
    dilations = tuple(point.attribute("dilations") or (1,) * rank)
    pads = tuple(point.attribute("pads") or (0,) * (2 * rank))
    auto_pad = point.attribute("auto_pad", "NOTSET")
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        totals = []
        for i in range(rank):
            # At stride 1 every length asks for the same pads.
            length = 1 if strides[i] == 1 else size(x, 2 + i)
            extent = (kernel[i] - 1) * dilations[i] + 1
            totals.append(larger((ceiled(length, strides[i]) - 1) * strides[i] + extent - length, 0))
        small, large = [divided(t, 2) for t in totals], [t - divided(t, 2) for t in totals]
        pads = (*small, *large) if auto_pad == "SAME_UPPER" else (*large, *small)
    elif auto_pad == "VALID":
        pads = (0,) * (2 * rank)
    return Window(tuple(kernel), strides, dilations, pads, bool(point.attribute("ceil_mode", 0)))


def by_channel(x: Any) -> tuple[int, Callable[[Move, Any], Any]]:
    """(groups, run): run(move, v) moves values v like x by a convolution of so many groups, one for each channel; of
    channels whose number is open, each is a sample of its own, and there is one group."""
    if isinstance(x.shape[1], int):
        return x.shape[1], lambda move, v: move(v)

    def apart(move: Move, v: Any) -> Any:
        moved = move(reshape(v, shape=[-1, 1, *[0] * (v.ndim - 2)]))
        return reshape(moved, shape=[size(v, 0), size(v, 1), *sizes(moved, 2)])

    return 1, apart


def per_channel(b: Any, rank: int) -> Any:
    """A vector over channels, broadcastable against (N, C, *spatial)."""
    return reshape(b, shape=[1, -1, *[1] * (rank - 2)])
