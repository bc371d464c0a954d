from __future__ import annotations

import hashlib
import pickle
import re
import tracemalloc

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnxdtd
from onnxdtd.errors import ModelError
from onnxdtd.model import shapes
from onnxdtd.model.load import load
from tests.support.model_text import graph, model, refuses, run

DENSE = "(float[N, 3] x) => (float[N, 2] y) { y = MatMul(x, w) }"
W = np.arange(6, dtype=np.float32).reshape(3, 2)
BIG = np.random.default_rng(0).standard_normal((3, 600)).astype(np.float32)


def test_path_bytes_and_proto_agree(tmp_path):
    proto = model(DENSE, w=W)
    proto.metadata_props.add(key="author", value="somebody")
    path = tmp_path / "model.onnx"
    onnx.save(proto, path)
    loaded = [load(path), load(str(path)), load(path.read_bytes()), load(proto)]
    for each in loaded:
        assert (each.inputs, each.outputs) == (("x",), ("y",))
        assert each.metadata == {"author": "somebody"}
        assert each.opsets == {"": 17}
        assert each.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        np.testing.assert_array_equal(each.constants["w"], W)


def test_values_are_inferred():
    net = graph("(float[N, 3] x) => (float[N, 2] y) { h = MatMul(x, w) y = Relu(h) }", w=W)
    assert net.value("h").shape == ("N", 2)
    assert net.value("h").is_float
    assert net.value("w").shape == (3, 2)
    assert not net.value("unknown").is_float


def test_shape_constants_reach_the_inference():
    text = "(float[2, 6] x) => (float[a, b, c] z) { y = Reshape(x, s) z = Relu(y) }"
    assert graph(text, s=np.array([2, 3, -1])).value("y").shape == (2, 3, 2)


def test_the_rank_after_a_computed_reshape_is_known():
    text = """(float[N, 3, 4] x) => (float[a, b] y) {
        s = Shape(x) n = Slice(s, zero, one) m = Slice(s, one, three) p = ReduceProd(m)
        t = Concat<axis = 0>(n, p) h = Reshape(x, t) g = Relu(h) y = MatMul(g, w)
    }"""
    ends = {"zero": np.array([0]), "one": np.array([1]), "three": np.array([3])}
    net = graph(text, w=np.ones((12, 2), np.float32), **ends)
    assert len(net.value("g").shape) == 2
    assert net.value("h").is_float


def test_a_vector_that_announces_more_than_memory_holds(monkeypatch):
    run = shapes.shape_inference.infer_shapes
    calls = []

    def spy(model, **how):
        calls.append(how)
        return run(model, check_type=True)

    monkeypatch.setattr(shapes.shape_inference, "infer_shapes", spy)
    net = graph(
        "(float[2] x) => (float[2] y, int64[n] j) { i = Reshape(v, long) j = Cast<to = 7>(i) y = Relu(x) }",
        v=np.ones(2, np.float32),
        long=np.array([1 << 55]),
    )
    assert net.value("y").shape == (2,)
    assert {repr(how) for how in calls} == {"{'check_type': True}"}


def test_scalers_keep_the_shape():
    proto = model("(float[N, 3] x) => (float[N, 2] y) { h = ai.onnx.ml.Scaler(x) y = MatMul(h, w) }", w=W)
    proto.opset_import.add(domain="ai.onnx.ml", version=1)
    assert load(proto).value("h").shape == (None, 3)


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
    net = load(proto)
    assert net.inputs == ("x",)
    assert net.value("z").shape == (300, 2)
    assert set(net.constants) == {"w", "s"}


def test_stale_inner_shapes_are_not_believed():
    proto = model("(float[N, 3] x) => (float[N, 2] y) { h = MatMul(x, w) y = Relu(h) }", w=W)
    proto.graph.value_info.append(helper.make_tensor_value_info("h", TensorProto.FLOAT, [1, 2]))
    assert load(proto).value("h").shape == ("N", 2)


def test_what_cannot_be_inferred_is_taken_from_the_file():
    proto = model("(float[N, 3] x) => (float[N, 2] y) { h = custom.Op(x) y = Relu(h) }")
    proto.opset_import.add(domain="custom", version=1)
    proto.graph.value_info.append(helper.make_tensor_value_info("h", TensorProto.FLOAT, ["N", 2]))
    net = load(proto)
    assert net.value("h").shape == ("N", 2)
    assert net.nodes[0].domain == "custom"


def test_nodes_get_unique_names():
    body = "a = Relu(x) b = Relu(a) c = Relu(b) d = Relu(c) y = Relu(d)"
    proto = model(f"(float[2] x) => (float[2] y) {{ {body} }}")
    for node, name in zip(proto.graph.node, ["", "n", "n", "Relu_0", "input:x"], strict=True):
        node.name = name
    assert [node.name for node in load(proto).nodes] == ["Relu_0_1", "n", "n_1", "Relu_0", "input:x_1"]


# Functions.

FUNCTION = """
<ir_version: 10, opset_import: ["" : 17, "local" : 1]>
model (float[2] x) => (float[2] y) {{ h = local.f(x) y = local.f(h) }}
<domain: "local", opset_import: ["" : {opset}, "local" : 1]> f (a) => (b) {{ {body} }}
"""


