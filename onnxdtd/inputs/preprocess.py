"""From a picture to a model's input, as data: how the model was trained to see pictures.

    value = (pixel · scale − mean) / std,    pixel in 0..255, after orientation, resizing and cropping

It stands in a .toml or .json file, or in the model's own metadata beside its input range and class names.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.disk import SETTINGS, parsed_json, read_json, read_toml
from onnxdtd.errors import InputError, ModelError
from onnxdtd.inputs.image import INTERPOLATIONS, Picture, Size, crop, open_image, resize
from onnxdtd.types import Array

CHANNELS = {"RGB": 3, "BGR": 3, "L": 1}
LAYOUTS = ("NCHW", "NHWC")
_LARGEST = 2.0**1000  # within float64, and an integer of any length compares with it


@dataclass(frozen=True)
class Preprocess:
    """How a model wants its pictures; called, it makes an input of batch 1. InputError lists all faults.

    color: "RGB", "BGR" or "L" (grey). resize: an integer (the shorter side, aspect kept), (H, W) or None.
    crop: the centre after resizing, an integer (a square), (H, W) or None. interpolation: "nearest",
    "bilinear", "bicubic", "lanczos", "box", "hamming", as in Pillow, which smooths where it shrinks.
    mean, std: one number, or one for each channel in the order of `color`. layout: "NCHW" or "NHWC".
    """

    color: str = "RGB"
    resize: Size | None = None
    crop: Size | None = None
    interpolation: str = "bilinear"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    layout: str = "NCHW"

    def __post_init__(self) -> None:
        _refuse(list(_faults(vars(self))))

    @classmethod
    def from_mapping(cls, fields: Mapping[str, Any]) -> Preprocess:
        """Keys as the fields are named, lists for tuples. InputError lists unknown keys and all faults."""
        keys = [field.name for field in dataclasses.fields(cls)]
        values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in fields.items()}
        unknown = [f"'{key}' is unknown; the keys are {', '.join(keys)}" for key in values if key not in keys]
        defaults = {field.name: field.default for field in dataclasses.fields(cls)}
        _refuse([*unknown, *_faults({**defaults, **values})])
        return cls(**values)

    @classmethod
    def from_file(cls, path: str | PathLike[str]) -> Preprocess:
        """From a .toml or .json file that holds the fields; InputError names the file."""
        return cls.from_mapping(read_fields(path))

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Preprocess | None:
        """From the model's metadata, key `onnxdtd.preprocess` (JSON); None without it."""
        fields = metadata_fields(metadata)
        return None if fields is None else cls.from_mapping(fields)

    def __call__(self, image: Picture) -> Array:
        """The model's input: float32, (1, C, H, W) or (1, H, W, C)."""
        picture = self._prepare(image)
        pixels = np.asarray(picture.convert("L"))[..., None] if self.color == "L" else np.asarray(picture)
        return self._normalise(pixels[..., ::-1] if self.color == "BGR" else pixels)

    def picture(self, image: Picture) -> npt.NDArray[np.uint8]:
        """What the model is shown, before normalising: uint8 RGB (H, W, 3), to lay a heatmap over."""
        return np.asarray(self._prepare(image), dtype=np.uint8)

    @property
    def input_range(self) -> tuple[Array, Array]:
        """The least and the largest value of each channel, float32, (1, C, 1, 1) or (1, 1, 1, C)."""
        pixels = (np.full((1, 1, CHANNELS[self.color]), p, np.uint8) for p in (0, 255))
        black, white = map(self._normalise, pixels)
        return np.minimum(black, white), np.maximum(black, white)

    def _prepare(self, image: Picture) -> Any:
        picture = open_image(image)
        if self.resize is not None:
            picture = resize(picture, self.resize, self.interpolation)
        return picture if self.crop is None else crop(picture, self.crop)

    def _normalise(self, pixels: npt.NDArray[np.uint8]) -> Array:
        """A batch of one from (H, W, C)."""
        levels = _levels(self.scale, self.mean, self.std)
        planes = [levels[:, c % levels.shape[1]][pixels[..., c]] for c in range(pixels.shape[-1])]
        return np.stack(planes, axis=0 if self.layout == "NCHW" else -1)[None]


@cache
def _levels(scale: float, mean: tuple[float, ...], std: tuple[float, ...]) -> Array:
    """(256, C) or (256, 1): the value of each pixel there can be, in float32, rounded once at the end."""
    pixels = np.arange(256, dtype=np.float64)[:, None]
    return np.asarray((pixels * scale - np.array(mean)) / np.array(std), np.float32)


