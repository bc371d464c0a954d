from __future__ import annotations

import hashlib
import os
import pickle
import re
import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxdtd.errors import ModelError, UsageError
from onnxdtd.model.load import load
from tests.model_text import graph, model, run

DENSE = "(float[N, 3] x) => (float[N, 2] y) { y = MatMul(x, w) }"
W = np.arange(6, dtype=np.float32).reshape(3, 2)
LONG = np.tile(W, 300)
BIG = np.random.default_rng(0).standard_normal((3, 600)).astype(np.float32)


def refuses(source, *words):
    with pytest.raises(ModelError) as caught:
        load(source)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message
    return message


def test_path_bytes_and_proto_agree(tmp_path):
    proto = model(DENSE, w=W)
    proto.metadata_props.add(key="author", value="somebody")
    path = tmp_path / "model.onnx"
    onnx.save(proto, path)
    loaded = [load(path), load(str(path)), load(path.read_bytes()), load(proto)]
    for found in loaded:
        assert (found.inputs, found.outputs) == (("x",), ("y",))
        assert found.metadata == {"author": "somebody"}
        assert found.opsets == {"": 17}
        assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        np.testing.assert_array_equal(found.constants["w"], W)


def test_values_are_inferred():
    found = graph("(float[N, 3] x) => (float[N, 2] y) { h = MatMul(x, w) y = Relu(h) }", w=W)
    assert found.value("h").shape == ("N", 2)
    assert found.value("h").is_float
    assert found.value("w").shape == (3, 2)
    assert not found.value("unknown").is_float


def test_shape_constants_reach_the_inference():
    text = "(float[2, 6] x) => (float[a, b, c] z) { y = Reshape(x, s) z = Relu(y) }"
    assert graph(text, s=np.array([2, 3, -1])).value("y").shape == (2, 3, 2)


@pytest.mark.parametrize("ir", [3, 4, 10])
def test_an_input_with_an_initializer_is_a_constant(ir):
    inputs = "(float[2, 6] x, float[6, 300] w, int64[2] s) => (float[a, b] y)"
    proto = model(
        inputs + "{ h = MatMul(x, w) z = Reshape(h, s) y = Relu(z) }",
        9,
        w=np.ones((6, 300), np.float32),
        s=np.array([300, 2]),
    )
    proto.ir_version = ir
    found = load(proto)
    assert found.inputs == ("x",)
    assert found.value("z").shape == (300, 2)
    assert set(found.constants) == {"w", "s"}


def test_stale_inner_shapes_are_not_believed():
    proto = model("(float[N, 3] x) => (float[N, 2] y) { h = MatMul(x, w) y = Relu(h) }", w=W)
    proto.graph.value_info.append(helper.make_tensor_value_info("h", TensorProto.FLOAT, [1, 2]))
    assert load(proto).value("h").shape == ("N", 2)


def test_what_cannot_be_inferred_is_taken_from_the_file():
    proto = model("(float[N, 3] x) => (float[N, 2] y) { h = custom.Op(x) y = Relu(h) }")
    proto.opset_import.add(domain="custom", version=1)
    proto.graph.value_info.append(helper.make_tensor_value_info("h", TensorProto.FLOAT, ["N", 2]))
    found = load(proto)
    assert found.value("h").shape == ("N", 2)
    assert found.nodes[0].domain == "custom"


def test_nodes_get_unique_names():
    body = "a = Relu(x) b = Relu(a) c = Relu(b) d = Relu(c) y = Relu(d)"
    proto = model(f"(float[2] x) => (float[2] y) {{ {body} }}")
    for node, name in zip(proto.graph.node, ["", "n", "n", "Relu_0", "input:x"], strict=True):
        node.name = name
    assert [node.name for node in load(proto).nodes] == ["Relu_0_1", "n", "n_1", "Relu_0", "input:x_1"]


# Files that are no models.


def test_missing_file(tmp_path):
    refuses(tmp_path / "model.onnx", "model.onnx", "no such file")


def test_directory(tmp_path):
    refuses(tmp_path, "is a directory")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    refuses(tmp_path / "pipe", "not a model file")


def test_odd_names():
    refuses("a\0b", "cannot be opened")
    with pytest.raises(UsageError, match="not int"):
        load(3)


CONTENTS = {
    "the file is empty": b"",
    "Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "not an ONNX model": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "ONNX model": b"hello, this is a text file\n" * 20,
    "not an ONNX": b"\x80\x04\x95" + bytes(50),
    "no graph": onnx.ModelProto(ir_version=8).SerializeToString(),
}


