"""Where in the picture relevance lies on average, class beside class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from onnxdtd.render.canvas import GAP, HEADING, MARGIN, Page
from onnxdtd.render.colours import Ramp, number
from onnxdtd.types import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Amounts without a sign: the more, the darker.
AMOUNTS = Ramp(["#ffffff", "#d9d9d9", "#8c8c8c", "#404040", "#000000"], count=256)
MOST, ACROSS = 60, 6
_SIDE = 240


def regions(maps: Mapping[str, Array], title: str) -> Figure:
    """maps: by class, shares (H, W) that are not negative, drawn on one scale; the first 60 classes."""
    shown = dict([*maps.items()][:MOST])
    largest = max(float(np.max(shares)) for shares in shown.values()) or 1.0
    across = min(ACROSS, len(shown))
    down = -(-len(shown) // across)
    more = f"; the first {MOST} of {len(maps)} classes" if len(maps) > MOST else ""
    wide = 2 * MARGIN + across * (_SIDE + GAP)
    page = Page(max(wide, 900), down * (_SIDE + HEADING + GAP), title, f"black is {number(largest)}{more}")
    for k, (name, shares) in enumerate(shown.items()):
        row, column = divmod(k, across)
        left, top = MARGIN + column * (_SIDE + GAP), row * (_SIDE + HEADING + GAP)
        page.image(left, top, _SIDE, _SIDE, AMOUNTS(np.asarray(shares) / largest), f"class {name}")
    return page.figure
