from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from onnxdtd.model.canonise import PASSES, canonise
from onnxdtd.model.canonise.batch_normalization import batch_normalization
from onnxdtd.model.canonise.bias import bias
from onnxdtd.model.canonise.constants import constants
from onnxdtd.model.canonise.head import head
from onnxdtd.model.canonise.identity import identity
from onnxdtd.model.canonise.split import split
from onnxdtd.model.load import load
from tests.model_text import OPSETS, graph, model, same

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def changed(before, run):
    """The pass fires, notes it, keeps the outputs and finds nothing more to do."""
    after = run(before)
    assert after is not before
    assert len(after.notes) > len(before.notes)
    assert after.outputs == before.outputs
    same(before, after)
    assert run(after) is after
    return after


def unchanged(before, run):
    assert run(before) is before


def ops(found):
    return [node.op for node in found.nodes]


# constants


@pytest.mark.parametrize("opset", OPSETS)
def test_constants_are_lifted_and_folded(opset):
    found = graph(
        """(float[N, 3] x) => (float[N, 2] y) {
            c = Constant<value = float[2] {1, 2}>()
            d = Neg(c)
            e = Transpose(w)
            h = MatMul(x, e)
            y = Add(h, d)
        }""",
        opset,
        w=normal(2, 3),
    )
    after = changed(found, constants)
    assert ops(after) == ["MatMul", "Add"]
    np.testing.assert_array_equal(after.constants["d"], np.float32([-1, -2]))
    assert set(after.constants) == {"d", "e"}
    assert after.value("e").shape == (3, 2)
    assert after.notes == ("Constant lifted: 1 node", "constants folded: 2 nodes")


CONSTANT_FORMS = {
    "value_float = 2.5": np.float32(2.5),
    "value_floats = [2.5, 3.0]": np.float32([2.5, 3]),
    "value_int = 3": np.int64(3),
    "value_ints = [3, 4]": np.int64([3, 4]),
    "value = double[1] {2}": np.float64([2]),
}


@pytest.mark.parametrize("form", CONSTANT_FORMS)
def test_every_form_of_constant(form):
    text = f"(float[2] x) => (float[2] y) {{ c = Constant<{form}>() d = Cast<to = 1>(c) y = Add(x, d) }}"
    found = graph(text)
    after = changed(found, constants)
    lifted = constants(graph(text.replace("float[2] y)", "float[2] y, int64[n] c)") if "int" in form else text))
    if "int" in form:
        assert lifted.constants["c"].dtype == np.int64
        np.testing.assert_array_equal(lifted.constants["c"], CONSTANT_FORMS[form])
    np.testing.assert_array_equal(after.constants["d"], CONSTANT_FORMS[form].astype(np.float32))


def test_string_and_sparse_constants():
    proto = model("(float[4] x) => (float[4] y, string[n] s) { y = Add(x, c) }")
    values = helper.make_tensor("values", TensorProto.FLOAT, [2], [5, 7])
    indices = helper.make_tensor("indices", TensorProto.INT64, [2], [1, 3])
    sparse = helper.make_sparse_tensor(values, indices, [4])
    proto.graph.node.insert(0, helper.make_node("Constant", [], ["c"], sparse_value=sparse))
    proto.graph.node.insert(0, helper.make_node("Constant", [], ["s"], value_strings=["a", "b"]))
    after = constants(load(proto))
    np.testing.assert_array_equal(after.constants["c"], [0, 5, 0, 7])
    np.testing.assert_array_equal(after.constants["s"], ["a", "b"])


@pytest.mark.parametrize("opset", [13, 17, 22])
def test_weights_in_another_type_are_decoded(opset):
    found = graph(
        """(float[N, 3] x) => (float[N, 2] y) {
            a = Cast<to = 1>(half)
            b = DequantizeLinear(integers, scale, zero)
            h = MatMul(x, a)
            y = MatMul(h, b)
        }""",
        opset,
        half=normal(3, 4).astype(np.float16),
        integers=RNG.integers(-100, 100, (4, 2)).astype(np.int8),
        scale=np.float32(0.1),
        zero=np.int8(3),
    )
    assert ops(changed(found, constants)) == ["MatMul", "MatMul"]


