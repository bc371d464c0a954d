from __future__ import annotations

import numpy as np
import pytest

from onnxdtd.domains.propagation import Domain, domains
from tests.support.model_text import domain_of, graph, inside, run

MOVED = """(float[2, 4, 6, 6] x) => (float[a, b, c, d] y) {{ r = Relu(x) {} }}"""
KEPT = [
    "y = MaxPool<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(r)",
    "y = AveragePool<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(r)",
    "y = GlobalMaxPool(r)",
    "y = GlobalAveragePool(r)",
    "y = ReduceMean(r)",
    "y = ReduceMax(r)",
    "y = Transpose(r)",
    "y = Reshape(r, shape)",
    "y = Slice(r, one, two)",
    "y = Gather(r, one)",
    "y = DepthToSpace<blocksize = 2>(r)",
    "a, y = Split<num_outputs = 2>(r)",
    "y, i = TopK(r, one)",
    'y = Resize<mode = "nearest">(r, , scales)',
    'y = Resize<mode = "linear">(r, , scales)',
    "y = Concat<axis = 0>(r, r)",
    'y = Pad<mode = "reflect">(r, pads)',
    "y = Dropout(r)",
    "y = Tile(r, repeats)",
]
CHANGED = {
    "y = Pad(r, pads)": "[0, 6]",
    "y = Pad(r, pads, minus)": "[-1, 6]",
    "y = AveragePool<kernel_shape = [3, 3], pads = [1, 1, 1, 1], count_include_pad = 1>(r)": "[0, 6]",
    "y = Trilu(r)": "[0, 6]",
    "n = Neg(r) y = Concat<axis = 1>(r, n)": "[-6, 6]",
    "y = Concat<axis = 1>(r, table)": "[-3, 6]",
    'y = Resize<mode = "cubic">(r, , scales)': "(-inf, inf)",
    "y = ReduceSum(r)": "[288, 1728]",
    "y = ReduceSum(r, one)": "[4, 24]",
    "y = ReduceL2(r)": "[0, inf)",
    "n = Neg(r) y = ReduceSumSquare(n)": "[0, inf)",
    "y = ReduceProd(r)": "[0, inf)",
    "y = CumSum(r, axis)": "[0, inf)",
    "y = ScatterND(r, indices, updates)": "[-2, 6]",
    "y = Add(r, table)": "[-2, 8]",
    "y = Gather(table, one)": "[-3, 2]",
    "y = Conv(r, kernel)": "(-inf, inf)",
    "y = LpNormalization(r)": "[-1, 1]",
}
GIVEN = {
    "shape": np.array([4, 2, 6, 6]), "one": np.array([1]), "two": np.array([2]), "axis": np.array(1),
    "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "repeats": np.array([1, 1, 2, 2]), "minus": np.float32(-1),
    "scales": np.float32([1, 1, 1.5, 1.5]), "table": np.tile(np.float32([-3, 2, 0, 1, 0, 1]), (2, 4, 6, 1)),
    "indices": np.array([[0]]), "updates": np.full((1, 4, 6, 6), -2, np.float32),
    "kernel": np.ones((2, 4, 3, 3), np.float32),
}  # fmt: skip


@pytest.mark.parametrize("body", [*KEPT, *CHANGED])
def test_what_moves_and_pools_values(body):
    net = graph(MOVED.format(body), 22, **GIVEN)
    domain = domains(net, (1, 6))["y"]
    assert str(domain) == CHANGED.get(body, "[1, 6]")
    for x in (
        np.ones((2, 4, 6, 6)),
        np.full((2, 4, 6, 6), 6),
        np.random.default_rng(0).uniform(1, 6, (2, 4, 6, 6)),
    ):
        y = run(net, {"x": x.astype(np.float32)})[0]
        assert inside(y, domain)


def test_sums_of_an_open_number_of_terms_keep_their_sign():
    text = "(float[N, 4] x) => (float[A, B] y) { r = Relu(x) y = ReduceSum(r, axes) }"
    assert domain_of(text, (1, 6), axes=np.array([0])) == "[0, inf)"
    assert domain_of(text, (1, 6), axes=np.array([1])) == "[0, inf)"
    assert domain_of(text.replace("N", "2"), (1, 6), axes=np.array([1])) == "[4, 24]"


@pytest.mark.parametrize("op", ["LSTM", "RNN"])
def test_hidden_states_are_bounded(op):
    gates = {"LSTM": 4, "RNN": 1}[op]
    rng = np.random.default_rng(0)
    w, r = (rng.standard_normal((1, 5 * gates, n)).astype(np.float32) * 3 for n in (3, 5))
    net = graph(
        f"(float[T, N, 3] x) => (float[T, 1, N, 5] y) {{ y = {op}<hidden_size = 5>(x, w, r) }}", 14, w=w, r=r
    )
    assert str(domains(net)["y"]) == "[-1, 1]"
    y = run(net, {"x": rng.standard_normal((50, 8, 3)).astype(np.float32) * 10})[0]
    assert inside(y, Domain(-1, 1))
    assert y.min() < -0.9
    assert y.max() > 0.9


def test_states_that_are_not_bounded():
    arrays = {"w": np.ones((1, 20, 3), np.float32), "r": np.ones((1, 20, 5), np.float32)}
    outputs = "(float[T, 1, N, 5] y, float[1, N, 5] h, float[1, N, 5] c)"
    text = f"(float[T, N, 3] x) => {outputs} {{{{ y, h, c = LSTM<{{}}>(x, w, r) }}}}"
    plain = text.format("hidden_size = 5")
    assert [domain_of(plain, output=o, **arrays) for o in "yhc"] == ["[-1, 1]", "[-1, 1]", "(-inf, inf)"]
    other = 'hidden_size = 5, activations = ["Sigmoid", "Relu", "Relu"]'
    assert domain_of(text.format(other), **arrays) == "(-inf, inf)"


@pytest.mark.parametrize("opset", [7, 9, 11, 13])
def test_older_forms(opset):
    clip = "Clip<min = 0.0, max = 6.0>(x)" if opset < 11 else "Clip(x, zero, six)"
    pad = "Pad<pads = [0, 1], value = 9.0>(c)" if opset < 11 else "Pad(c, pads, nine)"
    arrays = {"pads": np.array([0, 1]), "nine": np.float32(9), "zero": np.float32(0), "six": np.float32(6)}
    assert (
        domain_of(f"(float[3] x) => (float[4] y) {{ c = {clip} y = {pad} }}", opset=opset, **arrays)
        == "[0, 9]"
    )


def test_linear_and_unknown_ops_are_unbounded():
    text = "(float[N, 4] x) => (float[N, 3] y) { r = Relu(x) y = MatMul(r, w) }"
    assert domain_of(text, w=np.ones((4, 3), np.float32)) == "(-inf, inf)"
    assert (
        domain_of('(float[N, 4] x) => (float[N, 4] y) { y = Einsum<equation = "ij->ij">(x) }')
        == "(-inf, inf)"
    )
