"""The geometry that convolution and pooling share: strides, dilations and explicit pads from any ONNX spelling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from onnxdtd.model.point import Point
from onnxdtd.primitives import reshape, static


@dataclass(frozen=True, slots=True)
class Window:
    """A sliding window. pads: ONNX order (begins, ends), as the op states them, auto_pad resolved."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]

    @property
    def attributes(self) -> dict[str, Any]:
        """As keywords of the convolution primitives."""
        return {"strides": self.strides, "pads": self.pads, "dilations": self.dilations}

    def reaching(self, spatial: Sequence[int], output: Sequence[int]) -> Window:
        """The same window with end pads that make a floor-sized output as long as `output` (ceil_mode).

        Where a length is known at run time only, the output must be floor-sized already.
        """
        if not all(isinstance(n, int) for n in (*spatial, *output)):
            return self
        ends = []
        rank = len(self.kernel)
        for i in range(rank):
            extent = (self.kernel[i] - 1) * self.dilations[i] + 1
            needed = (output[i] - 1) * self.strides[i] + extent - spatial[i] - self.pads[i]
            ends.append(max(needed, 0))
        return Window(self.kernel, self.strides, self.dilations, (*self.pads[:rank], *ends))


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
            length = 1 if strides[i] == 1 else static(x.shape[2 + i])
            extent = (kernel[i] - 1) * dilations[i] + 1
            totals.append(max((-(-length // strides[i]) - 1) * strides[i] + extent - length, 0))
        small, large = [t // 2 for t in totals], [t - t // 2 for t in totals]
        pads = (*small, *large) if auto_pad == "SAME_UPPER" else (*large, *small)
    elif auto_pad == "VALID":
        pads = (0,) * (2 * rank)
    return Window(tuple(kernel), strides, dilations, pads)


def spatial_of(x: Any) -> tuple[int, ...]:
    """The spatial lengths of x (N, C, *spatial); they must be fixed."""
    return tuple(static(d) for d in x.shape[2:])


def per_channel(b: Any, rank: int) -> Any:
    """A vector over channels, broadcastable against (N, C, *spatial)."""
    return reshape(b, shape=[1, -1, *[1] * (rank - 2)])
