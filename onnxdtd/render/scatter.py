"""A map of rows: points in the colours of their clusters, and the eigenvalues that told their number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from onnxdtd.render.canvas import GAP, HEADING, MARGIN, SMALL, Page
from onnxdtd.render.colours import BLUE, FAINT, INK, RED
from onnxdtd.types import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which people of all kinds of sight tell apart.
HUES = ("#56b4e9", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#0072b2", "#8a8a00", "#000000")
NAMES = {"tsne": "t-SNE of the spectral embedding", "umap": "UMAP of the spectral embedding"}
_SIDE, _KEY = 560, 290


def scatter(maps: Mapping[str, Array], labels: Array, eigenvalues: Array, title: str) -> Figure:
    """maps: by name, rows (N, 2). labels: the cluster of each row. eigenvalues: ascending; the gap behind as many as
    there are clusters is marked."""
    count = int(labels.max()) + 1
    page = Page(2 * MARGIN + (len(maps) + 1) * (_SIDE + GAP) + _KEY, HEADING + _SIDE + 50, title)
    left = MARGIN
    for name, points in maps.items():
        axes = page.panel(left, 0, _SIDE, _SIDE, NAMES.get(name, name))
        for label in range(count):
            inside = labels == label
            axes.scatter(
                points[inside, 0], points[inside, 1], s=9, color=HUES[label % len(HUES)], linewidths=0
            )
        axes.set(xticks=[], yticks=[])
        left += _SIDE + GAP
    for label in range(count):
        size = int((labels == label).sum())
        page.text(left, HEADING + 34 * label, f"cluster {label}: {size}", SMALL, HUES[label % len(HUES)])
    left += _KEY
    axes = page.panel(left, 0, _SIDE - GAP, _SIDE, "eigenvalues, and the gap")
    places = np.arange(1, len(eigenvalues) + 1)
    axes.plot(places, eigenvalues, "o", markersize=4, color=BLUE)
    if count < len(eigenvalues):
        axes.plot([count + 0.5] * 2, eigenvalues[count - 1 : count + 1], color=RED, linewidth=2)
    axes.set(xlim=(0.4, len(eigenvalues) + 0.6), xticks=places, ylim=(-0.02, max(0.1, 1.1 * eigenvalues[-1])))
    axes.set_yticks([0, round(float(eigenvalues[-1]), 3)])
    axes.tick_params(labelsize=SMALL, length=2.5, width=0.5, color=FAINT, labelcolor=INK)
    return page.figure
