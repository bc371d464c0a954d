"""Heatmaps: the relevance of one sample as a picture.

    image       (C, H, W), (H, W, C), (H, W)    input | relevance, summed over the channels | overlay
    sequence    (C, T), (T, C)                  the signal above a strip of relevance
    table row   (F,)                            horizontal bars, the largest first, of all inputs together

Every figure stands alone (no pyplot, no global state); sizes are in pixels, so that image pixels stay crisp.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from onnxdtd.errors import UsageError
from onnxdtd.explanation import Explanation
from onnxdtd.inputs.layout import layout_of
from onnxdtd.reading import (
    asked,
    box_in,
    caption,
    column_names,
    columns,
    images,
    in_pixels,
    parts,
    title,
    unit,
)  # fmt: skip
from onnxdtd.render.canvas import BAR_SPACE, DPI, GAP, HEADING, MARGIN, Page, draw_bar
from onnxdtd.render.charts import bars, strip
from onnxdtd.render.colours import INK, Scale
from onnxdtd.render.waterfall import waterfall
from onnxdtd.types import Array

_PANEL = 600  # pixels of a panel's longer side, more or less
_LEAST = 150  # room for a heading above a narrow panel
_LEAST_BAR = 360


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
    box: tuple[float, float, float, float] | None = None,
) -> Figure | None:
    """The relevance of one sample (without the batch axis) as a figure; None where its shape has no picture.

    picture: what an image's relevance is laid over, (H, W) or (H, W, 3), uint8 or 0..1. values: the sample's
    input, shown where there is no `picture`. layout: one of LAYOUTS, guessed from the shape by default.
    names: the columns of a table. percentile: of |relevance|, where the colours end. caption: a grey line below the
    title. box: left, top, right, bottom of what is drawn around a part of an image, in pixels of the relevance.
    """
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
    below = None if picture is None else _rgb(np.asarray(picture), flat.shape)
    return _image(flat, below, (title, caption), percentile, box)


def save_heatmap(
    explanation: Explanation,
    path: str | Path,
    sample: int = 0,
    picture: npt.ArrayLike | None = None,
    **how: Any,
) -> Path | None:
    """Draw one sample of an explanation into `path` (.png, .svg, .pdf); None where its shape has no picture. how: as
    for `figure_of`."""
    figure = figure_of(explanation, sample, picture, **how)
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
) -> Figure | None:
    """One sample of an explanation as a figure; None where its shape has no picture.

    name: the input to draw, by default the first, or all of them where each is columns of one table, whose row
    adds up to the explained number where the method says so. The rest is as for `heatmap`.
    """
    e, together = explanation, columns(explanation) if name is None else ()
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
    names = names or column_names(e) or None
    whole = parts(e, sample)
    if name is None and layout_of(relevance.shape, layout) == "NF" and len(whole) and relevance.size:
        labels = names or [f"[{i}]" for i in range(relevance.size)]
        if len(labels) != relevance.size:
            raise UsageError(f"{len(labels)} names for {relevance.size} inputs: give one for each")
        what = f"{unit(e, sample)} of {asked(e, sample)}"
        return waterfall(relevance, values, labels, whole[1:], what, heading, caption(e, sample))
    return heatmap(
        relevance,
        picture,
        values=values,
        layout=layout,
        title=heading,
        names=names,
        percentile=percentile,
        caption=caption(e, sample),
        box=box_in(e, sample, drawn[0]),
    )


def picture_of(array: npt.ArrayLike, layout: str | None = None) -> npt.NDArray[np.uint8]:
    """An input array (without the batch axis) to look at: uint8 RGB, its range stretched to 0..255.

    Three channels are taken for colours, any other number is averaged to grey.
    """
    pixels = np.asarray(array, dtype=np.float64)
    layout = layout_of(pixels.shape, layout)
    if layout not in ("NCHW", "NHWC", "NHW"):
        raise UsageError(f"an array of shape {pixels.shape} is not an image: name its layout, such as NCHW")
    pixels = channels_last(pixels, layout)
    if pixels.shape[-1] != 3:
        pixels = pixels.mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    low, high = pixels.min(), pixels.max()
    return np.asarray(np.rint(255 * (pixels - low) / ((high - low) or 1.0)), dtype=np.uint8)


def channels_last(array: Array, layout: str) -> Array:
    """An image as (H, W, C)."""
    if layout == "NHW":
        return array[..., None]
    return np.moveaxis(array, 0, -1) if layout == "NCHW" else array


def time_rows(array: Array, layout: str) -> Array:
    """A sequence as (C, T)."""
    return array[None] if layout == "NT" else array.T if layout == "NTC" else array


def _rgb(picture: Array, size: tuple[int, ...]) -> Array:
    """RGB in 0..1, of the relevance's height and width."""
    if picture.shape[:2] != size or picture.ndim not in (2, 3) or picture.shape[2:] not in ((), (1,), (3,)):
        wanted = f"({size[0]}, {size[1]}) or ({size[0]}, {size[1]}, 3)"
        raise UsageError(
            f"the picture has shape {picture.shape}, not {wanted}: crop it as the model's input is"
        )
    pixels = picture / 255.0 if picture.dtype == np.uint8 else picture
    if not (pixels.dtype.kind == "f" and pixels.min() >= 0 and pixels.max() <= 1):
        raise UsageError(f"the picture's {picture.dtype} pixels are neither uint8 nor within 0..1")
    return np.broadcast_to(pixels.reshape(*size, -1), (*size, 3))


