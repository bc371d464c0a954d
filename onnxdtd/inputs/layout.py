"""What the axes of an input mean: `NCHW` and the like, given, read off the model, or guessed from a shape."""

from __future__ import annotations

from collections.abc import Sequence

from onnxdtd.errors import UsageError
from onnxdtd.model.graph import Graph
from onnxdtd.model.unbatched import is_called_batch
from onnxdtd.types import Dimension

LAYOUTS = ("NCHW", "NHWC", "NHW", "NCT", "NTC", "NT", "NF")
"""Batch N, channels C, height H, width W, time T, a table's columns F."""
COLOURS = (1, 3)
"""Channels that a picture can have: grey, or red, green and blue."""


def layout_of(shape: tuple[int, ...], layout: str | None = None) -> str | None:
    """The layout of one sample (no batch axis): `layout`, checked, or a guess; None where there is none.

    Up to four channels make an image's first or last axis the channels; two axes of similar length, an image.
    """
    if layout is not None:
        if layout not in LAYOUTS or len(layout) != len(shape) + 1:
            fitting = [name for name in LAYOUTS if len(name) == len(shape) + 1]
            advice = f"choose among {', '.join(fitting)}" if fitting else "no layout fits"
            raise UsageError(f"layout '{layout}' does not fit one sample of shape {shape}: {advice}")
        return layout
    if len(shape) == 1:
        return "NF"
    if len(shape) == 2:
        if min(shape) >= 8 and max(shape) <= 4 * min(shape):
            return "NHW"
        return "NCT" if shape[0] <= shape[1] else "NTC"
    if len(shape) == 3 and min(shape[0], shape[-1]) <= 4:
        return "NCHW" if shape[0] <= 4 else "NHWC"
    return None


def picture_layout(shape: Sequence[Dimension] | None) -> str | None:
    """NCHW or NHWC, as a model's input shape of rank 4 tells; None where it does not.

    One or three channels, stated as a number at one place only, decide: (N, 3, H, W), (N, 224, 224, 3).
    """
    if shape is None or len(shape) != 4:
        return None
    first, last = shape[1] in COLOURS, shape[3] in COLOURS
    if first == last:
        return None
    return "NCHW" if first else "NHWC"


def channels_of(shape: Sequence[Dimension] | None, layout: str) -> int | None:
    """How many channels the shape states in this layout."""
    place = layout.index("C")
    size = shape[place] if shape is not None and len(shape) == len(layout) else None
    return size if isinstance(size, int) else None


def size_of(shape: Sequence[Dimension] | None, layout: str) -> tuple[int, int] | None:
    """The (H, W) that the shape states in this layout; None where it leaves one open."""
    if shape is None or len(shape) != len(layout):
        return None
    height, width = shape[layout.index("H")], shape[layout.index("W")]
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def takes_one_picture(graph: Graph) -> bool:
    """Whether the graph's one floating-point input is a picture without a batch axis: (3, H, W), (H, W, 1)."""
    shapes = [graph.value(name).shape for name in graph.inputs if graph.value(name).is_float]
    shape = shapes[0] if len(shapes) == 1 else None
    if shape is None or len(shape) != 3 or is_called_batch(shape[0]):
        return False
    return picture_layout((1, *shape)) is not None
