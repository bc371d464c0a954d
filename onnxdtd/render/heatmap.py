"""Heatmaps: the relevance of one sample as a picture.

    image       (C, H, W), (H, W, C), (H, W)    input | relevance, summed over the channels | overlay
    sequence    (C, T), (T, C)                  the signal above a strip of relevance
    table row   (F,)                            horizontal bars, the largest first, of all inputs together
    text        tokens (T,)                     coloured words in reading order

An image is painted at once where a PNG is all that is asked for; the others are charts of matplotlib.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from onnxdtd.errors import UsageError
from onnxdtd.explanation import Explanation
from onnxdtd.inputs.layout import layout_of
from onnxdtd.reading import (
    asked,
    box_in,
    by_sample,
    caption,
    column_names,
    columns,
    images,
    parts,
    text_input,
    title,
    unit,
    words,
)  # fmt: skip
from onnxdtd.render.canvas import DPI, Board, Box, Page
from onnxdtd.render.charts import bars, strip
from onnxdtd.render.images import channels_last, image, picture_of
from onnxdtd.render.painted import Painted
from onnxdtd.render.waterfall import waterfall
from onnxdtd.render.words import word_picture
from onnxdtd.types import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def heatmap(
    relevance: npt.ArrayLike,
    picture: npt.ArrayLike | None = None,
    *,
    values: npt.ArrayLike | None = None,
    layout: str | None = None,
    title: str = "",
    names: Sequence[str] | None = None,
    percentile: float = 99.5,
    caption: str = "",
    box: Box | None = None,
) -> Figure | None:
    """The relevance of one sample (without the batch axis) as a figure; None where its shape has no picture.

    picture: what an image's relevance is laid over, (H, W) or (H, W, 3), uint8 or 0..1. values: the sample's
    input, shown where there is no `picture`. layout: one of LAYOUTS, guessed from the shape by default.
    names: the columns of a table. percentile: of |relevance|, where the colours end. caption: a grey line below the
    title. box: left, top, right, bottom of what is drawn around a part of an image, in pixels of the relevance.
    """
    figure: Figure | None = _drawing(
        relevance, picture,
        values=values, layout=layout, title=title, names=names, percentile=percentile, caption=caption, box=box,
    )  # fmt: skip
    return figure


def _drawing(
    relevance: npt.ArrayLike,
    picture: npt.ArrayLike | None,
    *,
    values: npt.ArrayLike | None,
    layout: str | None,
    title: str,
    names: Sequence[str] | None,
    percentile: float,
    caption: str,
    box: Box | None,
    board: type[Board] = Page,
) -> Any:
    """As `heatmap`; board: what an image is drawn on."""
    array = np.asarray(relevance)
    layout = layout_of(array.shape, layout)
    if layout is None or array.size == 0:
        return None
    shown = None if values is None else np.asarray(values)
    if shown is not None and shown.shape != array.shape:
        raise UsageError(f"values have shape {shown.shape}, the relevance {array.shape}: they must agree")
    if layout == "NF":
        return bars(array, shown, names, title, caption)
    if layout in ("NCT", "NTC", "NT"):
        signal = None if shown is None else time_rows(shown, layout)
        return strip(time_rows(array, layout), signal, title, percentile, caption)
    flat = channels_last(array, layout).sum(axis=-1, dtype=np.float64)
    if picture is None and shown is not None:
        picture = picture_of(shown, layout)
    below = None if picture is None else np.asarray(picture)
    return image(board, flat, below, (title, caption), percentile, box).drawing


def save_heatmap(
    explanation: Explanation,
    path: str | Path,
    sample: int = 0,
    picture: npt.ArrayLike | None = None,
    **how: Any,
) -> Path | None:
    """Draw one sample of an explanation into `path` (.png, .svg, .pdf); None where its shape has no picture. how: as
    for `figure_of`, the board by default what suits the file."""
    board = Painted if Path(path).suffix.lower() == ".png" else Page
    figure = figure_of(explanation, sample, picture, **{"board": board, **how})
    if figure is None:
        return None
    try:
        figure.savefig(path, dpi=DPI)
    except (OSError, ValueError) as error:
        raise UsageError(f"'{path}' cannot be written: {error}") from None
    return Path(path)


def figure_of(
    explanation: Explanation,
    sample: int = 0,
    picture: npt.ArrayLike | None = None,
    *,
    name: str | None = None,
    layout: str | None = None,
    names: Sequence[str] | None = None,
    percentile: float = 99.5,
    board: type[Board] = Page,
) -> Any:
    """One sample of an explanation as a figure; None where its shape has no picture. board: what an image is drawn
    on; `Painted` takes less time, and can be saved as a PNG.

    name: the input to draw, by default the first, or all of them where each is columns of one table, whose row
    adds up to the explained number where the method says so. The rest is as for `heatmap`.
    """
    e, together = by_sample(explanation), columns(explanation) if name is None else ()
    text = text_input(e) if name is None else name if name in e.texts else ""
    if text and layout is None and names is None and picture is None:
        listed = words(e, sample, text)
        return word_picture(listed, title(e, sample), caption(e, sample)) if listed else None
    drawn = together or tuple(e.relevance)[:1] if name is None else (name,)
    if not drawn:
        return None
    if name is not None and name not in e.relevance:
        raise UsageError(f"'{name}' has no relevance: choose among {', '.join(e.relevance)}")
    heading = title(
        e, sample, drawn[0] if drawn[0] in images(e) else ""
    )  # which refuses a sample that is not there
    parts_of = [[arrays[i][sample] for i in drawn] for arrays in (e.relevance, e.inputs)]
    relevance, values = (np.concatenate(part) if together else part[0] for part in parts_of)
    names = names or ([name] if name in columns(e) else column_names(e)) or None
    whole = parts(e, sample)
    if name is None and layout_of(relevance.shape, layout) == "NF" and len(whole) and relevance.size:
        labels = names or [f"[{i}]" for i in range(relevance.size)]
        if len(labels) != relevance.size:
            raise UsageError(f"{len(labels)} names for {relevance.size} inputs: give one for each")
        what = f"{unit(e, sample)} of {asked(e, sample)}"
        return waterfall(relevance, values, labels, whole[1:], what, heading, caption(e, sample))
    return _drawing(
        relevance,
        picture,
        values=values,
        layout=layout,
        title=heading,
        names=names,
        percentile=percentile,
        caption=caption(e, sample),
        box=box_in(e, sample, drawn[0]),
        board=board,
    )


def time_rows(array: Array, layout: str) -> Array:
    """A sequence as (C, T)."""
    return array[None] if layout == "NT" else array.T if layout == "NTC" else array
