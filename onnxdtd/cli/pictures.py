"""What the options say of how pictures are prepared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from onnxdtd.errors import Faults, InputError, UsageError
from onnxdtd.inputs import IMAGE_SUFFIXES, Preprocess, preparation
from onnxdtd.inputs.files import ARCHIVE
from onnxdtd.inputs.members import members
from onnxdtd.inputs.preprocess import metadata_fields, read_fields
from onnxdtd.inputs.presets import fields_of
from onnxdtd.loaded import Loaded
from onnxdtd.printing import is_whole

NAMES = ("labels", "features")
"""Options that stand beside those of pictures, and name classes and columns."""
BASED = " based"
"""Whether a file or a preset says how, so that the metadata do not count."""


def asked_fields(
    file: Path | None, image: Mapping[str, Any], inputs: Sequence[Path]
) -> dict[str, Any] | None:
    """How pictures are prepared by the options: flags, over the file, over the preset; None without such options.
    Raises UsageError where none of the inputs is a picture, InputError for all that cannot be read."""
    flags = {name: value for name, value in image.items() if value is not None and name not in NAMES}
    if not flags and not file:
        return None
    if not any(map(_may_be_pictures, inputs)):
        names = ", ".join(f"--{name}" for name in (*(["preprocess"] if file else []), *flags))
        raise UsageError(
            f"'{inputs[0] if inputs else '--text'}' is not an image, nor pixels of uint8, which {names} would "
            "prepare: leave them out"
        )
    faults, fields = Faults(), dict[str, Any]()
    for name, read in (("resize", _size), ("crop", _size), ("mean", _numbers), ("std", _numbers)):
        if name in flags:
            with faults:
                flags[name] = read(name, flags.pop(name))
    with faults:
        fields |= fields_of(flags.pop("preset")) if "preset" in flags else {}
    with faults:
        fields |= read_fields(file) if file else {}
    with faults:
        Preprocess.from_mapping(
            {name: value for name, value in {**fields, **flags}.items() if name != "preset"}
        )
    faults.stop()
    return {**fields, **flags, BASED: bool(fields)}


def preparing(loaded: Loaded, fields: Mapping[str, Any] | None) -> Preprocess | None:
    """The preprocessing of these fields: flags alone change what the metadata say, and what is open is as the model's
    shape tells. None where neither options nor metadata say anything."""
    graph = loaded.preparing(fields).graph
    if fields is None:
        return preparation(graph, None)
    own = {name: value for name, value in fields.items() if name != BASED}
    return preparation(graph, own if fields[BASED] else {**(metadata_fields(graph.metadata) or {}), **own})


def _may_be_pictures(path: Path) -> bool:
    """Whether the path can hold pictures: a folder, an archive, an image, uint8, or what nobody can read."""
    suffix = path.suffix.lower()
    if suffix not in (".npy", ".npz") or not path.is_file():
        return suffix in (*IMAGE_SUFFIXES, ARCHIVE) or path.is_dir()
    try:
        return any(member.dtype == np.uint8 for member in members(path, ("",)).values())
    except InputError:
        return True


def _size(name: str, text: str) -> int | tuple[int, int]:
    parts = text.replace("x", ",").split(",")
    if len(parts) > 2 or not all(is_whole(part.strip()) for part in parts):
        raise InputError(f"--{name} {text}: give one number, or height and width as in 224,320")
    sizes = [int(part) for part in parts]
    return sizes[0] if len(sizes) == 1 else (sizes[0], sizes[1])


def _numbers(name: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"--{name} {text}: give one number, or one for each channel with commas between"
        ) from None
