"""What a user hands over in Python: arrays of any library, a path, pictures, or a dict of these by input name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from onnxdtd.errors import InputError, one_line
from onnxdtd.inputs.arrays import check_inputs
from onnxdtd.inputs.files import read_inputs
from onnxdtd.inputs.pixels import is_pixels, prepared_pixels
from onnxdtd.inputs.preprocess import Preprocess
from onnxdtd.inputs.presets import refuse_unprepared
from onnxdtd.inputs.tokenizer import Reader
from onnxdtd.model.graph import Value
from onnxdtd.tokens import Spelled
from onnxdtd.types import Array


def feeds_of(
    x: Any,
    values: Mapping[str, Value],
    preprocess: Preprocess | None = None,
    features: Sequence[str] | None = None,
    reader: Reader | None = None,
) -> dict[str, Array]:
    """The model's checked inputs by name.

    x: an array (N, ...) of NumPy, torch, or whatever NumPy reads; the path of a file, see `read_inputs`; a PIL image,
    or a list of images or of paths of images, which `preprocess` makes arrays; or a dict of these by input name.
    Pixels of uint8 are prepared where the model takes floating-point pictures. With a reader a str is a text, and so
    are pairs and lists of them; a file is a Path then. Raises InputError.
    """
    if isinstance(x, Spelled):
        return Spelled(check_inputs(x, values), x.texts)
    if reader is not None and (texts := reader.texts_in(x)) is not None:
        return reader.read(texts, values)
    if isinstance(x, (str, PathLike)):
        return read_inputs(Path(x), values, preprocess, features)
    if isinstance(x, Mapping):
        return check_inputs(
            {name: _array(part, values.get(name), preprocess) for name, part in x.items()}, values
        )
    (value, *others) = values.values()
    return check_inputs(_array(x, None if others else value, preprocess), values)


def _array(x: Any, value: Value | None, preprocess: Preprocess | None) -> Any:
    """x as what NumPy takes for an array; check_inputs says where it is none."""
    pictures = [x] if _is_picture(x) else list(x) if isinstance(x, (list, tuple)) else []
    if pictures and all(map(_is_picture, pictures)):
        if preprocess is None:
            raise refuse_unprepared(pictures[0] if isinstance(pictures[0], (str, PathLike)) else "the input")
        return np.concatenate([preprocess(picture) for picture in pictures])
    if hasattr(x, "detach") and hasattr(x, "cpu"):  # a torch tensor, perhaps on a GPU and with a gradient
        x = _tensor(x.detach().cpu())
    if isinstance(x, np.ndarray) and value is not None and preprocess and is_pixels(x.shape, x.dtype, value):
        return prepared_pixels(x, preprocess)
    return x


def _tensor(tensor: Any) -> Array:
    try:
        return np.asarray(tensor)
    except TypeError:  # NumPy has no bfloat16
        try:
            return np.asarray(tensor.float())
        except (TypeError, ValueError, RuntimeError) as error:
            raise InputError(f"the tensor cannot be made an array: {one_line(error)}") from None


def _is_picture(x: Any) -> bool:
    return isinstance(x, (str, PathLike, Image.Image))