@pytest.mark.parametrize("words", CONTENTS)
def test_no_model(tmp_path, words):
    path = tmp_path / "model.onnx"
    path.write_bytes(CONTENTS[words])
    refuses(path, words, "model.onnx")
    refuses(CONTENTS[words], words)


@pytest.mark.parametrize("weight", [W, BIG], ids=["small", "large"])
def test_every_truncation_is_refused(weight):
    data = model("(float[N, 3] x) => (float[N, M] y) { y = MatMul(x, w) }", w=weight).SerializeToString()
    for end in {*range(0, len(data), max(1, len(data) // 400)), *range(len(data) - 40, len(data))}:
        refuses(data[:end])
    assert "truncated" in refuses(data[:-40])


def test_damaged_bytes_load_or_are_refused():
    data = model("(float[N, 3] x) => (float[N, M] y) { h = MatMul(x, w) y = Relu(h) }", w=BIG[:, :300])
    data = data.SerializeToString()
    rng = np.random.default_rng(0)
    structure = [i for i in range(len(data)) if i < 200 or i > len(data) - 150]
    refused = kept = 0
    for _ in range(1500):
        damaged = bytearray(data)
        for place in rng.choice(structure, rng.integers(1, 4)):
            damaged[place] = rng.integers(256)
        try:
            load(bytes(damaged))
        except ModelError as error:
            refused += "\n" not in str(error)
            continue
        kept += 1
    assert refused > 500
    assert refused + kept == 1500


# Models that are wrong.


def broken(edit, text=DENSE, **constants):
    proto = model(text, **(constants or {"w": W}))
    edit(proto)
    return proto


WRONG = {
    "topologically sorted": model("(float[2] x) => (float[2] y) { y = Relu(z) z = Relu(x) }"),
    "No Op registered for Foo": model("(float[2] x) => (float[2] y) { y = Foo(x) }"),
    "inconsistent type": model("(float[2] x, int64[2] i) => (float[2] y) { y = Add(x, i) }"),
    "unsupported type": model("(float[2] x, bool[2] i) => (bool[2] y) { y = Relu(i) z = Relu(x) }"),
    "single static assignment": model("(float[2] x) => (float[2] y) { y = Relu(x) y = Neg(x) }"),
    "not an output of any node": model("(float[2] x) => (float[2] q) { y = Relu(x) }"),
    "no nodes": model("(float[2] x) => (float[2] x) { }"),
    "no outputs": broken(lambda m: m.graph.ClearField("output")),
    "two outputs of one name": broken(lambda m: m.graph.output.append(m.graph.output[0])),
    "'i' INT64": model("(int64[2] i) => (float[2] y) { y = Cast<to = 1>(i) }"),
    "inputs: none": model("() => (float[2] y) { y = Relu(w) }", w=np.ones(2, np.float32)),
    "opset 99": broken(lambda m: setattr(m.opset_import[0], "version", 99)),
    "two versions": broken(lambda m: m.opset_import.add(domain="ai.onnx", version=9)),
    "opset_import": broken(lambda m: m.ClearField("opset_import")),
    "ir_version 99": broken(lambda m: setattr(m, "ir_version", 99)),
    "two initializers": broken(lambda m: m.graph.initializer.append(m.graph.initializer[0])),
    "bytes of data": broken(lambda m: m.graph.initializer[0].dims.append(2), w=LONG),
    "tensor 'w'": broken(lambda m: m.graph.initializer[0].dims.append(2)),
    "cannot have raw data": broken(lambda m: m.graph.initializer[0].dims.append(-2), w=LONG),
    "unknown element type": broken(lambda m: setattr(m.graph.initializer[0], "data_type", 99), w=LONG),
}


@pytest.mark.parametrize("words", WRONG)
def test_invalid_models(words):
    refuses(WRONG[words], words)


def test_a_wrong_shape_does_not_stop_the_loading():
    found = graph("(float[2] x, float[3] z) => (float[n] y) { h = Add(x, z) y = Relu(h) }")
    assert found.value("h").shape is None


# Functions.

FUNCTION = """
<ir_version: 10, opset_import: ["" : 17, "local" : 1]>
model (float[2] x) => (float[2] y) {{ h = local.f(x) y = local.f(h) }}
<domain: "local", opset_import: ["" : {opset}, "local" : 1]> f (a) => (b) {{ {body} }}
"""


@pytest.mark.parametrize("opset", [13, 17])
def test_functions_are_inlined(opset):
    proto = onnx.parser.parse_model(FUNCTION.format(opset=opset, body="c = Exp(a) b = Neg(c)"))
    found = load(proto)
    assert [node.op for node in found.nodes] == ["Exp", "Neg", "Exp", "Neg"]
    x = np.array([0.5, -1], np.float32)
    np.testing.assert_allclose(run(found, {"x": x})[0], -np.exp(-np.exp(x)), rtol=1e-6)


def test_a_function_that_calls_itself():
    refuses(onnx.parser.parse_model(FUNCTION.format(opset=17, body="b = local.f(a)")))


def test_functions_that_unfold_without_end():
    proto = onnx.parser.parse_model(FUNCTION.format(opset=17, body="b = Neg(a)"))
    for level in range(40):
        name, below = f"g{level}", f"g{level - 1}" if level else "f"
        calls = [helper.make_node(below, [a], [b], domain="local") for a, b in (("a", "c"), ("c", "b"))]
        imports = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
        proto.functions.append(helper.make_function("local", name, ["a"], ["b"], calls, imports))
    proto.graph.node[0].op_type = "g39"
    refuses(proto, "unfold to 1,0")


# Sparse initializers.


def sparse(values, indices, dims):
    values = numpy_helper.from_array(np.asarray(values, np.float32), "w")
    indices = numpy_helper.from_array(np.asarray(indices, np.int64), "w_indices")
    return helper.make_sparse_tensor(values, indices, dims)


@pytest.mark.parametrize("indices", [[1, 4], [[0, 1], [2, 0]]], ids=["linear", "coordinates"])
def test_sparse_initializers_become_dense(indices):
    proto = model(DENSE)
    proto.graph.sparse_initializer.append(sparse([5, 7], indices, [3, 2]))
    np.testing.assert_array_equal(load(proto).constants["w"], [[0, 5], [0, 0], [7, 0]])


@pytest.mark.parametrize(("indices", "dims"), [([1, 6], [3, 2]), ([0, 1], [1 << 20, 1 << 20])])
def test_sparse_initializers_that_are_refused(indices, dims):
    proto = model(DENSE)
    proto.graph.sparse_initializer.append(sparse([5, 7], indices, dims))
    refuses(proto, "sparse tensor 'w'")


# External data.


@pytest.fixture
def folder(tmp_path):
    """A folder with a model whose weight w lies in weights.bin, and a secret beside the folder."""
    (tmp_path / "secret.bin").write_bytes(BIG.tobytes())
    home = tmp_path / "home"
    home.mkdir()
    (home / "weights.bin").write_bytes(b"head" + BIG.tobytes() + b"tail")
    return home


def external(folder: Path, location="weights.bin", weight=BIG, **entries):
    proto = model("(float[N, 3] x) => (float[N, M] y) { y = MatMul(x, w) }", w=weight)
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": 4, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def test_external_data(folder):
    np.testing.assert_array_equal(load(external(folder)).constants["w"], BIG)
    np.testing.assert_array_equal(load(external(folder, length=BIG.nbytes)).constants["w"], BIG)
    (folder / "sub").mkdir()
    (folder / "weights.bin").rename(folder / "sub" / "weights.bin")
    np.testing.assert_array_equal(load(external(folder, "sub/weights.bin")).constants["w"], BIG)
    small = load(external(folder, "sub/weights.bin", W)).constants["w"]
    np.testing.assert_array_equal(small.ravel(), BIG[0, :6])


def test_a_symbolic_link_inside_the_folder(folder):
    (folder / "link.bin").symlink_to("weights.bin")
    np.testing.assert_array_equal(load(external(folder, "link.bin")).constants["w"], BIG)


OUTSIDE = ["../secret.bin", "sub/../../secret.bin", "/etc/passwd"]
OUTSIDE += ["C:\\secret.bin", "..\\secret.bin", "\\\\host\\x"]


@pytest.mark.parametrize("location", [*OUTSIDE, "", "a\0b"])
def test_paths_out_of_the_folder_are_not_opened(folder, location, monkeypatch):
    path = external(folder, location, offset=0)
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("opened a path that leaves the folder"))
    refuses(path, "tensor 'w'")


@pytest.mark.parametrize("way", ["file", "folder"])
def test_symbolic_links_out_of_the_folder_are_not_opened(folder, way, monkeypatch):
    if way == "file":
        (folder / "link").symlink_to(folder.parent / "secret.bin")
    else:
        (folder / "link").symlink_to(folder.parent)
    path = external(folder, "link" if way == "file" else "link/secret.bin", offset=0)
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("opened a path that leaves the folder"))
    refuses(path, "symbolic link")


def test_hard_links_are_refused(folder):
    os.link(folder.parent / "secret.bin", folder / "link.bin")
    refuses(external(folder, "link.bin", offset=0), "hard link")


BAD_ENTRIES = [
    ({"offset": 12}, "the tensor ends at byte"),
    ({"offset": -1}, "offset -1"),
    ({"offset": "x"}, "invalid literal"),
    ({"length": 10}, "length 10"),
    ({"location": "none.bin"}, "No such file"),
    ({"location": "."}, "not a regular file"),
]


@pytest.mark.parametrize(("entries", "words"), BAD_ENTRIES)
def test_external_data_that_do_not_fit(folder, entries, words):
    refuses(external(folder, **entries), "tensor 'w'", words)


def test_a_huge_announcement_allocates_nothing(folder):
    path = external(folder)
    proto = onnx.load(path, load_external_data=False)
    proto.graph.initializer[0].dims[:] = [1 << 30, 1 << 10]
    path.write_bytes(proto.SerializeToString())
    tracemalloc.start()
    refuses(path, "the tensor ends at byte")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 24


def test_external_data_of_a_model_in_memory(folder):
    refuses(external(folder).read_bytes(), "load it by its path")


def test_external_data_of_a_constant_node(folder):
    def save(location):
        body = "{ c = Constant<value = float[3] {1, 2, 3}>() y = Add(x, c) }"
        proto = model("(float[3] x) => (float[3] y)" + body)
        tensor = proto.graph.node[0].attribute[0].t
        tensor.ClearField("float_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        tensor.external_data.add(key="offset", value="4")
        (folder / "model.onnx").write_bytes(proto.SerializeToString())
        return folder / "model.onnx"

    x = np.zeros(3, np.float32)
    np.testing.assert_array_equal(run(load(save("weights.bin")), {"x": x})[0], BIG[0, :3])
    refuses(save("../secret.bin"), "own folder")


# Weights.


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "int64", "bool"])
@pytest.mark.parametrize("size", [5, 5000])
def test_weights_of_every_type(dtype, size):
    array = np.random.default_rng(0).integers(0, 2, size).astype(dtype)
    found = graph("(float[2] x) => (float[2] y, float[n] z) { y = Relu(x) z = Cast<to = 1>(w) }", w=array)
    np.testing.assert_array_equal(found.constants["w"], array)
    assert found.constants["w"].dtype == dtype


