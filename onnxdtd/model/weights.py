"""A model file in two parts: the skeleton, which protobuf parses, and the weights, read straight into arrays.

Parsed whole, a model stands in memory three times: its bytes, the message, the arrays. So the bytes are
scanned along one path, `ModelProto.graph / GraphProto.initializer / TensorProto.raw_data`: long raw data on
it become aligned arrays at once, and everything else is copied to the skeleton.
"""

from __future__ import annotations

import math
from io import BufferedIOBase

import numpy as np
from onnx import SparseTensorProto, TensorProto, helper, numpy_helper

from onnxdtd.errors import ModelError, one_line
from onnxdtd.types import Array

SMALL = 1024
"""Bytes up to which a tensor stays in the skeleton: shapes and axes, which shape inference reads."""

_PATH = (7, 5, 9)
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_PACKED = {"INT2": 2, "UINT2": 2, "INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "FLOAT6E2M3": 6, "FLOAT6E3M2": 6}
_BITS = {kind: _PACKED[name] for name, kind in TensorProto.DataType.items() if name in _PACKED}
_LARGEST_SPARSE = 1 << 28


def split(stream: BufferedIOBase, size: int) -> tuple[bytes, dict[int, Array]]:
    """The skeleton of the `size` bytes in `stream`, and what it lacks: raw data by initializer index."""
    scanner = _Scanner(stream, size)
    return bytes(scanner.message(size)), scanner.weights


def to_array(tensor: TensorProto, data: Array | None = None) -> Array:
    """The tensor as a read-only array; `data` are its raw bytes (uint8) where they are not in the message."""
    where = f"tensor '{tensor.name}' of shape {list(tensor.dims)}"
    if data is not None:
        if data.nbytes != (size := nbytes(tensor)):
            raise ModelError(f"{where} has {data.nbytes} bytes of data, its shape and type need {size}")
        if tensor.data_type not in _BITS:
            array: Array = data.view(helper.tensor_dtype_to_np_dtype(tensor.data_type)).reshape(tensor.dims)
            array.flags.writeable = False
            return array
        tensor = TensorProto(dims=tensor.dims, data_type=tensor.data_type, raw_data=data.tobytes())
    try:
        array = numpy_helper.to_array(tensor)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise ModelError(f"{where} cannot be read: {one_line(error)}") from None
    array.flags.writeable = False
    return array


def dense(sparse: SparseTensorProto) -> Array:
    """The sparse tensor as an array; its indices are linear [n] or coordinates [n, rank]."""
    values, indices = to_array(sparse.values), to_array(sparse.indices)
    shape, where = tuple(sparse.dims), f"sparse tensor '{sparse.values.name}' of shape {list(sparse.dims)}"
    if min(shape, default=0) < 0 or math.prod(shape) > _LARGEST_SPARSE:
        raise ModelError(f"{where} is too large to be made dense: store it as a dense initializer")
    array = np.zeros(shape, values.dtype)
    try:
        places = np.ravel_multi_index(tuple(indices.T), shape) if indices.ndim == 2 else indices
        if places.size and not 0 <= places.min() <= places.max() < array.size:
            raise ValueError("an index lies outside")
        array.reshape(-1)[places] = values
    except (ValueError, IndexError, TypeError) as error:
        raise ModelError(f"{where} cannot be read: {one_line(error)}") from None
    array.flags.writeable = False
    return array


def nbytes(tensor: TensorProto) -> int:
    """How many bytes the raw data of a tensor of this shape and type have."""
    try:
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    except KeyError:
        raise ModelError(f"tensor '{tensor.name}' has the unknown element type {tensor.data_type}") from None
    if min(tensor.dims, default=0) < 0 or dtype.hasobject:
        raise ModelError(f"tensor '{tensor.name}' of shape {list(tensor.dims)} cannot have raw data")
    bits = _BITS.get(tensor.data_type, 8 * dtype.itemsize)
    return int(-(-math.prod(tensor.dims) * bits // 8))


NOT_ONNX = "this is not an ONNX model: its bytes are not a protobuf ModelProto"
_SHRUNK = "the file changed while it was read"


class _Scanner:
    """Reads protobuf's wire format: (key, value) pairs, where key = field number << 3 | wire type."""

    def __init__(self, stream: BufferedIOBase, size: int) -> None:
        self.stream, self.size, self.at = stream, size, 0
        self.in_graph, self.initializers = False, 0
        self.weights: dict[int, Array] = {}

    def message(self, end: int, depth: int = 0) -> bytearray:
        """Copy the message that ends at byte `end` without its long raw data; `depth`: where on the path."""
        skeleton = bytearray()
        while self.at < end:
            key = self.varint(end)
            number, kind = key >> 3, key & 7
            if kind == _VARINT:
                skeleton += _varint(key) + _varint(self.varint(end))
            elif kind in (_FIXED32, _FIXED64):
                skeleton += _varint(key) + self.take(4 if kind == _FIXED32 else 8, end)
            elif kind == _LENGTH:
                size = self.varint(end)
                on_path = number == _PATH[depth]
                if on_path and depth == 2 and size > SMALL:
                    self.weights[self.initializers] = self.array(size, end)
                    continue
                if on_path and depth < 2:
                    self.in_graph = True
                    self.require(size, end)
                    body = self.message(self.at + size, depth + 1)
                    self.initializers += depth == 1
                else:
                    body = bytearray(self.take(size, end))
                skeleton += _varint(key) + _varint(len(body)) + body
            else:
                raise ModelError(NOT_ONNX)
        return skeleton

    def require(self, size: int, end: int) -> None:
        if self.at + size > end:
            if not self.in_graph:
                raise ModelError(NOT_ONNX)
            what = "the file is truncated" if self.at + size > self.size else "the file is damaged"
            raise ModelError(f"{what}: byte {self.at} announces {size} bytes, {end - self.at} are left")

    def take(self, size: int, end: int) -> bytes:
        self.require(size, end)
        self.at += size
        data = self.stream.read(size)
        if len(data) < size:
            raise ModelError(_SHRUNK)
        return data

    def array(self, size: int, end: int) -> Array:
        self.require(size, end)
        self.at += size
        data = np.empty(size, np.uint8)
        if self.stream.readinto(data.data) < size:
            raise ModelError(_SHRUNK)
        return data

    def varint(self, end: int) -> int:
        value = shift = 0
        while shift < 70:
            byte = self.take(1, end)[0]
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
        raise ModelError(NOT_ONNX)


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
