"""Constants that a session reads where they lie in memory, so that they are there once.

onnxruntime wants to know of such a constant twice: what it is, for what it prepares before it runs, and where it is
to be read from when it runs. The first it copies while it starts, unless a file has the same bytes.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

from onnxdtd.origin import Origin, origin_of
from onnxdtd.types import Arrays

SMALL = 1024
"""Bytes up to which a constant stands in the serialised model."""
FOLDER = "session.model_external_initializers_file_folder_path"


def refer(model: onnx.ModelProto, constants: Arrays, options: ort.SessionOptions) -> list[Any]:
    """Add the constants to the model, large ones by reference; what is returned must live as long as the session."""
    origins = _origins(constants)
    if origins:
        options.add_session_config_entry(FOLDER, str(next(iter(origins.values())).path.parent))
    names, tensors = [], []
    for name, array in constants.items():
        if array.nbytes <= SMALL or array.dtype == object:
            model.graph.initializer.append(numpy_helper.from_array(array, name))
            continue
        place = origins[name][:3] if name in origins else (Path("memory"),)
        model.graph.initializer.append(outside(name, array, *place))
        names.append(name)
        tensors.append(ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array)))
        options.add_initializer(name, tensors[-1])
    elsewhere = [(name, tensor) for name, tensor in zip(names, tensors, strict=True) if name not in origins]
    options.add_external_initializers([name for name, _ in elsewhere], [tensor for _, tensor in elsewhere])
    return [*tensors, constants]


def outside(name: str, array: Any, path: Path, *span: int) -> onnx.TensorProto:
    """The constant without its bytes, which lie in a file of the same folder; span: the first of them there, and how
    many they are."""
    tensor = onnx.TensorProto(name=name, dims=array.shape, data_location=onnx.TensorProto.EXTERNAL)
    tensor.data_type = helper.np_dtype_to_tensor_dtype(array.dtype)
    place = {"location": path.name} | dict(zip(("offset", "length"), map(str, span), strict=False))
    tensor.external_data.extend(
        onnx.StringStringEntryProto(key=key, value=value) for key, value in place.items()
    )
    return tensor


def _origins(constants: Arrays) -> dict[str, Origin]:
    """Of those that lie in files of one folder, the one with the most of them, and are still there as they were."""
    origins = {name: origin for name, array in constants.items() if (origin := origin_of(array)) is not None}
    holds = {path: origin.holds for path, origin in {o.path: o for o in origins.values()}.items()}
    folders = Counter[Path]()
    for origin in origins.values():
        folders[origin.path.parent] += origin.length if holds[origin.path] else 0
    folder = max(folders, key=folders.__getitem__, default=None)
    return {name: o for name, o in origins.items() if holds[o.path] and o.path.parent == folder}
