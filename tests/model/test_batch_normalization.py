from __future__ import annotations

import numpy as np
import pytest

from onnxdtd.model.canonise.batch_normalization import batch_normalization
from tests.support.model_text import BN, OPSETS, changed, graph, normal, ops, same, statistics, unchanged


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize("op", ["Conv", "ConvTranspose"])
@pytest.mark.parametrize("own", ["", ", b"])
def test_batch_normalization_after_a_convolution(opset, group, op, own):
    shape = (6, 4 // group, 3, 3) if op == "Conv" else (4, 6 // group, 3, 3)
    text = f"""(float[N, 4, 7, 7] x) => (float[N, 6, p, q] y) {{
        h = {op}<group = {group}, strides = [2, 1], pads = [1, 0, 1, 2]>(x, w{own}) y = {BN}(h, s, o, m, v)
    }}"""
    net = graph(text, opset, w=normal(*shape), b=normal(6), **statistics(6, tiny=True))
    after = changed(net, batch_normalization)
    assert ops(after) == [op]
    assert after.notes == (f"BatchNormalization folded into {op}: 1 node",)
    assert {array.dtype for array in after.constants.values()} == {np.dtype(np.float32)}


def test_a_fold_that_drops_epsilon_would_be_caught():
    text = f"(float[N, 3] x) => (float[N, 2] y) {{ h = MatMul(x, w) y = {BN}(h, s, o, m, v) }}"
    net = graph(text, w=normal(3, 2), **statistics(2, tiny=True))
    bn = net.nodes[1]
    wrong = batch_normalization(
        net.replace(nodes=(net.nodes[0], type(bn)(**fields(bn) | {"attributes": {}})))
    )
    same(net, batch_normalization(net))
    with pytest.raises(AssertionError):
        same(net, wrong)


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
    net = graph(text, opset, w=normal(6, 2, 3, 3), b=normal(6), k=normal(2, 4, 1, 1), **statistics(4))
    after = changed(net, batch_normalization)
    assert ops(after) == ["Relu", "Conv", "Conv"]


@pytest.mark.parametrize("opset", OPSETS)
def test_batch_normalization_before_dense_maps(opset):
    text = f"""(float[N, 4] x) => (float[N, 2] y, float[N, 3] z) {{
        a = Relu(x) h = {BN}(a, s, o, m, v)
        y = Gemm<alpha = 0.5, beta = 2.0, transB = 1>(h, w, b) z = MatMul(h, k)
    }}"""
    net = graph(text, opset, w=normal(2, 4), b=normal(2), k=normal(4, 3), **statistics(4))
    assert ops(changed(net, batch_normalization)) == ["Relu", "Gemm", "Gemm"]


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
def test_a_shift_in_front_of_padding_is_a_bias_by_position(padding):
    text = f"""(float[N, 4, 5, 5] x) => (float[N, 2, 5, 5] y) {{
        a = Relu(x) h = {BN}(a, s, o, m, v) y = Conv<{padding}>(h, w)
    }}"""
    arrays = statistics(4)
    after = changed(graph(text, w=normal(2, 4, 3, 3), **arrays), batch_normalization)
    assert ops(after) == ["Relu", "Conv"]
    assert after.constants[after.nodes[1].bias].shape == (1, 2, 5, 5)
    arrays |= {"o": np.zeros(4, np.float32), "m": np.zeros(4, np.float32)}
    after = changed(graph(text, w=normal(2, 4, 3, 3), **arrays), batch_normalization)
    assert (ops(after), after.nodes[1].bias) == (["Relu", "Conv"], "")


@pytest.mark.parametrize(("op", "group"), [("Conv", 1), ("Conv", 2), ("ConvTranspose", 2)])
def test_a_shift_in_front_of_padding_follows_from_open_sizes(op, group):
    text = f"""(float[N, 4, H, W] x) => (float[N, 2, A, B] y) {{
        a = Relu(x) h = {BN}(a, s, o, m, v)
        p = {op}<group = {group}, pads = [1, 0, 1, 1]>(h, w) y = {BN}(p, r, q, q, u)
    }}"""
    shape = (2, 4 // group, 3, 3) if op == "Conv" else (4, 2 // group, 3, 3)
    more = {"r": normal(2), "q": normal(2), "u": np.ones(2, np.float32)}
    net = graph(text, w=normal(*shape), **statistics(4), **more)
    after = changed(net, batch_normalization)
    [convolution] = [node for node in after.nodes if "a" in node.inputs and node.op == op]
    assert convolution.bias
    assert convolution.bias not in after.constants
    assert "BatchNormalization" not in ops(after)


def test_a_change_of_units_stays():
    text = f"(float[N, 4] x) => (float[N, 2] y) {{ h = {BN}(x, s, o, m, v) y = MatMul(h, w) }}"
    unchanged(graph(text, w=normal(4, 2), **statistics(4)), batch_normalization)


def test_a_shift_in_front_of_a_transposed_convolution():
    text = f"""(float[N, 4, 5, 5] x) => (float[N, 6, 7, 7] y) {{
        a = Relu(x) h = {BN}(a, s, o, m, v) y = ConvTranspose<group = 2>(h, w)
    }}"""
    arrays = statistics(4)
    after = changed(graph(text, w=normal(4, 3, 3, 3), **arrays), batch_normalization)
    assert ops(after) == ["Relu", "ConvTranspose"]
    arrays |= {"o": np.zeros(4, np.float32), "m": np.zeros(4, np.float32)}
    after = changed(graph(text, w=normal(4, 3, 3, 3), **arrays), batch_normalization)
    assert ops(after) == ["Relu", "ConvTranspose"]


def test_a_shared_weight_is_not_corrupted():
    text = f"""(float[N, 4, 5, 5] x) => (float[N, 2, 3, 3] y, float[N, 2, 3, 3] z) {{
        h = Conv(x, w, b) y = {BN}(h, s, o, m, v) z = Conv(x, w, b)
    }}"""
    weight = normal(2, 4, 3, 3)
    net = graph(text, w=weight, b=normal(2), **statistics(2))
    after = changed(net, batch_normalization)
    assert ops(after) == ["Conv", "Conv"]
    np.testing.assert_array_equal(after.constants["w"], weight)
    np.testing.assert_array_equal(net.constants["w"], weight)


def test_float16_is_folded_in_double_and_not_where_it_overflows():
    text = """(float16[N, 3] x) => (float16[N, 2] y) {
        h = Gemm(x, w, b) y = BatchNormalization(h, s, o, m, v)
    }"""
    half = {name: array.astype(np.float16) for name, array in statistics(2).items()}
    net = graph(text, w=normal(3, 2).astype(np.float16), b=normal(2).astype(np.float16), **half)
    after = batch_normalization(net)
    assert ops(after) == ["Gemm"]
    assert {array.dtype for array in after.constants.values()} == {np.dtype(np.float16)}
    half |= {"s": np.float16([3e4, 3e4]), "v": np.float16([1e-4, 1e-4])}
    unchanged(graph(text, w=normal(3, 2).astype(np.float16), b=half["o"], **half), batch_normalization)


COPIED = {
    "used twice": (
        f"""(float[N, 3] x) => (float[N, 4] y) {{
        h = MatMul(x, w) a = {BN}(h, s, o, m, v) y = Add(a, h) }}""",
        ["MatMul", "Gemm", "Add"],
    ),
    "an output": (
        f"""(float[N, 3] x) => (float[N, 4] y, float[N, 4] h) {{
        h = MatMul(x, w) y = {BN}(h, s, o, m, v) }}""",
        ["MatMul", "Gemm"],
    ),
    "one user is not affine": (
        f"""(float[N, 4] x) => (float[N, 4] y, float[N, 4] z) {{
        a = Relu(x) h = {BN}(a, s, o, m, v) y = MatMul(h, k) z = Exp(h) }}""",
        ["Relu", "BatchNormalization", "Gemm", "Exp"],
    ),
}


@pytest.mark.parametrize("case", COPIED)
def test_a_value_that_is_read_elsewhere_keeps_a_copy(case):
    text, expected = COPIED[case]
    arrays = statistics(4) | {"w": normal(3, 4), "k": normal(4, 4)}
    assert sorted(ops(changed(graph(text, **arrays), batch_normalization))) == sorted(expected)


STEPS = {
    "product and sum": "t = Mul(h, c) y = Add(d, t)",
    "difference and quotient": "t = Sub(h, d) y = Div(t, c)",
    "difference from the other side": "t = Sub(d, h) y = Mul(c, t)",
}


@pytest.mark.parametrize("step", STEPS)
def test_steps_that_are_written_out_are_folded_behind_a_map(step):
    text = f"(float[N, 4, 5, 5] x) => (float[N, 2, 5, 5] y) {{ h = Conv<pads = [1, 1, 1, 1]>(x, w) {STEPS[step]} }}"
    after = changed(
        graph(text, w=normal(2, 4, 3, 3), c=normal(2, 1, 1), d=normal(1, 2, 1, 1)), batch_normalization
    )
    assert ops(after) == ["Conv"]


@pytest.mark.parametrize("step", STEPS)
def test_steps_that_are_written_out_are_folded_before_a_map(step):
    steps = STEPS[step].replace("y =", "z =")
    text = f"""(float[N, 4, 5, 5] x) => (float[N, 2, 5, 5] y) {{
        h = Relu(x) {steps} y = Conv<pads = [1, 1, 1, 1]>(z, w) }}"""
    after = changed(
        graph(text, w=normal(2, 4, 3, 3), c=normal(4, 1, 1), d=normal(1, 4, 1, 1)), batch_normalization
    )
    assert ops(after) == ["Relu", "Conv"]


def test_a_scale_by_row_gives_the_weights_an_axis():
    text = f"(float[N, 4, 3] x) => (float[N, 4, 4] y) {{ h = MatMul(x, w) y = {BN}(h, s, o, m, v) }}"
    after = changed(graph(text, w=normal(3, 4), **statistics(4)), batch_normalization)
    assert ops(after) == ["Einsum"]
    assert after.constants[after.nodes[0].inputs[1]].shape == (4, 3, 4)
    unchanged(graph(text, 11, w=normal(3, 4), **statistics(4)), batch_normalization)


@pytest.mark.parametrize(
    ("shape", "equation"), [("2, 3, 4", "ij,jk->ik"), ("3, 4", "ijk,kl->ijl"), ("3, 4", "ij,j->i")]
)
def test_an_equation_of_another_rank_is_left_to_onnxruntime_which_refuses_it(shape, equation):
    text = f"""(float[{shape}] x) => (float[N] y) {{ h = Einsum<equation = "{equation}">(x, w) y = Mul(h, s) }}"""
    unchanged(graph(text, w=normal(4, 2), s=normal(2)), batch_normalization)


MOVED = {
    "used twice": (
        """(float[N, 4, 3] x) => (float[N, 4, 4] y) {
        h = MatMul(x, w) t = Transpose<perm = [0, 2, 1]>(h) p = Mul(t, c) y = Add(p, t) }""",
        ["MatMul", "Transpose", "MatMul", "Transpose", "Add"],
    ),
    "an output": (
        """(float[N, 4, 3] x) => (float[N, 4, 4] y, float[N, 4, 4] t) {
        h = MatMul(x, w) t = Transpose<perm = [0, 2, 1]>(h) y = Mul(t, c) }""",
        ["MatMul", "Transpose", "MatMul", "Transpose"],
    ),
    "read behind the move": (
        """(float[N, 4, 3] x) => (float[N, 3, 4] y, float[N, 3, 4] z) {
        a = Relu(x) p = Mul(a, c) t = Transpose<perm = [0, 2, 1]>(p) y = MatMul(t, k) z = Exp(t) }""",
        ["Relu", "Mul", "Transpose", "MatMul", "Transpose", "Exp"],
    ),
}


@pytest.mark.parametrize("case", MOVED)
def test_a_move_that_is_read_elsewhere_keeps_a_copy(case):
    text, expected = MOVED[case]
    arrays = {"w": normal(3, 4), "k": normal(4, 4), "c": normal(4, 1)}
    assert sorted(ops(changed(graph(text, **arrays), batch_normalization))) == sorted(expected)


UNFOLDED = {
    "after Relu": f"(float[N, 4] x) => (float[N, 4] y) {{ h = Relu(x) y = {BN}(h, s, o, m, v) }}",
    "rows of rank 3, of any number": f"""(float[N, T, 3] x) => (float[N, T, 4] y) {{
        h = MatMul(x, w) y = {BN}(h, s, o, m, v) }}""",
    "training": """(float[N, 3] x) => (float[N, 4] y) {
        h = MatMul(x, w) y = BatchNormalization<training_mode = 1>(h, s, o, m, v) }""",
    "training with statistics": """(float[N, 3] x) => (float[N, 4] y) {
        h = MatMul(x, w) y, p, q = BatchNormalization<training_mode = 1>(h, s, o, m, v) }""",
    "no constants": f"""(float[N, 3] x, float[4] t) => (float[N, 4] y) {{
        h = MatMul(x, w) y = {BN}(h, t, o, m, v) }}""",
    "bias by row": f"""(float[4, 3] x) => (float[4, 4] y) {{
        h = Gemm(x, w, column) y = {BN}(h, s, o, m, v) }}""",
    "transposed input": f"""(float[4, 4] x) => (float[4, 4] y) {{
        a = Relu(x) h = {BN}(a, s, o, m, v) y = Gemm<transA = 1>(h, k) }}""",
}


@pytest.mark.parametrize("case", UNFOLDED)
def test_batch_normalizations_that_stay(case):
    arrays = statistics(4) | {"w": normal(3, 4), "k": normal(4, 4), "column": normal(4, 1)}
    unchanged(graph(UNFOLDED[case], **arrays), batch_normalization)


def test_before_opset_14_further_outputs_mean_training():
    text = """(float[N, 3] x) => (float[N, 4] y) {
        h = MatMul(x, w) y, a, b, c, d = BatchNormalization(h, s, o, m, v)
    }"""
    unchanged(graph(text, 9, w=normal(3, 4), **statistics(4)), batch_normalization)


def test_what_a_subgraph_reads_stays():
    text = f"""(float[N, 3] x, bool c) => (float[N, 2] y, float[N, 4] z) {{
        a = Relu(x) r = Gemm(a, w) h = {BN}(r, s, o, m, v) y = MatMul(h, k)
        z = If (c) <
            then_branch = g1 () => (float[N, 4] t) {{ t = Neg(r) }},
            else_branch = g2 () => (float[N, 4] e) {{ e = Exp(h) }}
        >
    }}"""
    after = changed(graph(text, w=normal(3, 4), k=normal(4, 2), **statistics(4)), batch_normalization)
    assert {"r", "h"} <= {value for node in after.nodes for value in node.outputs}


def test_a_variance_below_minus_epsilon_stays():
    arrays = statistics(4) | {"v": np.float32([1, -1, 1, 1]), "w": normal(3, 4)}
    text = f"(float[N, 3] x) => (float[N, 4] y) {{ h = MatMul(x, w) y = {BN}(h, s, o, m, v) }}"
    unchanged(graph(text, **arrays), batch_normalization)


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Sum"])
@pytest.mark.parametrize("order", ["h, c", "c, h"])
@pytest.mark.parametrize(("kind", "shape", "place"), [
    ("N, 1, 2, 3", (1, 4, 2, 3), "in front"), ("N, 1, 2, 3", (4, 1, 1), "in front"), ("N, 2", (4, 2), "in front"),
    ("N, 1", (3,), "behind"),
])  # fmt: skip
def test_a_constant_that_copies_x_stays(op, order, kind, shape, place):
    """x has one element along an axis where the constant has several: y is larger than x."""
    sizes = [int(n) for n in kind.split(", ")[1:]]
    width = int(np.prod(np.broadcast_shapes((1, *sizes), shape)))
    if place == "behind":
        text = f"(float[N, 2] x) => (float[N, 3] y) {{ h = MatMul(x, w) y = {op}({order}) }}"
        arrays = {"w": normal(2, 1)}
    else:
        text = f"""(float[{kind}] x) => (float[M, 2] y) {{
            h = Relu(x) g = {op}({order}) f = Reshape(g, flat) y = Gemm(f, w) }}"""
        arrays = {"w": normal(width, 2), "flat": np.array([-1, width])}
    net = graph(text, c=normal(*shape), **arrays)
    if sizes == [2]:  # which has as many rows as the constant, or one
        net = graph(text.replace("float[N", "float[1"), c=normal(*shape), **arrays)
    unchanged(net, batch_normalization)
