"""An image and its relevance: three pictures for paper, and for a screen the numbers from which its script draws.

A number of relevance r goes into the page as 16 bits in the red and green channel of a PNG picture:
round(32767 r / max |r|) + 32768.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.inputs.layout import layout_of
from onnxdtd.reading import in_pixels
from onnxdtd.render.colours import SIGNED, Scale
from onnxdtd.render.images import channels_last, over, picture_of
from onnxdtd.report.markup import Markup, joined, png, small, tag, void
from onnxdtd.types import Array

LARGEST = 640
"""Pixels of a side beyond which neighbours are taken together: relevance is summed, colours are averaged."""
ALL = 1.5 * LARGEST**2
"""Pixels of all pictures of a page, so that it can be sent."""
SMALL = 200
"""Pixels of a side below which they are shown as squares."""
PERCENTILE = 99.5
STOPS = 33


def image(
    relevance: Array,
    values: Array,
    picture: Any = None,
    box: tuple[float, float, float, float] | None = None,
    name: str = "the input",
    largest: int = LARGEST,
) -> Markup:
    """One sample (no batch axis) of an image. picture: what it is laid over, (H, W, 3) uint8, by default the values;
    box: as in `heatmap`; largest: see `LARGEST`."""
    layout = layout_of(relevance.shape)
    net = channels_last(relevance, str(layout)).sum(axis=-1, dtype=np.float64)
    below = picture_of(values, layout) if picture is None else np.asarray(picture, np.uint8)
    step = -(-max(net.shape) // largest)
    sides = [-(-side // step) for side in net.shape]
    corners = None if box is None else np.array(in_pixels(box, net.shape)) / step
    net = _blocks(net, step).sum(axis=(1, 3))
    below = np.rint(_blocks(below, step).mean(axis=(1, 3))).astype(np.uint8)
    scale = Scale.of(net, PERCENTILE)
    layers = {
        "input": below,
        "overlay": _bytes(over(net, below / 255, scale)),
        "map": _bytes(scale.colours(net)),
    }
    frame = None if corners is None else _frame(corners, sides)
    size = {"width": sides[1], "height": sides[0]}
    crisp = " crisp" if max(sides) < SMALL else ""
    still = [
        tag(
            "figure",
            tag("div", void("img", src=small(pixels), alt=f"{word} of {name}", class_=f"layer{crisp}", **size),
                frame, class_="frame"),
            tag("figcaption", {"overlay": "relevance over the input", "map": "relevance"}.get(word, word)),
        )
        for word, pixels in layers.items()
    ]  # fmt: skip
    live = tag(
        "div",
        tag("div", tag("canvas", class_=f"layer{crisp}", role="img", aria_label=f"relevance of {name}", **size),
            frame, class_="frame"),
        _slider("blend", "input", "map", 0, 100, 50),
        _slider("percentile", "colours end at a percentile of |relevance|", None, 90, 100, PERCENTILE, 0.1),
        _slider("blur", "smoothing, in pixels", None, 0, 10, 0, 0.5),
        void("img", src=png(packed(net)), alt="", class_="numbers", hidden="hidden"),
        class_="live",
        hidden="hidden",
    )  # fmt: skip
    legend = tag(
        "p", tag("b", "red", class_="for"), " speaks for, ", tag("b", "blue", class_="against"), " against",
        class_="legend",
    )  # fmt: skip
    return tag(
        "div", live, tag("div", *still, class_="still"), legend, class_="image", data_stops=" ".join(stops())
    )


def side(count: int) -> int:
    """Pixels of a side that each of so many pictures on one page may have."""
    return min(LARGEST, math.isqrt(int(ALL / max(count, 1))))


def packed(relevance: Array) -> npt.NDArray[np.uint8]:
    """Relevance (H, W) as red and green of pixels, the largest magnitude being 32767 from the middle."""
    whole = np.rint(32767 * relevance / (np.abs(relevance).max() or 1.0)).astype(np.int64) + 32768
    return np.stack([whole >> 8, whole & 255, np.zeros_like(whole)], -1).astype(np.uint8)


def stops() -> list[str]:
    """The colours from blue to red, as the script mixes them."""
    colours = _bytes(np.asarray(SIGNED(np.linspace(0, 1, STOPS)))[:, :3])
    return ["".join(f"{part:02x}" for part in colour) for colour in colours.tolist()]


def _blocks(array: Array, step: int) -> Array:
    """(H, W, ...) as blocks (H/step, step, W/step, step, ...); what is missing at the edges repeats them, or is 0."""
    rest = [(0, -side % step) for side in array.shape[:2]] + [(0, 0)] * (array.ndim - 2)
    whole = np.pad(array, rest, mode="constant" if array.ndim == 2 else "edge")
    height, width = whole.shape[:2]
    return whole.reshape(height // step, step, width // step, step, *whole.shape[2:])


def _bytes(colours: Array) -> npt.NDArray[np.uint8]:
    return np.asarray(np.rint(255 * np.clip(colours, 0, 1)), np.uint8)


def _frame(corners: Array, sides: Sequence[int]) -> Markup:
    left, top, right, bottom = (round(float(c), 2) for c in corners)
    box = {"x": left, "y": top, "width": max(right - left, 0), "height": max(bottom - top, 0)}
    lines = [tag("rect", class_=f"box {word}", **box) for word in ("outer", "inner")]
    return tag("svg", *lines, viewBox=f"0 0 {sides[1]} {sides[0]}", class_="boxes", aria_hidden="true")


def _slider(
    name: str, before: str, behind: str | None, low: float, high: float, value: float, step: float = 1
) -> Markup:
    slide = void("input", type="range", min=low, max=high, value=value, step=step, data_control=name,
                 aria_label=name)  # fmt: skip
    shown = tag("output", f"{value:g}") if behind is None else tag("span", behind)
    return tag("label", joined(tag("span", before), slide, shown), class_=f"slider {name}")