@pytest.mark.parametrize("opset", OPSETS)
def test_shape_arithmetic_on_a_static_shape_is_folded(opset):
    unsqueeze = "Unsqueeze<axes = [0]>(g)" if opset < 13 else "Unsqueeze(g, zero)"
    found = graph(
        f"""(float[2, 3, 4] x) => (float[n, m] y) {{
            s = Shape(x)
            g = Gather<axis = 0>(s, i)
            u = {unsqueeze}
            t = Concat<axis = 0>(u, rest)
            y = Reshape(x, t)
        }}""",
        opset,
        i=np.array(0),
        zero=np.array([0]),
        rest=np.array([-1]),
    )
    after = changed(found, constants)
    assert ops(after) == ["Reshape"]
    np.testing.assert_array_equal(after.constants["t"], [2, -1])


def test_shape_attributes_and_size():
    text = """(float[2, 3, 4] x) => (int64[n] a, int64 b) {
        a = Shape<start = 1, end = -1>(x)  b = Size(x)
    }"""
    after = changed(graph(text), constants)
    assert not after.nodes
    np.testing.assert_array_equal(after.constants["a"], [3])
    assert after.constants["b"] == 24


def test_an_open_shape_stays():
    unchanged(graph("(float[N, 3] x) => (int64[2] y) { y = Shape(x) }"), constants)


@pytest.mark.parametrize(
    "body",
    [
        "r = RandomNormal<shape = [3]>() y = Add(x, r)",
        "r = RandomUniformLike(w) y = Add(x, r)",
        "r = ConstantOfShape(huge) s = ReduceMax<keepdims = 0>(r) y = Add(x, s)",
        "r = Expand(w, huge) s = ReduceMax<keepdims = 0>(r) y = Add(x, s)",
        "r = Tile(w, many) s = ReduceMax<keepdims = 0>(r) y = Add(x, s)",
        "r = custom.Op(w) y = Add(x, r)",
    ],
)
def test_what_is_random_huge_or_unknown_is_not_folded(body):
    text = f"(float[3] x) => (float[3] y) {{ {body} }}"
    proto = model(text, w=normal(3), huge=np.array([1 << 20, 1 << 20, 3]), many=np.array([1 << 40]))
    proto.opset_import.add(domain="custom", version=1)
    unchanged(load(proto), constants)


def test_outer_products_of_constants_are_measured_before_they_are_made():
    text = "(float[3] x) => (float[3] y) { r = Mul(a, b) s = ReduceMax<keepdims = 0>(r) y = Add(x, s) }"
    unchanged(graph(text, a=normal(1 << 17, 1), b=normal(1, 1 << 17)), constants)


def test_a_loop_over_constants_is_not_run():
    text = """(float[3] x) => (float[3] y) {
        r = Loop (many, yes, w) <
            body = g (int64 i, bool c, float[3] v) => (bool d, float[3] u) { d = Identity(c) u = Neg(v) }
        >
        y = Add(x, r)
    }"""
    unchanged(graph(text, many=np.array(1 << 60), yes=np.array(True), w=normal(3)), constants)


# identity


@pytest.mark.parametrize("opset", OPSETS)
def test_no_ops_are_dropped(opset):
    pad = "Pad<pads = [0, 0, 0, 0]>(d)" if opset < 11 else "Pad(d, zeros)"
    found = graph(
        f"""(float[N, 3] x) => (float[N, 3] y) {{
            a = Identity(x)
            b = Relu(a)
            c = Dropout(b)
            d = Cast<to = 1>(c)
            e = {pad}
            f = Transpose<perm = [0, 1]>(e)
            g = Concat<axis = 0>(f)
            h = Sum(g)
            i = Reshape(h, shape)
            j = Flatten<axis = 1>(i)
            y = Neg(j)
        }}""",
        opset,
        zeros=np.zeros(4, np.int64),
        shape=np.array([-1, 3]),
    )
    after = changed(found, identity)
    assert ops(after) == ["Relu", "Neg"]
    assert after.nodes[0].inputs == ("x",)
    assert after.notes == ("no-ops dropped: 9 nodes",)


