"""What the axes of an input mean: `NCHW` and the like, given or guessed from the shape."""

from __future__ import annotations

from onnxdtd.errors import UsageError

LAYOUTS = ("NCHW", "NHWC", "NHW", "NCT", "NTC", "NT", "NF")
"""Batch N, channels C, height H, width W, time T, a table's columns F."""


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
