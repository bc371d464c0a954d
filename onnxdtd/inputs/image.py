"""Picture files as upright 8-bit RGB, resized and cropped the way training code does it."""

from __future__ import annotations

import warnings
from io import BytesIO
from os import PathLike, fspath

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from onnxdtd.disk import open_regular
from onnxdtd.errors import InputError, one_line

Size = int | tuple[int, int]
Picture = str | PathLike[str] | BytesIO | Image.Image | npt.NDArray[np.uint8]
"""A path, the bytes of a file, a PIL image, or pixels (H, W) or (H, W, C) of uint8."""

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif")

_NAMES = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")
INTERPOLATIONS = {name: Image.Resampling[name.upper()] for name in _NAMES}


def open_image(image: Picture) -> Image.Image:
    """An upright RGB picture, 8 bits a channel; of an animation, the first frame.

    EXIF orientation is applied, transparency laid on white, 16 bits are scaled to 8. InputError: not there,
    not an image, damaged, too many pixels (Pillow's limit), or pixels of no known range.
    """
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image[..., 0] if image.shape[2:] == (1,) else image)
    if isinstance(image, Image.Image):
        return _upright_rgb(image, "the image")
    name = "the picture" if isinstance(image, BytesIO) else f"'{fspath(image)}'"
    try:
        with warnings.catch_warnings(), image if isinstance(image, BytesIO) else open_regular(image) as file:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as picture:
                return _upright_rgb(picture, name)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{name} is not there") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        limit = f"{Image.MAX_IMAGE_PIXELS or 0:,} pixels"
        raise InputError(f"{name} holds more than {limit}: make it smaller first") from None
    except UnidentifiedImageError:
        raise InputError(f"{name} is not an image that Pillow can read") from None
    except Exception as error:  # Pillow's readers raise anything
        raise InputError(f"{name} is damaged: {one_line(error)}") from None


def resize(picture: Image.Image, size: Size, interpolation: str) -> Image.Image:
    """To (H, W), or the shorter side to an integer and the longer one in proportion, rounded down."""
    height, width = picture.height, picture.width
    if isinstance(size, int):
        short = min(height, width)
        size = size * height // short, size * width // short
    if Image.MAX_IMAGE_PIXELS and size[0] * size[1] > Image.MAX_IMAGE_PIXELS:
        raise InputError(
            f"resizing {height} x {width} to {size[0]} x {size[1]} (H x W) is too large: give both sides"
        )
    return picture.resize((size[1], size[0]), INTERPOLATIONS[interpolation])


def crop(picture: Image.Image, size: Size) -> Image.Image:
    """The centre: a square of an integer side, or (H, W); InputError where the picture is smaller."""
    height, width = (size, size) if isinstance(size, int) else size
    if height > picture.height or width > picture.width:
        picture_size = f"{picture.height} x {picture.width}"
        raise InputError(
            f"crop {height} x {width} is larger than the picture, {picture_size} (H x W): set resize"
        )
    top, left = round((picture.height - height) / 2), round((picture.width - width) / 2)
    return picture.crop((left, top, left + width, top + height))


def _eight_bits(picture: Image.Image, name: str) -> Image.Image:
    """Grey of 16 bits to 8, where plain conversion would clip; "I" is an older Pillow's 16-bit PNG."""
    if picture.mode == "F" or (picture.mode == "I" and picture.format != "PNG"):
        kind = "floating-point" if picture.mode == "F" else "32-bit"
        raise InputError(f"{name} has {kind} pixels, whose range is unknown: save it with 8 or 16 bits")
    if not picture.mode.startswith("I"):
        return picture
    exif = picture.getexif()
    scaled = Image.fromarray(np.rint(np.asarray(picture).astype(np.float64) / 257).astype(np.uint8))
    scaled.getexif().update(exif)
    return scaled


def _upright_rgb(picture: Image.Image, name: str) -> Image.Image:
    picture = ImageOps.exif_transpose(_eight_bits(picture, name))
    if "A" in picture.getbands() or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")
