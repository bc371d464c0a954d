"""Read a model: file or bytes -> checked, functions inlined, shapes inferred -> `Graph`.

The file is a stranger's. Whatever is wrong with it ends in one `ModelError` line, and nothing outside its own
folder is read (see `external`). Weights are read once, into arrays (see `weights`); the checker and the shape
inference see a skeleton in which long weights are graph inputs of the same type and shape.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

from onnxdtd.disk import open_regular
from onnxdtd.errors import ModelError, UsageError, one_line
from onnxdtd.model import external, weights
from onnxdtd.model.definitions.table import STANDARD_INTEGERS, UNCHECKED
from onnxdtd.model.foreign import without_foreign
from onnxdtd.model.functions import EXPANDED, all_nodes, expand, inline, is_standard, rewrite_contrib
from onnxdtd.model.graph import Graph, Node, Value
from onnxdtd.model.mend import checkable, mend
from onnxdtd.model.shapes import infer
from onnxdtd.model.weights import SMALL
from onnxdtd.types import Array

_LFS = b"version https://git-lfs.github.com/spec"
_ORT = b"ORTM"
"""What onnxruntime's own format has at byte 4."""
_LAST_VERSION = 2**31 - 1  # of an operator set: onnx holds it in 32 bits


def load(source: str | os.PathLike[str] | bytes | ModelProto) -> Graph:
    """Read an ONNX model from a path, its bytes or a ModelProto.

    Constants are the initializers, in the file's own types; a graph input with an initializer is a constant,
    not an input. `sha256` digests the model file (for a ModelProto, its serialisation), external data not
    included. Raises ModelError, one line, for all that can be wrong with a model.
    """
    if isinstance(source, ModelProto):
        return _read(io.BytesIO(source.SerializeToString()), None)
    if isinstance(source, bytes):
        return _read(io.BytesIO(source), None)
    if not isinstance(source, (str, os.PathLike)):
        raise UsageError(f"a model is a path, bytes or a ModelProto, not {type(source).__name__}")
    path = Path(source)
    with _open(path) as stream:
        try:
            return _read(stream, path.parent)
        except ModelError as error:
            raise ModelError(f"'{path}': {error}") from None


def _open(path: Path) -> io.BufferedReader:
    try:
        return open_regular(path)
    except IsADirectoryError:
        raise ModelError(f"'{path}' is a directory, not a model file") from None
    except FileNotFoundError:
        raise ModelError(f"'{path}': no such file") from None
    except OSError as error:
        raise ModelError(
            f"'{path}' cannot be opened: {error.strerror or error}; it is not a model file"
        ) from None


def _read(stream: io.BufferedReader | io.BytesIO, folder: Path | None) -> Graph:
    if not (size := stream.seek(0, os.SEEK_END)):
        raise ModelError("the file is empty")
    stream.seek(0)
    head = stream.read(len(_LFS))
    if head == _LFS:
        raise ModelError("this is a Git LFS pointer, not the model: run `git lfs pull`")
    if head[4:8] == _ORT:
        raise ModelError(
            "this is onnxruntime's own format (.ort), not ONNX: take the .onnx file it was made from"
        )
    stream.seek(0)
    sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    stream.seek(0)
    skeleton, data = weights.split(stream, size)
    try:
        model = ModelProto.FromString(skeleton)
    except DecodeError:
        raise ModelError(weights.NOT_ONNX) from None
    if not model.HasField("graph"):
        raise ModelError("this is not an ONNX model: it has no graph")
    _require_text(model)
    opsets = _opsets(model)
    external.embed(model, folder)
    constants = _take_constants(model, data, folder)
    notes = mend(model)
    calls = bool(model.functions)
    originals = rewrite_contrib(model)
    _check(model)
    model = inline(model)
    if calls:  # what stands in a function was not looked at
        _check(model)
    model, expanded = expand(infer(model))
    originals += expanded
    graph = graph_of(infer(model) if expanded else model, opsets, constants, sha256, originals)
    return without_foreign(graph).noting(*notes, *_written_out(originals))


def _written_out(nodes: Sequence[NodeProto]) -> Iterator[str]:
    """What stands written out in others, in a note for each operator."""
    standard = Counter(node.op_type for node in nodes if is_standard(node) and node.op_type in EXPANDED)
    own = Counter(node.op_type for node in nodes) - standard
    yield from (f"{op}{_owner(op)} written out: {count}x" for op, count in sorted(own.items()))
    if alone := sorted({*own} & {*UNCHECKED}):
        yield f"onnxruntime's CPU provider has no {', '.join(alone)} to compare what was written out with"
    yield from (f"{op} expanded into its ONNX definition: {count}x" for op, count in sorted(standard.items()))


def _owner(op: str) -> str:
    return "" if op in STANDARD_INTEGERS else " of onnxruntime"


def _require_text(model: ModelProto) -> None:
    """Names that are not UTF-8 come out of protobuf as bytes."""
    graph = model.graph
    named = chain(graph.input, graph.output, graph.value_info, graph.initializer, graph.node)
    names = [graph.name, *(thing.name for thing in named), *(s.values.name for s in graph.sparse_initializer)]
    for node in all_nodes(graph.node):
        names += (*node.input, *node.output, node.op_type, node.domain, *(a.name for a in node.attribute))
    kinds = (value.type.tensor_type for value in chain(graph.input, graph.output, graph.value_info))
    names += [dimension.dim_param for kind in kinds for dimension in kind.shape.dim]
    names += [text for entry in model.metadata_props for text in (entry.key, entry.value)]
    names += [entry.domain for entry in model.opset_import]
    if not all(isinstance(name, str) for name in names):
        raise ModelError("the file is damaged: a name is not UTF-8")