@pytest.mark.parametrize("opset", [12, 13, 17, 22])
@pytest.mark.parametrize(("training", "count"), [("", 1), (", no", 1), (", yes", 2)])
def test_dropout_since_opset_12(opset, training, count):
    text = f"(float[3] x) => (float[3] y) {{ a = Dropout(x, r{training}) y = Neg(a) }}"
    found = graph(text, opset, r=np.float32(0.5), no=np.array(False), yes=np.array(True))
    assert len(identity(found).nodes) == count


KEPT = [
    "(float[3] x) => (float[3] y, bool[3] m) { a, m = Dropout(x) y = Neg(a) }",
    "(float[3] x, bool t) => (float[3] y) { a = Dropout(x, r, t) y = Neg(a) }",
    "(float[3] x) => (double[3] y) { y = Cast<to = 11>(x) }",
    "(float[3, 3] x) => (float[3, 3] y) { y = Transpose<perm = [1, 0]>(x) }",
    "(float[3, 3] x) => (float[3, 3] y) { y = Transpose(x) }",
    "(float[2, 3] x) => (float[3, 2] y) { y = Reshape(x, s) }",
    "(float[N, M] x) => (float[n, m] y) { y = Reshape(x, s) }",
    "(float[0, 3] x) => (float[n, m] y) { y = Reshape(x, t) }",
    "(float[3] x) => (float[4] y) { y = Pad(x, p) }",
    "(float[2, 3] x) => (float[1, 6] y) { y = Flatten<axis = 0>(x) }",
]


@pytest.mark.parametrize("text", KEPT)
def test_what_moves_something_stays(text):
    given = {"r": np.float32(0.5), "s": np.array([3, 2]), "t": np.array([-1, 3]), "p": np.array([0, 1])}
    unchanged(graph(text, **given), identity)


def test_an_output_keeps_its_name():
    text = "(float[3] x) => (float[3] y, float[3] z) { a = Relu(x) y = Identity(a) z = Neg(a) }"
    after = changed(graph(text), identity)
    assert [(node.op, node.output) for node in after.nodes] == [("Relu", "y"), ("Neg", "z")]


@pytest.mark.parametrize(
    "text",
    [
        "(float[3] x) => (float[3] y) { y = Identity(x) }",
        "(float[3] x) => (float[3] y, float[3] z) { y = Relu(x) z = Identity(y) }",
        "(float[3] x) => (float[3] y, float[3] z) { y = Relu(x) z = Identity(w) }",
    ],
)
def test_an_output_that_copies_another_value_stays(text):
    unchanged(graph(text, w=normal(3)), identity)


def test_a_copied_output_among_others():
    text = "(float[3] x) => (float[3] y, float[3] z) { a = Relu(x) y = Identity(a) z = Identity(a) }"
    after = changed(graph(text), identity)
    assert ops(after) == ["Relu", "Identity"]


def test_a_value_that_a_subgraph_reads_keeps_its_name():
    text = """(float[3] x, bool c) => (float[3] y) {
        a = Relu(x)
        b = Identity(a)
        y = If (c) <
            then_branch = g1 () => (float[3] t) { t = Neg(b) },
            else_branch = g2 () => (float[3] e) { e = Exp(b) }
        >
    }"""
    unchanged(graph(text), identity)


# split

SPLITS = {
    "given": "a, b, c = Split<axis = 1, split = [1, 2, 3]>(x)",
    "given as input": "a, b, c = Split<axis = 1>(x, sizes)",
    "equal": "a, b, c = Split<axis = 1>(x)",
    "axis from the end": "a, b, c = Split<axis = -2>(x)",
    "num_outputs": "a, b, c = Split<axis = 1, num_outputs = 3>(x)",
    "uneven": "a, b, c = Split<axis = 2, num_outputs = 3>(x)",
    "default axis": "a, b, c = Split(x)",
}


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("form", SPLITS)
def test_split_becomes_slices(opset, form):
    wanted = {"given": opset < 13, "given as input": opset >= 13}
    wanted |= dict.fromkeys(("equal", "axis from the end", "default axis"), opset < 18)
    if not wanted.get(form, opset >= 18):
        pytest.skip("a form of other opsets")
    text = f"""(float[3, 6, 5] x) => (float[p, q, r] y, float[s, t, u] b, float[v, w, z] d) {{
        {SPLITS[form]} y = Neg(a) d = Exp(c)
    }}"""
    found = graph(text, opset, sizes=np.array([1, 2, 3]))
    after = changed(found, split)
    assert sorted(ops(after)) == ["Exp", "Neg", "Slice", "Slice", "Slice"]
    assert len(after.nodes[0].inputs) == (1 if opset < 10 else 5)
    assert after.notes == ("Split written as Slice: 1 node",)


