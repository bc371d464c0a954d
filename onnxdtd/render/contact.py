"""A contact sheet: many explanations on one page, each with what was explained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from onnxdtd.explanation import Explanation
from onnxdtd.inputs.layout import layout_of
from onnxdtd.reading import asked, by_sample, unit
from onnxdtd.render.canvas import MARGIN, SMALL, Page, wrapped
from onnxdtd.render.colours import FAINT, GREY, INK, Scale
from onnxdtd.render.heatmap import time_rows
from onnxdtd.render.images import channels_last, over, picture_of
from onnxdtd.types import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 240  # pixels of a thumbnail's longer side
MOST = 60
ACROSS = 6
_LINE, _GAP, _ROOM = 30, 28, 2600


@dataclass(frozen=True)
class Thumb:
    """One cell: lines of text, and pictures side by side, RGB in 0..255."""

    lines: tuple[str, ...]
    pictures: tuple[npt.NDArray[np.uint8], ...]


def thumb(e: Explanation, name: str, sample: int = 0, picture: Array | None = None) -> Thumb | None:
    """The cell of one sample: what the model was shown, and its relevance over it; of a sequence the relevance. None
    for what has no such picture, as a table has none, or is not finite."""
    e, (first, *_) = by_sample(e), e.relevance
    fired = [finding["name"] for finding in e.findings if finding["fired"]]
    lines: tuple[str, ...] = (name, f"{asked(e, sample)}, {unit(e, sample)} {e.target_value[sample]:.4g}")
    lines += (f"fired: {', '.join(fired)}",) if fired else ()
    return cell(lines, e.relevance[first][sample], e.inputs[first][sample], picture)


def cell(
    lines: tuple[str, ...], relevance: Array, values: Array | None = None, picture: Array | None = None
) -> Thumb | None:
    """The relevance of one sample as a cell: over `picture`, else over what its input's `values` look like, else
    alone. None where it has no picture, or is not finite."""
    layout = layout_of(relevance.shape)
    if layout in (None, "NF") or not relevance.size or not np.isfinite(relevance).all():
        return None
    assert layout is not None
    if layout in ("NCT", "NTC", "NT"):
        rows = time_rows(relevance, layout)
        return Thumb(lines, (_small(Scale.of(rows, 99.5).colours(rows), (SIDE // 2, 2 * SIDE)),))
    flat = channels_last(relevance, layout).sum(axis=-1, dtype=np.float64)
    height, width = flat.shape
    size = (max(1, SIDE * height // max(flat.shape)), max(1, SIDE * width // max(flat.shape)))
    scale = Scale.of(flat, 99.5)
    shown = picture if picture is not None or values is None else picture_of(values, layout)
    if shown is None:
        return Thumb(lines, (_small(scale.colours(flat), size),))
    shown = np.asarray(shown)
    return Thumb(lines, (_small(shown / 255.0, size), _small(over(flat, shown / 255.0, scale), size)))


def sheet(thumbs: Sequence[Thumb], title: str, caption: str = "", across: int | None = None) -> Figure:
    """The cells row by row; across: how many in a row, by default as many as have room."""
    widths = [_width(t) for t in thumbs]
    text = _LINE * max(len(t.lines) for t in thumbs) + 8
    tall = text + max(p.shape[0] for t in thumbs for p in t.pictures)
    across = across or max(1, min(ACROSS, len(thumbs), _ROOM // (max(widths) + _GAP)))
    columns = [max(widths[k::across]) for k in range(min(across, len(thumbs)))]
    starts = [sum(columns[:k]) + k * _GAP for k in range(len(columns))]
    down = -(-len(thumbs) // across)
    page = Page(
        max(2 * MARGIN + sum(columns) + len(columns) * _GAP, 900), down * (tall + _GAP), title, caption
    )
    for k, cell in enumerate(thumbs):
        row, column = divmod(k, across)
        left, top = MARGIN + starts[column], row * (tall + _GAP)
        for i, (line, colour) in enumerate(zip(cell.lines, (INK, GREY, FAINT), strict=False)):
            for words in wrapped(line, columns[column], SMALL, 1):
                page.text(left, top + i * _LINE, words, SMALL, colour)
        for pixels in cell.pictures:
            axes = page.place(left, top + text, pixels.shape[1], pixels.shape[0])
            axes.imshow(pixels, interpolation="nearest", aspect="auto")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set(linewidth=0.5, color=FAINT)
            left += pixels.shape[1] + 6
    return page.figure


def beside(groups: Sequence[Sequence[Thumb]]) -> tuple[list[Thumb], int]:
    """Groups of equal length as cells of which those of a group stand beside one another, and how many cells stand
    in a row: several groups where they have room. A group of more than ACROSS goes on below, and is filled up with
    empty cells."""
    count = len(groups[0])
    if count > ACROSS:
        return [cell for group in groups for cell in [*group, *[Thumb((), ())] * (-count % ACROSS)]], ACROSS
    wide = max(sum(_width(cell) + _GAP for cell in group) for group in groups)
    return [cell for group in groups for cell in group], count * max(
        1, min(ACROSS // count, len(groups), _ROOM // wide)
    )


def _width(cell: Thumb) -> int:
    """Of its pictures; of words alone room to be read."""
    return sum(picture.shape[1] + 6 for picture in cell.pictures) or (SIDE if cell.lines else 0)


def _small(pixels: Array, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """RGB in 0..1 as a picture of this height and width: pixels stay crisp where they grow."""
    image = Image.fromarray(np.rint(255 * np.clip(pixels, 0, 1)).astype(np.uint8))
    grows = size[0] >= pixels.shape[0]
    how = Image.Resampling.NEAREST if grows else Image.Resampling.BOX
    return np.asarray(image.resize((size[1], size[0]), how))
