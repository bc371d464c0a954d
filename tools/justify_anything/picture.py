"""The wanted picture: a face, or a file's; and the page that shows what came of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from PIL import Image

from onnxdtd.render.canvas import BAR, GAP, HEADING, MARGIN, Page
from onnxdtd.render.colours import Scale

Array = npt.NDArray[np.float64]

SIDE = 28
_PANEL, _LABELS = 20 * SIDE, 160  # pixels of a panel, and of what stands beside its colour bar


def face() -> Array:
    """A smiling face (28, 28) in 0..1."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    radius = np.hypot(x, y)
    eyes = np.minimum(np.hypot(x - 4, y + 3.5), np.hypot(x + 4, y + 3.5)) - 1.6
    mouth = np.where(y > 2.5, abs(np.hypot(x, y) - 7) - 0.9, np.inf)
    return np.clip(0.5 - np.minimum.reduce([abs(radius - 12) - 0.9, eyes, mouth]), 0.0, 1.0)


def read(path: Path) -> Array:
    """A picture file as (28, 28) in 0..1; the rarer of dark and light is what is drawn."""
    with Image.open(path) as image:
        grey = np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS), np.float64) / 255
    return 1 - grey if grey.mean() > 0.5 else grey


def page(title: str, image: Array, explanations: dict[str, Array]) -> Figure:
    """The input, and each explanation with its own colour bar, side by side."""
    width = _PANEL + GAP // 2 + BAR + _LABELS
    sheet = Page(MARGIN + _PANEL + (GAP + width) * len(explanations), HEADING + _PANEL, title)
    sheet.panel(MARGIN, 0, _PANEL, _PANEL, "input").imshow(image.reshape(SIDE, SIDE), cmap="gray")
    for i, (name, relevance) in enumerate(explanations.items()):
        left, scale = MARGIN + _PANEL + GAP + i * (width + GAP), Scale.of(relevance, 100)
        axes = sheet.panel(left, 0, _PANEL, _PANEL, name)
        axes.imshow(scale.colours(relevance.reshape(SIDE, SIDE)), interpolation="nearest")
        sheet.bar(scale, left + _PANEL + GAP // 2, HEADING, _PANEL)
    return sheet.figure
