"""Masks that say where in a picture the object is, one for each input of the data."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.errors import InputError
from onnxdtd.inputs import IMAGE_SUFFIXES, DataSet, Preprocess
from onnxdtd.inputs.members import members

MASKS = "masks"


def read_masks(
    masks: Any, data: DataSet, preprocess: Preprocess | None
) -> list[npt.NDArray[np.bool_]] | None:
    """(H, W) of each input: from an array (N, H, W), an .npy or .npz of one, or a folder of pictures that have the
    names of the data's, prepared in the same way. What is not 0, in a picture at least half white, is inside. Raises
    InputError."""
    if masks is None:
        return None
    if isinstance(masks, (str, Path)) and Path(masks).is_dir():
        return _folder(Path(masks), data, preprocess)
    if isinstance(masks, (str, Path)):
        if Path(masks).suffix.lower() not in (".npy", ".npz"):
            raise InputError(f"'{masks}': masks are an .npy, an .npz, or a folder of pictures")
        stored = members(Path(masks), (MASKS,))
        if MASKS not in stored:
            raise InputError(f"'{masks}' holds no array '{MASKS}'")
        masks = stored[MASKS].whole()
    array = np.asarray(masks)
    array = array[:, 0] if array.ndim == 4 and array.shape[1] == 1 else array
    if array.ndim < 2 or array.dtype.kind not in "biuf" or len(array) < data.count:
        raise InputError(f"masks are (N, H, W) for {data.count} inputs, not {array.dtype} {array.shape}")
    return [mask != 0 for mask in array[: data.count]]


def digest_of(masks: Sequence[npt.NDArray[np.bool_]]) -> str:
    """The masks as one number."""
    digest = hashlib.sha256()
    for mask in masks:
        digest.update(f"{mask.shape}".encode() + mask.tobytes())
    return digest.hexdigest()


def _folder(folder: Path, data: DataSet, preprocess: Preprocess | None) -> list[npt.NDArray[np.bool_]]:
    if data.names is None or preprocess is None:
        raise InputError(f"'{folder}' holds pictures as masks, and the data are none: give masks as an .npy")
    plain = dataclasses.replace(preprocess, interpolation="nearest")
    return [plain.picture(_of(folder, name)).min(axis=2) >= 128 for name in data.names]


def _of(folder: Path, name: str) -> Path:
    """The mask of a picture: of its name in the folder, with any suffix of pictures."""
    for suffix in (Path(name).suffix, *IMAGE_SUFFIXES):
        path = folder / Path(name).with_suffix(suffix)
        if path.is_file():
            return path
    raise InputError(f"'{folder}' holds no mask for '{name}'")