def _image(
    relevance: Array,
    picture: Array | None,
    heading: tuple[str, str],
    percentile: float,
    box: tuple[float, float, float, float] | None,
) -> Figure:
    scale = Scale.of(relevance, percentile)
    panels = {"relevance": scale.colours(relevance)}
    if picture is not None:
        panels = {"input": picture, **panels, "overlay": over(relevance, picture, scale)}
    height, width, whole = _panel_size(*relevance.shape)
    cell = max(width, _LEAST)
    stacked = width > 1.7 * height
    rows, columns = (len(panels), 1) if stacked else (1, len(panels))
    tall = max(rows * (HEADING + height + GAP) - GAP, HEADING + _LEAST_BAR)
    side = MARGIN + columns * (cell + GAP)
    page = Page(side + BAR_SPACE, tall, *heading)
    for i, (name, pixels) in enumerate(panels.items()):
        row, column = (i, 0) if stacked else (0, i)
        left, top = MARGIN + column * (cell + GAP), row * (HEADING + height + GAP)
        axes = page.panel(left, top, width, height, name)
        axes.imshow(pixels, interpolation="nearest" if whole else "antialiased", aspect="auto")
        axes.set(xticks=[], yticks=[])
        if box is not None:
            x, y, right, bottom = in_pixels(box, relevance.shape)
            frame: dict[str, Any] = {
                "fill": False,
                "edgecolor": INK,
                "linewidth": 1.0,
                "linestyle": (0, (4, 2)),
            }
            axes.add_patch(Rectangle((x - 0.5, y - 0.5), right - x, bottom - y, **frame))
    draw_bar(page, scale, side, HEADING, tall - HEADING)
    return page.figure


def _panel_size(height: int, width: int) -> tuple[int, int, bool]:
    """A panel's pixels, and whether each image pixel is a square of whole pixels in it."""
    longer = max(height, width)
    if longer <= 2 * _PANEL:
        zoom = max(1, round(_PANEL / longer))
        return zoom * height, zoom * width, True
    return max(1, height * _PANEL // longer), max(1, width * _PANEL // longer), False


def over(relevance: Array, picture: Array, scale: Scale) -> Array:
    """The colours over a light grey picture, opaque where the relevance is large."""
    grey = 0.76 + 0.24 * (picture @ [0.299, 0.587, 0.114])
    alpha = np.abs(scale.normal(relevance))[..., None] ** 0.75
    return (1 - alpha) * grey[..., None] + alpha * scale.colours(relevance)
