"""Tensor data in files beside the model: read only from inside the model's own folder.

A model is a stranger's file, and its external data are paths that the stranger chose. Every path is checked
before a byte is read: relative, without `..`, without a symbolic link out of the folder, a regular file with
one name only (a hard link could be any file of the disk).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
from google.protobuf.message import DecodeError
from onnx import GraphProto, ModelProto, NodeProto, TensorProto

from onnxdtd.disk import open_regular
from onnxdtd.errors import ModelError, one_line
from onnxdtd.memory import beyond, fits
from onnxdtd.model.weights import nbytes, split
from onnxdtd.origin import Origin, remember, stamp
from onnxdtd.types import Array


def is_external(tensor: TensorProto) -> bool:
    """Whether the tensor's data are in another file."""
    return bool(tensor.data_location == TensorProto.EXTERNAL)


def read(tensor: TensorProto, folder: Path | None) -> Array:
    """The raw bytes (uint8) of an external tensor of the model in `folder` (None: a model without a file)."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location, size = entries.get("location", ""), nbytes(tensor)
    where = f"tensor '{tensor.name}': external data '{location}'"
    if folder is None:
        raise ModelError(f"{where}: a model in memory has no folder, load it by its path")
    path = _inside(folder, location, where)
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", size))
    except ValueError as error:
        raise ModelError(f"{where}: {one_line(error)}") from None
    if offset < 0 or length != size:
        raise ModelError(f"{where}: offset {offset}, length {length}, but shape and type need {size} bytes")
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise ModelError(f"{where} cannot be opened in '{folder}': {error.strerror}") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(f"{where} is not a regular file")
        if status.st_nlink > 1:
            raise ModelError(f"{where} is refused: a hard link, with {status.st_nlink} names; copy it")
        if offset + size > status.st_size:
            raise ModelError(f"{where} has {status.st_size} bytes, the tensor ends at byte {offset + size}")
        if not fits((size,)):
            raise ModelError(f"{where} {beyond(size)}")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            file.seek(offset)
            data = np.empty(size, np.uint8)
            if file.readinto(data.data) < size:
                raise ModelError(f"{where} changed while it was read")
            remember(data, Origin(path, offset, size, stamp(status)))
            return data
    finally:
        os.close(descriptor)


def embed(model: ModelProto, folder: Path | None) -> None:
    """Move the external data of all tensors but the main graph's initializers into the message."""
    for tensor in tensors(model):
        if is_external(tensor):
            data = read(tensor, folder).tobytes()
            tensor.ClearField("external_data")
            tensor.ClearField("data_location")
            tensor.raw_data = data


def files(path: Path) -> list[Path]:
    """The files beside a model in which its weights lie; of a file that is no model, none."""
    try:
        with open_regular(path) as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(0)
            model = ModelProto.FromString(split(stream, size)[0])
    except (DecodeError, ModelError):
        return []
    apart = [tensor for tensor in (*model.graph.initializer, *tensors(model)) if is_external(tensor)]
    names = {
        entry.value: None for tensor in apart for entry in tensor.external_data if entry.key == "location"
    }
    return [path.parent / name for name in names]


def _inside(folder: Path, location: str, where: str) -> Path:
    """The path of `location` in `folder`, or an error if it leaves the folder."""
    if not location or "\0" in location:
        raise ModelError(f"{where}: no valid file name")
    if any(p.anchor or ".." in p.parts for p in (PurePosixPath(location), PureWindowsPath(location))):
        raise ModelError(f"{where} is refused: it must lie in the model's own folder")
    path, root = Path(os.path.realpath(folder / location)), Path(os.path.realpath(folder))
    if not path.is_relative_to(root):
        raise ModelError(f"{where} is refused: a symbolic link leads out of the model's folder")
    return path


def tensors(model: ModelProto) -> Iterator[TensorProto]:
    """All but the main graph's initializers."""
    for sparse in model.graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _of_nodes(model.graph.node)
    for function in model.functions:
        yield from _of_nodes(function.node)


def _of_nodes(nodes: Iterable[NodeProto]) -> Iterator[TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            for graph in (attribute.g, *attribute.graphs):
                yield from _of_graph(graph)


def _of_graph(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _of_nodes(graph.node)
