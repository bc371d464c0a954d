"""Arrays of uint8 pixels, one picture or many, made a model's input as picture files are."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxdtd.inputs.preprocess import Preprocess
from onnxdtd.model.graph import Value
from onnxdtd.types import Array

_BANDS = (1, 3, 4)


def is_pixels(shape: tuple[int, ...], dtype: np.dtype[Any], value: Value) -> bool:
    """Whether an array can be pictures for this input: uint8 where the model takes floating-point (N, ., ., .)."""
    takes_pictures = value.is_float and (value.shape is None or len(value.shape) == 4)
    return dtype == np.uint8 and len(shape) in (2, 3, 4) and takes_pictures


def is_one_picture(shape: tuple[int, ...]) -> bool:
    """(H, W) or (H, W, C) of up to four channels; else the first axis counts pictures."""
    return len(shape) == 2 or (len(shape) == 3 and shape[2] in _BANDS)


def prepared_pixels(pixels: Array, preprocess: Preprocess) -> Array:
    """One picture, or many (N, H, W), (N, H, W, C), (N, C, H, W), as the model's input (N, ...)."""
    pictures = pixels[None] if is_one_picture(pixels.shape) else pixels
    return np.concatenate([preprocess(one_picture(picture)) for picture in pictures])


def one_picture(pixels: Array) -> Array:
    """(H, W) or (H, W, C), from (C, H, W) too."""
    if pixels.ndim == 3 and pixels.shape[0] in _BANDS and pixels.shape[2] not in _BANDS:
        pixels = np.moveaxis(pixels, 0, -1)
    return np.ascontiguousarray(pixels)