@pytest.mark.parametrize("version", [-1, 2**31, 2**40])
@pytest.mark.parametrize("domain", ["", "ai.onnx.ml", "local"])
def test_a_version_that_no_operator_set_has(domain, version):
    proto = onnx.parser.parse_model(FUNCTION.format(opset=17, body="b = Neg(a)"))
    for imports in (proto.opset_import, proto.functions[0].opset_import):
        del imports[:]
        imports.extend([helper.make_opsetid("", 17), helper.make_opsetid("local", 1)])
    proto.functions[0].opset_import.append(helper.make_opsetid(domain, version))
    with pytest.raises(
        ModelError, match=f"{version} is no version of the operator set '{domain or 'ai.onnx'}'"
    ):
        load(proto)


@pytest.mark.parametrize("opset", [13, 17])
def test_functions_are_inlined(opset):
    proto = onnx.parser.parse_model(FUNCTION.format(opset=opset, body="c = Exp(a) b = Neg(c)"))
    net = load(proto)
    assert [node.op for node in net.nodes] == ["Exp", "Neg", "Exp", "Neg"]
    x = np.array([0.5, -1], np.float32)
    np.testing.assert_allclose(run(net, {"x": x})[0], -np.exp(-np.exp(x)), rtol=1e-6)


def test_defaults_of_attributes_are_those_of_the_function():
    """Of a call within another function too; a stated attribute wins."""
    leaky = helper.make_node("LeakyRelu", ["a"], ["b"])
    leaky.attribute.add(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT)
    default = helper.make_attribute("slope", 0.5)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    inner = helper.make_function("local", "f", ["a"], ["b"], [leaky], opsets[:1], attribute_protos=[default])
    call = helper.make_node("f", ["a"], ["b"], domain="local")
    outer = helper.make_function("local", "g", ["a"], ["b"], [call], opsets)
    proto = model("(float[N, 2] x) => (float[N, 2] y) { y = Identity(x) }")
    proto.functions.extend([inner, outer])
    proto.opset_import.extend(opsets[1:])
    proto.graph.node[0].CopyFrom(helper.make_node("g", ["x"], ["u"], "outer", domain="local"))
    stated = helper.make_node("f", ["u"], ["y"], "stated", domain="local", slope=0.25)
    proto.graph.node.append(stated)
    np.testing.assert_allclose(run(load(proto), {"x": np.float32([[-8, 2]])})[0], [[-1, 2]])


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


# Weights.


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "int64", "bool"])
@pytest.mark.parametrize("size", [5, 5000])
def test_weights_of_every_type(dtype, size):
    array = np.random.default_rng(0).integers(0, 2, size).astype(dtype)
    net = graph("(float[2] x) => (float[2] y, float[n] z) { y = Relu(x) z = Cast<to = 1>(w) }", w=array)
    np.testing.assert_array_equal(net.constants["w"], array)
    assert net.constants["w"].dtype == dtype


@pytest.mark.parametrize("kind", ["BFLOAT16", "INT4", "FLOAT8E4M3FN"])
@pytest.mark.parametrize("size", [6, 5001])
def test_weights_of_types_without_a_numpy_type(kind, size):
    elem_type = TensorProto.DataType.Value(kind)
    dtype = helper.tensor_dtype_to_np_dtype(elem_type)
    proto = model("(float[2] x) => (float[2] y, float[n] z) { y = Relu(x) z = Cast<to = 1>(w) }", 22)
    array = (np.arange(size) % 5).astype(dtype)
    proto.graph.initializer.append(numpy_helper.from_array(array, "w"))
    weights = load(proto).constants["w"]
    assert weights.dtype == dtype
    np.testing.assert_array_equal(weights.astype(np.float32), np.arange(size) % 5)


def test_weights_are_read_once_aligned_and_read_only(tmp_path):
    weights = {f"w{i}": np.full((1000, 1001 + i), i, np.float32) for i in range(8)}
    nodes = " ".join(f"h{i} = ReduceSum(w{i}) y{i} = Add(x, h{i})" for i in range(8))
    outputs = ", ".join(f"float[1] y{i}" for i in range(8))
    path = tmp_path / "model.onnx"
    onnx.save(model(f"(float[1] x) => ({outputs}) {{ {nodes} }}", **weights), path)
    total = sum(array.nbytes for array in weights.values())
    tracemalloc.start()
    net = load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.1 * total
    for name, array in weights.items():
        np.testing.assert_array_equal(net.constants[name], array)
        assert net.constants[name].flags.aligned
        assert not net.constants[name].flags.writeable


def test_a_loaded_graph_pickles():
    net = graph(DENSE, w=BIG[:, :2])
    again = pickle.loads(pickle.dumps(net))
    assert (again.nodes, again.values, again.sha256) == (net.nodes, net.values, net.sha256)
    np.testing.assert_array_equal(again.constants["w"], net.constants["w"])
    assert re.fullmatch(r"[0-9a-f]{64}", again.sha256)


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_a_batch_of_0_is_any_batch(engine):
    """No sample would fit, and some exporters write it for a length that they do not know; an empty axis behind it,
    as a cache has one before the first token, stays."""
    text = "(float[0, 3] x, float[0, 2, 0] past) => (float[0, 2] y) { y = MatMul(x, w) z = Relu(past) }"
    proto = model(text, w=W)
    net = load(proto)
    assert [net.value(name).shape for name in ("x", "past")] == [(None, 3), (None, 2, 0)]
    assert "the batch of 0 that the file states (x, past) is read as any" in net.notes
    x = {"x": np.float32([[1, 2, 3], [4, 5, 6]]), "past": np.zeros((2, 2, 0), np.float32)}
    e = onnxdtd.Explainer(proto, "gradient_x_input", engine=engine)(x, target=1)
    np.testing.assert_allclose(e.relevance["x"], x["x"] * W[:, 1], rtol=1e-6)