def read_fields(path: str | PathLike[str]) -> dict[str, Any]:
    """The fields of a .toml or .json file, as they stand there; InputError names the file."""
    path = Path(path)
    readers = {".toml": read_toml, ".json": read_json}
    if path.suffix.lower() not in readers:
        raise InputError(f"'{path}': preprocessing is read from .toml or .json")
    try:
        fields = readers[path.suffix.lower()](path, SETTINGS)
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise InputError(f"'{path}' is not valid {path.suffix[1:].upper()}: {error}") from None
    if not isinstance(fields, dict):
        raise InputError(f"'{path}' does not hold a table of preprocessing fields")
    return fields


def metadata_fields(metadata: Mapping[str, str]) -> dict[str, Any] | None:
    """The fields in the model's metadata, key `onnxdtd.preprocess`, checked; None without it. Raises ModelError."""
    fields = _metadata(metadata, "preprocess")
    if fields is None:
        return None
    if not isinstance(fields, dict):
        raise _wrong("preprocess", "is not a JSON object of preprocessing fields")
    try:
        Preprocess.from_mapping(fields)
    except InputError as error:
        raise ModelError(f"in the model's metadata: {error}") from None
    return fields


def read_metadata_range(metadata: Mapping[str, str]) -> tuple[float, float] | None:
    """The input's range, from the metadata key `onnxdtd.input_range`, JSON [low, high]; None without it."""
    ends = _metadata(metadata, "input_range")
    if ends is None:
        return None
    if not (isinstance(ends, list) and len(ends) == 2 and all(map(_is_number, ends)) and ends[0] < ends[1]):
        raise _wrong("input_range", "is not [low, high]")
    return float(ends[0]), float(ends[1])


def labels(metadata: Mapping[str, str]) -> tuple[str, ...] | None:
    """The class names, from the metadata key `onnxdtd.labels`, a JSON list of strings; None without it."""
    return _names(metadata, "labels")


def features(metadata: Mapping[str, str]) -> tuple[str, ...] | None:
    """The names of a table's columns, from the metadata key `onnxdtd.features`, like `labels`."""
    return _names(metadata, "features")


def _names(metadata: Mapping[str, str], key: str) -> tuple[str, ...] | None:
    names = _metadata(metadata, key)
    if names is None:
        return None
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise _wrong(key, "is not a JSON list of strings")
    return tuple(names)


def _metadata(metadata: Mapping[str, str], key: str) -> Any:
    try:
        return parsed_json(metadata.get(f"onnxdtd.{key}", "null"))
    except ValueError as error:
        raise _wrong(key, f"is not valid JSON: {error}") from None


def _wrong(key: str, problem: str) -> ModelError:
    return ModelError(f"the model's metadata 'onnxdtd.{key}' {problem}")


def _refuse(faults: list[str]) -> None:
    if faults:
        raise InputError("\n".join(f"preprocess: {fault}" for fault in faults))


def _faults(fields: Mapping[str, Any]) -> Iterator[str]:
    """One line for each field whose value cannot be."""
    choices = {"color": tuple(CHANNELS), "layout": LAYOUTS, "interpolation": tuple(INTERPOLATIONS)}
    for name, allowed in choices.items():
        if fields[name] not in allowed:
            yield f"'{name}' is {fields[name]!r}, not one of {', '.join(allowed)}"
    for name in ("resize", "crop"):
        if not _is_size(fields[name]):
            yield f"'{name}' is {fields[name]!r}, not a positive integer or [height, width]"
    if not _is_number(fields["scale"]) or fields["scale"] == 0:
        yield f"'scale' is {fields['scale']!r}, not a number other than 0"
    channels = CHANNELS[fields["color"]] if fields["color"] in choices["color"] else 3
    for name in ("mean", "std"):
        numbers = fields[name]
        if not (
            isinstance(numbers, tuple) and len(numbers) in (1, channels) and all(map(_is_number, numbers))
        ):
            yield f"'{name}' is {numbers!r}, not a list of " + (
                "1 number" if channels == 1 else "1 or 3 numbers"
            )
        elif name == "std" and 0 in numbers:
            yield f"'std' is {numbers!r}: it divides, so it cannot be 0"


def _is_size(size: Any) -> bool:
    sides = size if isinstance(size, tuple) and len(size) == 2 else (size,)
    return size is None or all(type(side) is int and side > 0 for side in sides)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < _LARGEST
