"""Images: input, relevance and overlay side by side.

Sizes are in pixels, so that image pixels stay crisp.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from onnxdtd.errors import UsageError
from onnxdtd.inputs.layout import layout_of
from onnxdtd.reading import in_pixels
from onnxdtd.render.canvas import BAR_SPACE, GAP, HEADING, MARGIN, Board, Box
from onnxdtd.render.colours import Scale
from onnxdtd.types import Array

_PANEL = 600  # pixels of a panel's longer side, more or less
_LEAST = 150  # room for a heading above a narrow panel
_LEAST_BAR = 360


def image(
    board: type[Board],
    relevance: Array,
    picture: Array | None,
    heading: tuple[str, str],
    percentile: float,
    box: Box | None,
) -> Board:
    """The relevance (H, W) of an image, and of what it is laid over, on a board. The rest is as for `heatmap`."""
    scale = Scale.of(relevance, percentile)
    panels = {"relevance": scale.colours(relevance)}
    if picture is not None:
        below = _rgb(picture, relevance.shape)
        panels = {"input": below, **panels, "overlay": over(relevance, below, scale)}
    height, width = _panel_size(*relevance.shape)
    cell = max(width, _LEAST)
    stacked = width > 1.7 * height
    rows, columns = (len(panels), 1) if stacked else (1, len(panels))
    tall = max(rows * (HEADING + height + GAP) - GAP, HEADING + _LEAST_BAR)
    side = MARGIN + columns * (cell + GAP)
    page = board(side + BAR_SPACE, tall, *heading)
    frame = None if box is None else in_pixels(box, relevance.shape)
    for i, (name, pixels) in enumerate(panels.items()):
        row, column = (i, 0) if stacked else (0, i)
        left, top = MARGIN + column * (cell + GAP), row * (HEADING + height + GAP)
        page.image(left, top, width, height, pixels, name, frame)
    page.bar(scale, side, HEADING, tall - HEADING)
    return page


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


def _rgb(picture: Array, size: tuple[int, ...]) -> Array:
    """RGB in 0..1, of the relevance's height and width."""
    if picture.shape[:2] != size or picture.ndim not in (2, 3) or picture.shape[2:] not in ((), (1,), (3,)):
        fitting = f"({size[0]}, {size[1]}) or ({size[0]}, {size[1]}, 3)"
        raise UsageError(
            f"the picture has shape {picture.shape}, not {fitting}: crop it as the model's input is"
        )
    pixels = picture / 255.0 if picture.dtype == np.uint8 else picture
    if not (pixels.dtype.kind == "f" and pixels.min() >= 0 and pixels.max() <= 1):
        raise UsageError(f"the picture's {picture.dtype} pixels are neither uint8 nor within 0..1")
    return np.broadcast_to(pixels.reshape(*size, -1), (*size, 3))


def _panel_size(height: int, width: int) -> tuple[int, int]:
    """A panel's height and width in pixels: each image pixel is a square of whole ones, where it can be."""
    longer = max(height, width)
    if longer <= 2 * _PANEL:
        zoom = max(1, round(_PANEL / longer))
        return zoom * height, zoom * width
    return max(1, height * _PANEL // longer), max(1, width * _PANEL // longer)


def over(relevance: Array, picture: Array, scale: Scale) -> Array:
    """The colours over a light grey picture, opaque where the relevance is large."""
    grey = 0.76 + 0.24 * (picture @ [0.299, 0.587, 0.114])
    alpha = np.abs(scale.normal(relevance))[..., None] ** 0.75
    return (1 - alpha) * grey[..., None] + alpha * scale.colours(relevance)