@pytest.mark.parametrize("kind", ["BFLOAT16", "INT4", "FLOAT8E4M3FN"])
@pytest.mark.parametrize("size", [6, 5001])
def test_weights_of_types_without_a_numpy_type(kind, size):
    elem_type = TensorProto.DataType.Value(kind)
    dtype = helper.tensor_dtype_to_np_dtype(elem_type)
    proto = model("(float[2] x) => (float[2] y, float[n] z) { y = Relu(x) z = Cast<to = 1>(w) }", 22)
    array = (np.arange(size) % 5).astype(dtype)
    proto.graph.initializer.append(numpy_helper.from_array(array, "w"))
    found = load(proto).constants["w"]
    assert found.dtype == dtype
    np.testing.assert_array_equal(found.astype(np.float32), np.arange(size) % 5)


def test_weights_are_read_once_aligned_and_read_only(tmp_path):
    weights = {f"w{i}": np.full((1000, 1001 + i), i, np.float32) for i in range(8)}
    nodes = " ".join(f"h{i} = ReduceSum(w{i}) y{i} = Add(x, h{i})" for i in range(8))
    outputs = ", ".join(f"float[1] y{i}" for i in range(8))
    path = tmp_path / "model.onnx"
    onnx.save(model(f"(float[1] x) => ({outputs}) {{ {nodes} }}", **weights), path)
    total = sum(array.nbytes for array in weights.values())
    tracemalloc.start()
    found = load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.1 * total
    for name, array in weights.items():
        np.testing.assert_array_equal(found.constants[name], array)
        assert found.constants[name].flags.aligned
        assert not found.constants[name].flags.writeable


def test_a_loaded_graph_pickles():
    found = graph(DENSE, w=BIG[:, :2])
    again = pickle.loads(pickle.dumps(found))
    assert (again.nodes, again.values, again.sha256) == (found.nodes, found.values, found.sha256)
    np.testing.assert_array_equal(again.constants["w"], found.constants["w"])
    assert re.fullmatch(r"[0-9a-f]{64}", again.sha256)
