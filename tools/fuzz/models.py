"""Models with faults: bytes of a shipped file changed, or fields of its message."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import helper

from tools.fuzz.words import FLOATS, NAMES, NUMBERS, pick

OPS = (
    "Conv", "Gemm", "Relu", "Gather", "Reshape", "Resize", "Pad", "Tile", "Expand", "Loop", "If", "Scan", "Einsum",
    "TopK", "NonZero", "Concat", "Split", "Cast", "ConstantOfShape", "Range", "OneHot", "LSTM", "Foo", "Softmax",
    "MaxPool", "Transpose", "ReduceSum", "Squeeze", "Slice", "MatMul", "Div", "Identity", "Shape", "QuantizeLinear",
)  # fmt: skip


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Bytes flipped, cut out, doubled or inserted."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 8))):
        at = int(rng.integers(max(1, len(data))))
        match int(rng.integers(5)):
            case 0 if data:
                data[at] ^= 1 << int(rng.integers(8))
            case 1 if data:
                data[at] = int(rng.integers(256))
            case 2:
                del data[at : at + int(rng.integers(1, 64))]
            case 3:
                data[at:at] = rng.bytes(int(rng.integers(1, 16)))
            case _:
                del data[at:]
    return bytes(data)


def changed(model: onnx.ModelProto, rng: np.random.Generator) -> bytes:
    """Some fields of the message set to what they should not be."""
    for _ in range(int(rng.integers(1, 4))):
        try:
            pick(rng, CHANGES)(model, rng)
        except (TypeError, ValueError, IndexError):  # protobuf refuses some values itself
            continue
    return bytes(model.SerializeToString())


def _node(model: onnx.ModelProto, rng: np.random.Generator) -> onnx.NodeProto:
    return pick(rng, list(model.graph.node))


def _operator(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    _node(model, rng).op_type = pick(rng, OPS)


def _domain(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    _node(model, rng).domain = pick(rng, ("acme", "com.microsoft", "ai.onnx.ml", *NAMES))


def _input(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    node, other = _node(model, rng), _node(model, rng)
    names = [*other.input, *other.output, *(t.name for t in model.graph.initializer), ""]
    node.input[int(rng.integers(len(node.input)))] = pick(rng, names)


def _more_inputs(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    _node(model, rng).input.append(pick(rng, [t.name for t in model.graph.initializer]))


def _output(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    node = _node(model, rng)
    node.output[0] = pick(rng, [*node.input, *NAMES])


def _named(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """One name changed wherever it stands."""
    before, after = _node(model, rng).output[0], pick(rng, NAMES)
    for node in model.graph.node:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                names[i] = after if name == before else name
    for value in (*model.graph.input, *model.graph.output):
        value.name = after if value.name == before else value.name
    _node(model, rng).name = pick(rng, NAMES)


def _input_name(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    value, after = pick(rng, list(model.graph.input)), pick(rng, NAMES)
    for node in model.graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = after if name == value.name else name
    value.name = after


def _attribute(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    node = _node(model, rng)
    value = pick(
        rng, [*NUMBERS, *FLOATS, *NAMES, [pick(rng, NUMBERS) for _ in range(3)], [1, 1], [0, 0, 0, 0]]
    )
    names = [a.name for a in node.attribute] or ["axis", "alpha", "group", "to", "perm", "pads"]
    name = pick(rng, names)
    kept = [a for a in node.attribute if a.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value)])


def _reference(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    node = _node(model, rng)
    node.attribute.add(name="alpha", ref_attr_name="alpha", type=pick(rng, (1, 2, 3, 7)))


def _dimension(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    value = pick(rng, [*model.graph.input, *model.graph.output])
    pick(rng, list(value.type.tensor_type.shape.dim)).dim_value = pick(rng, NUMBERS)


def _rank(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    value = pick(rng, [*model.graph.input, *model.graph.output])
    del value.type.tensor_type.shape.dim[: int(rng.integers(1, 3))]


def _element(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    value = pick(rng, [*model.graph.input, *model.graph.output])
    value.type.tensor_type.elem_type = int(rng.integers(0, 25))


def _weight(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    tensor = pick(rng, list(model.graph.initializer))
    match int(rng.integers(5)):
        case 0:
            tensor.dims[int(rng.integers(len(tensor.dims)))] = pick(rng, NUMBERS)
        case 1:
            tensor.data_type = int(rng.integers(0, 25))
        case 2:
            tensor.raw_data = rng.bytes(len(tensor.raw_data))
        case 3:
            tensor.name = pick(rng, NAMES)
        case _:
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=pick(rng, NAMES))


def _removed(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    part = pick(rng, (model.graph.node, model.graph.initializer, model.graph.output, model.graph.input))
    del part[int(rng.integers(len(part)))]


def _twice(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    part = pick(rng, (model.graph.node, model.graph.initializer, model.graph.output, model.graph.input))
    part.add().CopyFrom(part[int(rng.integers(len(part)))])


def _opset(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    pick(rng, list(model.opset_import)).version = pick(rng, (1, 7, 9, 11, 13, 17, *NUMBERS))


def _metadata(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    key = pick(rng, ("onnxdtd.labels", "onnxdtd.input_range", "onnxdtd.preprocess", "onnxdtd.features"))
    values = (
        '["a"]',
        "[0, 1]",
        "[1e400, 0]",
        '{"scale": 1' + "0" * 400 + "}",
        "[" * 50_000,
        "null",
        "{}",
        *NAMES,
    )
    model.metadata_props.add(key=key, value=pick(rng, values))


def _constant_output(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    tensor = pick(rng, list(model.graph.initializer))
    model.graph.output.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))


def _input_output(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    model.graph.output.append(pick(rng, list(model.graph.input)))


def _large(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """A value of a size that is stated in the file is read by the first node."""
    size = np.array([pick(rng, (2**34, 2**40, 10**6, 0)), 4], np.int64)
    model.graph.initializer.append(onnx.numpy_helper.from_array(size, "size_of_it"))
    model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["size_of_it"], ["much"]))
    model.graph.node.insert(1, helper.make_node("ReduceSum", ["much"], ["little"], keepdims=0))
    y = model.graph.output[0].name
    model.graph.node.append(helper.make_node("Add", [y, "little"], [f"{y}/more"]))
    model.graph.output[0].name = f"{y}/more"


CHANGES: list[Callable[[onnx.ModelProto, np.random.Generator], None]] = [
    _operator, _domain, _input, _more_inputs, _output, _named, _input_name, _attribute, _attribute, _reference,
    _dimension, _rank, _element, _weight, _weight, _removed, _twice, _opset, _metadata, _constant_output,
    _input_output, _large,
]  # fmt: skip