def test_unused_parts_get_no_slice_and_names_do_not_clash():
    proto = model("(float[4] x) => (float[2] y) { a, b = Split<axis = 0>(x) h = Neg(b) y = Relu(h) }")
    proto.graph.node[0].name, proto.graph.node[1].name = "s", "s_1"
    after = changed(load(proto), split)
    assert [(node.name, node.op) for node in after.nodes[:2]] == [("s_1_1", "Slice"), ("s_1", "Neg")]


@pytest.mark.parametrize(
    "text",
    [
        "(float[N] x) => (float[a] y, float[b] z) { y, z = Split(x) }",
        "(float[4] x, int64[2] s) => (float[a] y, float[b] z) { y, z = Split(x, s) }",
    ],
)
def test_a_split_of_unknown_sizes_stays(text):
    unchanged(graph(text), split)


# bias


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("shape", [(2,), (1, 2), (1,), (), (1, 1)])
@pytest.mark.parametrize("order", ["h, b", "b, h"])
def test_matmul_and_add_become_gemm(opset, shape, order):
    text = f"(float[N, 3] x) => (float[N, 2] y) {{ h = MatMul(x, w) y = Add({order}) }}"
    after = changed(graph(text, opset, w=normal(3, 2), b=normal(*shape)), bias)
    assert ops(after) == ["Gemm"]
    assert after.nodes[0].output == "y"
    assert after.constants[after.nodes[0].inputs[2]].shape == (2,)
    assert after.notes == ("Add folded into the bias before it: 1 node",)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("op", ["Conv", "ConvTranspose"])