def _opsets(model: ModelProto) -> dict[str, int]:
    """Version by domain; `ai.onnx` is the default domain ''."""
    opsets: dict[str, int] = {}
    for entry in chain(model.opset_import, *(function.opset_import for function in model.functions)):
        if not 0 <= entry.version <= _LAST_VERSION:
            raise ModelError(
                f"{entry.version} is no version of the operator set '{entry.domain or 'ai.onnx'}'"
            )
    for entry in model.opset_import:
        domain = "" if entry.domain == "ai.onnx" else entry.domain
        if opsets.setdefault(domain, entry.version) != entry.version:
            raise ModelError(f"two versions of the operator set '{domain or 'ai.onnx'}' are imported")
    if (version := opsets.get("", 1)) > (newest := onnx.defs.onnx_opset_version()):
        raise ModelError(f"opset {version} is newer than the {newest} that onnx {onnx.__version__} knows")
    return opsets


def _take_constants(model: ModelProto, data: dict[int, Array], folder: Path | None) -> dict[str, Array]:
    """The initializers as arrays; in the model, short ones stay and long ones become graph inputs."""
    graph = model.graph
    tensors = []
    for i, tensor in enumerate(graph.initializer):
        raw = external.read(tensor, folder) if external.is_external(tensor) else data.get(i)
        tensors.append((tensor.name, tensor.data_type, weights.to_array(tensor, raw)))
    for sparse in graph.sparse_initializer:
        tensors.append((sparse.values.name, sparse.values.data_type, weights.dense(sparse)))
    constants = {name: array for name, _, array in tensors}
    if len(constants) < len(tensors):
        name, _ = Counter(name for name, *_ in tensors).most_common(1)[0]
        raise ModelError(f"two initializers have one name, '{name}'")
    inputs = [value for value in graph.input if value.name not in constants]
    long = [(name, kind, array.shape) for name, kind, array in tensors if array.nbytes > SMALL]
    inputs += [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in long]
    short = [numpy_helper.from_array(a, name) for name, a in constants.items() if a.nbytes <= SMALL]
    for field, kept in ((graph.input, inputs), (graph.initializer, short), (graph.sparse_initializer, [])):
        del field[:]
        field.extend(kept)
    if model.ir_version == 3:  # IR 3 wants every initializer to be an input, IR 4 takes both forms
        model.ir_version = 4
    return constants


def _check(model: ModelProto) -> None:
    try:
        checker.check_model(checkable(model))
    except (checker.ValidationError, ValueError) as error:
        raise ModelError(f"invalid ONNX: {one_line(error)}") from None
    if not model.graph.node:
        raise ModelError("the graph has no nodes")
    outputs = [output.name for output in model.graph.output]
    if not outputs or len(set(outputs)) < len(outputs):
        raise ModelError("the graph has " + ("two outputs of one name" if outputs else "no outputs"))


def graph_of(
    model: ModelProto,
    opsets: Mapping[str, int],
    constants: Mapping[str, Array],
    sha256: str = "",
    originals: Sequence[NodeProto] = (),
) -> Graph:
    """The graph of a model whose types and shapes are inferred, with its constants. originals: see `Graph`."""
    proto = model.graph
    values = {v.name: value_of(v) for v in (*proto.value_info, *proto.input, *proto.output)}
    for name, array in constants.items():
        values[name] = Value(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
    inputs = tuple(v.name for v in proto.input if v.name not in constants)
    if not inputs:
        raise ModelError("the graph has no inputs that relevance could reach")
    return Graph(
        name=proto.name,
        nodes=tuple(Node.from_proto(n, name) for n, name in zip(proto.node, _names(model), strict=True)),
        inputs=inputs,
        outputs=tuple(v.name for v in proto.output),
        constants=constants,
        values=values,
        opsets=opsets,
        ir_version=model.ir_version,
        metadata={entry.key: entry.value for entry in model.metadata_props},
        sha256=sha256,
        originals=tuple(originals),
    ).replace()


def _names(model: ModelProto) -> list[str]:
    """A unique name for each node: its own, or `Op_index` where it has none, with a suffix where taken."""
    taken = {f"input:{value.name}" for value in model.graph.input}  # how Graph.network names the inputs
    own = {node.name for node in model.graph.node}
    again: Counter[str] = Counter()
    names = []
    for i, node in enumerate(model.graph.node):
        name = base = node.name or f"{node.op_type}_{i}"
        while name in taken or (name in own and name != node.name):
            again[base] += 1
            name = f"{base}_{again[base]}"
        taken.add(name)
        names.append(name)
    return names


def value_of(proto: onnx.ValueInfoProto) -> Value:
    """What the file says, or inference has found, of a value."""
    tensor = proto.type.tensor_type
    elem_type = tensor.elem_type if tensor.elem_type in TensorProto.DataType.values() else 0
    if not tensor.HasField("shape"):
        return Value(proto.name, elem_type)
    sizes = [d.dim_value if d.HasField("dim_value") else d.dim_param or None for d in tensor.shape.dim]
    shape = tuple(None if isinstance(size, int) and size < 0 else size for size in sizes)
    return Value(proto.name, elem_type, shape)