@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize("shape", [(1, 4, 1, 1), (4, 1, 1), (), (1, 1)])
@pytest.mark.parametrize("own", ["", ", c"])
def test_conv_and_add(opset, op, group, shape, own):
    weight = normal(4, 4 // group, 3, 3) if op == "Conv" else normal(4, 4 // group, 3, 3)
    text = f"""(float[N, 4, 6, 6] x) => (float[N, 4, p, q] y) {{
        h = {op}<group = {group}, pads = [1, 0, 1, 0]>(x, w{own}) y = Add(h, b)
    }}"""
    after = changed(graph(text, opset, w=weight, b=normal(*shape), c=normal(4)), bias)
    assert ops(after) == [op]


NO_BIAS = {
    "rank 3": "(float[N, 4, 3] x) => (float[N, 4, 2] y) { h = MatMul(x, w) y = Add(h, b) }",
    "unknown rank": "(float x) => (float y) { h = MatMul(x, w) y = Add(h, b) }",
    "widened": "(float[N, 3] x) => (float[N, 2] y) { h = MatMul(x, v) y = Add(h, b) }",
    "by row": "(float[2, 3] x) => (float[2, 2] y) { h = MatMul(x, w) y = Add(h, column) }",
    "higher rank": "(float[N, 3] x) => (float[1, N, 2] y) { h = MatMul(x, w) y = Add(h, deep) }",
    "used twice": "(float[N, 3] x) => (float[N, 2] y) { h = MatMul(x, w) a = Add(h, b) y = Mul(a, h) }",
    "an output": "(float[N, 3] x) => (float[N, 2] y, float[N, 2] h) { h = MatMul(x, w) y = Add(h, b) }",
    "no constant": "(float[N, 3] x, float[2] z) => (float[N, 2] y) { h = MatMul(x, w) y = Add(h, z) }",
    "weight first": "(float[2, N] x) => (float[3, N] y) { h = MatMul(w, x) y = Add(h, one) }",
    "by pixel": "(float[N, 1, 2, 2] x) => (float[N, 1, 2, 2] y) { h = Conv(x, k) y = Add(h, b) }",
}


@pytest.mark.parametrize("case", NO_BIAS)
def test_adds_that_are_no_bias_stay(case):
    given = {"w": normal(3, 2), "v": normal(3, 1), "b": normal(2), "column": normal(2, 1), "one": normal(1)}
    found = graph(NO_BIAS[case], **given, deep=normal(1, 1, 2), k=normal(1, 1, 1, 1))
    if case == "unknown rank":
        found.values["x"].shape and pytest.fail("the rank is known")
    unchanged(found, bias)


def test_a_shared_weight_serves_both_nodes_after_a_fold():
    text = """(float[N, 3] x) => (float[N, 2] y, float[N, 2] z) {
        h = MatMul(x, w) y = Add(h, b) z = MatMul(x, w)
    }"""
    after = changed(graph(text, w=normal(3, 2), b=normal(2)), bias)
    assert ops(after) == ["Gemm", "MatMul"]
    assert after.nodes[0].inputs[1] == after.nodes[1].inputs[1] == "w"


# batch_normalization


def statistics(channels, tiny=False):
    """scale, shift, mean, variance; `tiny`: variances that epsilon outweighs."""
    variance = np.abs(normal(channels)) * (1e-4 if tiny else 1) + (1e-5 if tiny else 0.1)
    return dict(s=normal(channels), o=normal(channels), m=normal(channels), v=variance.astype(np.float32))


BN = "BatchNormalization<epsilon = 0.001>"


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize("op", ["Conv", "ConvTranspose"])
@pytest.mark.parametrize("own", ["", ", b"])
def test_batch_normalization_after_a_convolution(opset, group, op, own):
    shape = (6, 4 // group, 3, 3) if op == "Conv" else (4, 6 // group, 3, 3)
    text = f"""(float[N, 4, 7, 7] x) => (float[N, 6, p, q] y) {{
        h = {op}<group = {group}, strides = [2, 1], pads = [1, 0, 1, 2]>(x, w{own}) y = {BN}(h, s, o, m, v)
    }}"""
    found = graph(text, opset, w=normal(*shape), b=normal(6), **statistics(6, tiny=True))
    after = changed(found, batch_normalization)
    assert ops(after) == [op]
    assert after.notes == (f"BatchNormalization folded into {op}: 1 node",)
    assert {array.dtype for array in after.constants.values()} == {np.dtype(np.float32)}


def test_a_fold_that_drops_epsilon_would_be_caught():
    text = f"(float[N, 3] x) => (float[N, 2] y) {{ h = MatMul(x, w) y = {BN}(h, s, o, m, v) }}"
    found = graph(text, w=normal(3, 2), **statistics(2, tiny=True))
    bn = found.nodes[1]
    wrong = batch_normalization(found.replace(nodes=(found.nodes[0], type(bn)(**fields(bn) | {"attributes": {}}))))
    same(found, batch_normalization(found))
    with pytest.raises(AssertionError):
        same(found, wrong)


def fields(node):
    return {name: getattr(node, name) for name in ("name", "op", "inputs", "outputs", "attributes", "domain")}


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("trans", [0, 1])
@pytest.mark.parametrize("shape", [(5,), (1, 5), (1,), ()])
def test_batch_normalization_after_gemm(opset, trans, shape):
    text = f"""(float[N, 3] x) => (float[N, 5] y) {{
        h = Gemm<alpha = 0.5, beta = 2.0, transB = {trans}>(x, w, b) y = {BN}(h, s, o, m, v)
    }}"""
    weight = normal(5, 3) if trans else normal(3, 5)
    after = changed(graph(text, opset, w=weight, b=normal(*shape), **statistics(5)), batch_normalization)
    assert ops(after) == ["Gemm"]
    assert after.nodes[0].attributes["alpha"] == 0.5
    assert "beta" not in after.nodes[0].attributes


@pytest.mark.parametrize("opset", OPSETS)
def test_batch_normalization_before_affine_maps(opset):
    text = f"""(float[N, 4, 5, 5] x) => (float[N, 6, 3, 3] y, float[N, 2, 5, 5] z) {{
        a = Relu(x) h = {BN}(a, s, o, m, v)
        y = Conv<group = 2>(h, w, b) z = Conv(h, k)
    }}"""
    found = graph(text, opset, w=normal(6, 2, 3, 3), b=normal(6), k=normal(2, 4, 1, 1), **statistics(4))
    after = changed(found, batch_normalization)
    assert ops(after) == ["Relu", "Conv", "Conv"]


@pytest.mark.parametrize("opset", OPSETS)
def test_batch_normalization_before_dense_maps(opset):
    text = f"""(float[N, 4] x) => (float[N, 2] y, float[N, 3] z) {{
        a = Relu(x) h = {BN}(a, s, o, m, v)
        y = Gemm<alpha = 0.5, beta = 2.0, transB = 1>(h, w, b) z = MatMul(h, k)
    }}"""
    found = graph(text, opset, w=normal(2, 4), b=normal(2), k=normal(4, 3), **statistics(4))
    assert ops(changed(found, batch_normalization)) == ["Relu", "Gemm", "Gemm"]


def test_two_in_a_row_before_and_after():
    text = f"""(float[N, 4, 5, 5] x) => (float[N, 3, 5, 5] y) {{
        a = Relu(x) b = {BN}(a, s, o, m, v) c = {BN}(b, s, o, m, v)
        d = Conv(c, w) e = {BN}(d, s2, o2, m2, v2) y = {BN}(e, s2, o2, m2, v2)
    }}"""
    second = {f"{name}2": array for name, array in statistics(3).items()}
    after = changed(graph(text, w=normal(3, 4, 1, 1), **statistics(4), **second), batch_normalization)
    assert ops(after) == ["Relu", "Conv"]
    assert after.notes == ("BatchNormalization folded into Conv: 4 nodes",)


@pytest.mark.parametrize("padding", ["pads = [1, 1, 1, 1]", 'auto_pad = "SAME_UPPER"'])
def test_padding_allows_a_scale_but_no_shift(padding):
    text = f"""(float[N, 4, 5, 5] x) => (float[N, 2, 5, 5] y) {{
        a = Relu(x) h = {BN}(a, s, o, m, v) y = Conv<{padding}>(h, w)
    }}"""
    given = statistics(4)
    unchanged(graph(text, w=normal(2, 4, 3, 3), **given), batch_normalization)
    given |= dict(o=np.zeros(4, np.float32), m=np.zeros(4, np.float32))
    after = changed(graph(text, w=normal(2, 4, 3, 3), **given), batch_normalization)
    assert ops(after) == ["Relu", "Conv"]


def test_a_transposed_convolution_takes_a_scale_but_no_shift():
    text = f"""(float[N, 4, 5, 5] x) => (float[N, 6, 7, 7] y) {{
        a = Relu(x) h = {BN}(a, s, o, m, v) y = ConvTranspose<group = 2>(h, w)
    }}"""
    given = statistics(4)
    unchanged(graph(text, w=normal(4, 3, 3, 3), **given), batch_normalization)
    given |= dict(o=np.zeros(4, np.float32), m=np.zeros(4, np.float32))
    after = changed(graph(text, w=normal(4, 3, 3, 3), **given), batch_normalization)
    assert ops(after) == ["Relu", "ConvTranspose"]


def test_a_shared_weight_is_not_corrupted():
    text = f"""(float[N, 4, 5, 5] x) => (float[N, 2, 3, 3] y, float[N, 2, 3, 3] z) {{
        h = Conv(x, w, b) y = {BN}(h, s, o, m, v) z = Conv(x, w, b)
    }}"""
    weight = normal(2, 4, 3, 3)
    found = graph(text, w=weight, b=normal(2), **statistics(2))
    after = changed(found, batch_normalization)
    assert ops(after) == ["Conv", "Conv"]
    np.testing.assert_array_equal(after.constants["w"], weight)
    np.testing.assert_array_equal(found.constants["w"], weight)


def test_float16_is_folded_in_double_and_not_where_it_overflows():
    text = """(float16[N, 3] x) => (float16[N, 2] y) {
        h = Gemm(x, w, b) y = BatchNormalization(h, s, o, m, v)
    }"""
    half = {name: array.astype(np.float16) for name, array in statistics(2).items()}
    found = graph(text, w=normal(3, 2).astype(np.float16), b=normal(2).astype(np.float16), **half)
    after = batch_normalization(found)
    assert ops(after) == ["Gemm"]
    assert {array.dtype for array in after.constants.values()} == {np.dtype(np.float16)}
    half |= dict(s=np.float16([3e4, 3e4]), v=np.float16([1e-4, 1e-4]))
    unchanged(graph(text, w=normal(3, 2).astype(np.float16), b=half["o"], **half), batch_normalization)


UNFOLDED = {
    "after Relu": f"(float[N, 4] x) => (float[N, 4] y) {{ h = Relu(x) y = {BN}(h, s, o, m, v) }}",
    "used twice": f"""(float[N, 3] x) => (float[N, 4] y) {{
        h = MatMul(x, w) a = {BN}(h, s, o, m, v) y = Add(a, h) }}""",
    "an output": f"""(float[N, 3] x) => (float[N, 4] y, float[N, 4] h) {{
        h = MatMul(x, w) y = {BN}(h, s, o, m, v) }}""",
    "rank 3": f"""(float[N, 4, 3] x) => (float[N, 4, 4] y) {{
        h = MatMul(x, w) y = {BN}(h, s, o, m, v) }}""",
    "training": """(float[N, 3] x) => (float[N, 4] y) {
        h = MatMul(x, w) y, p, q = BatchNormalization<training_mode = 1>(h, s, o, m, v) }""",
    "no constants": f"""(float[N, 3] x, float[4] t) => (float[N, 4] y) {{
        h = MatMul(x, w) y = {BN}(h, t, o, m, v) }}""",
    "bias by row": f"""(float[4, 3] x) => (float[4, 4] y) {{
        h = Gemm(x, w, column) y = {BN}(h, s, o, m, v) }}""",
    "one user is not affine": f"""(float[N, 4] x) => (float[N, 4] y, float[N, 4] z) {{
        a = Relu(x) h = {BN}(a, s, o, m, v) y = MatMul(h, k) z = Exp(h) }}""",
    "transposed input": f"""(float[4, 4] x) => (float[4, 4] y) {{
        a = Relu(x) h = {BN}(a, s, o, m, v) y = Gemm<transA = 1>(h, k) }}""",
}


@pytest.mark.parametrize("case", UNFOLDED)
def test_batch_normalizations_that_stay(case):
    given = statistics(4) | dict(w=normal(3, 4), k=normal(4, 4), column=normal(4, 1))
    unchanged(graph(UNFOLDED[case], **given), batch_normalization)


def test_a_variance_below_minus_epsilon_stays():
    given = statistics(4) | dict(v=np.float32([1, -1, 1, 1]), w=normal(3, 4))
    text = f"(float[N, 3] x) => (float[N, 4] y) {{ h = MatMul(x, w) y = {BN}(h, s, o, m, v) }}"
    unchanged(graph(text, **given), batch_normalization)


# head


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax", "Sigmoid"])
@pytest.mark.parametrize("tail", ["y = {op}(z)", "p = {op}(z) y = Identity(p)", "p = {op}(z) y = Reshape(p, s)"])
def test_the_final_activation_is_set_aside(opset, op, tail):
    text = f"(float[N, 3] x) => (float[N, 3] y) {{ z = Gemm(x, w, b) {tail.format(op=op)} }}"
    after = changed(graph(text, opset, w=normal(3, 3), b=normal(3), s=np.array([0, 3])), head)
    assert after.target("y") == "z"
    assert op in ops(after)
    assert f"final {op} '" in after.notes[0]


def changed_targets(text, **given):
    return head(graph(text, **given)).targets


def test_a_head_behind_a_cast_and_a_change_of_shape_and_back():
    text = """(float[N, 3] x) => (double[N, 3] y) {
        z = Relu(x) p = Sigmoid(z) q = Unsqueeze(p, a) r = Squeeze(q, a) y = Cast<to = 11>(r)
    }"""
    assert changed_targets(text, a=np.array([2])) == {"y": "z"}


def test_every_output_has_its_own_target():
    text = """(float[N, 3] x) => (float[N, 3] z, float[N, 3] p, float[N, 3] q, int64[N] i) {
        z = Relu(x) p = Softmax(z) q = Sigmoid(z) i = ArgMax<axis = 1, keepdims = 0>(p)
    }"""
    assert changed_targets(text) == {"p": "z", "q": "z"}


NO_HEAD = {
    "concat": """(float[N, 1] x) => (float[N, 2] y) {
        z = Neg(x) p = Sigmoid(z) q = Sub(one, p) y = Concat<axis = 1>(q, p) }""",
    "flattened": """(float[N, 3, 2] x) => (float[N, 6] y) { z = Neg(x) p = Softmax(z) y = Flatten(p) }""",
    "transposed": """(float[3, 3] x) => (float[3, 3] y) {
        z = Neg(x) p = Softmax(z) y = Transpose<perm = [1, 0]>(p) }""",
    "of the input": "(float[N, 3] x) => (float[N, 3] y) { y = Softmax(x) }",
    "inside": "(float[N, 3] x) => (float[N, 3] y) { z = Neg(x) p = Softmax(z) y = Mul(p, x) }",
    "to integers": "(float[3] x) => (int64[3] y) { z = Neg(x) p = Sigmoid(z) y = Cast<to = 7>(p) }",
    "another activation": "(float[3] x) => (float[3] y) { z = Neg(x) y = Tanh(z) }",
}


@pytest.mark.parametrize("case", NO_HEAD)
def test_what_is_no_head_stays(case):
    unchanged(graph(NO_HEAD[case], one=np.float32([1])), head)


def test_the_logit_of_an_output_survives_a_later_pass():
    text = "(float[N, 3] x) => (float[N, 3] y) { z = Neg(x) q = Identity(z) y = Softmax(q) }"
    after = identity(head(graph(text)))
    assert ops(after) == ["Neg", "Softmax"]
    assert after.producers[after.target("y")].op == "Neg"


# all together

WHOLE = f"""(float[N, 4, 8, 8] x) => (float[N, 2] y) {{
    w = Cast<to = 1>(half)
    a = Conv<pads = [1, 1, 1, 1]>(x, w)
    b = Add(a, c)
    d = {BN}(b, s, o, m, v)
    e = Relu(d)
    f = Dropout(e)
    g = GlobalAveragePool(f)
    h = Flatten(g)
    i = MatMul(h, dense)
    j = Add(i, offset)
    k = Identity(j)
    y = Softmax<axis = 1>(k)
}}"""


@pytest.mark.parametrize("opset", OPSETS)
def test_a_whole_network(opset):
    given = statistics(6) | dict(dense=normal(6, 2), offset=normal(2), c=normal(6, 1, 1))
    found = graph(WHOLE, opset, half=normal(6, 4, 3, 3).astype(np.float16), **given)
    seen = []

    def check(before, after):
        seen.append((len(before.nodes), len(after.nodes)))
        same(before, after)

    after = canonise(found, check)
    assert ops(after) == ["Conv", "Relu", "GlobalAveragePool", "Flatten", "Gemm", "Softmax"]
    assert after.target("y") == after.nodes[-2].output
    assert len(seen) == 5  # no Split here
    assert after.sha256 == found.sha256
    assert canonise(after) is after
    again = canonise(graph(WHOLE, opset, half=found.constants["half"], **given))
    assert [(n.name, n.inputs) for n in again.nodes] == [(n.name, n.inputs) for n in after.nodes]


def test_check_sees_a_pass_that_is_wrong():
    found = graph("(float[3] x) => (float[3] y) { a = Identity(x) y = Neg(a) }")

    def check(before, after):
        raise AssertionError("outputs differ")

    with pytest.raises(AssertionError, match="outputs differ"):
        canonise(found, check)
    assert canonise(graph("(float[3] x) => (float[3] y) { y = Neg(x) }"), check).notes == ()


def test_passes_are_described_by_their_algebra():
    assert [run.__name__ for run in PASSES] == [
        "constants", "identity", "split", "bias", "batch_normalization", "head",
    ]  # fmt: skip
    assert all("=" in run.__doc__.split("\n")[0] or "->" in run.__doc__.split("\n")[0] for run in PASSES)
