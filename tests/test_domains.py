from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

from onnxdtd.errors import InputError
from onnxdtd.model.domains import Domain, domains
from tests.model_text import graph, run

SAMPLES = 100_000


def samples(low, high):
    """Float32 numbers of all sizes between low and high, the ends and zero included."""
    rng = np.random.default_rng(0)
    wide = rng.choice([-1, 1], SAMPLES) * np.exp(rng.uniform(-20, 16, SAMPLES))
    near = np.linspace(max(low, -12), min(high, 12), SAMPLES)
    return np.clip([0, low, high, *near, *wide], low, high).astype(np.float32)


def inside(y, domain):
    """No value leaves the domain. A kernel may round past an end by 4 units in the last place; zero is exact."""
    low, high = (end + sign * 4 * np.spacing(np.float32(abs(end))) if end and math.isfinite(end) else end
                 for end, sign in ((domain.low, -1), (domain.high, 1)))  # fmt: skip
    return low <= y.min() and y.max() <= high


# body: the domain of y for x anywhere, and for x in [-0.5, 2]
ACTIVATIONS = {
    "y = Relu(x)": ("[0, inf)", "[0, 2]"),
    "y = LeakyRelu<alpha = 0.25>(x)": ("(-inf, inf)", "[-0.125, 2]"),
    "y = LeakyRelu<alpha = -0.25>(x)": ("[0, inf)", "[0, 2]"),
    "y = Elu<alpha = 2.0>(x)": ("[-2, inf)", "[-0.7869, 2]"),
    "y = Selu(x)": ("[-1.758, inf)", "[-0.6918, 2.101]"),
    "y = Celu<alpha = 2.0>(x)": ("[-2, inf)", "[-0.4424, 2]"),
    "y = PRelu(x, slope)": ("(-inf, inf)", "[-0.125, 2]"),
    "y = PRelu(x, falling)": ("[0, inf)", "[0, 2]"),
    "y = ThresholdedRelu<alpha = 1.5>(x)": ("[0, inf)", "[0, 2]"),
    "y = ThresholdedRelu<alpha = -0.25>(x)": ("[-0.25, inf)", "[-0.25, 2]"),
    "y = Clip(x, zero, six)": ("[0, 6]", "[0, 2]"),
    "y = Clip(x, , six)": ("(-inf, 6]", "[-0.5, 2]"),
    "y = Clip(x)": ("(-inf, inf)", "[-0.5, 2]"),
    "y = Sigmoid(x)": ("[0, 1]", "[0.3775, 0.8808]"),
    "y = HardSigmoid(x)": ("[0, 1]", "[0.4, 0.9]"),
    "y = HardSigmoid<alpha = -0.2>(x)": ("[0, 1]", "[0.1, 0.6]"),
    "y = Tanh(x)": ("[-1, 1]", "[-0.4621, 0.964]"),
    "y = Softplus(x)": ("[0, inf)", "[0.4741, 2.127]"),
    "y = Softsign(x)": ("[-1, 1]", "[-0.3333, 0.6667]"),
    "y = Erf(x)": ("[-1, 1]", "[-0.5205, 0.9953]"),
    "y = HardSwish(x)": ("[-0.375, inf)", "[-0.2083, 1.667]"),
    "y = Mish(x)": ("[-0.3088, inf)", "[-0.2207, 1.944]"),
    "y = Gelu(x)": ("[-0.17, inf)", "[-0.1543, 1.955]"),
    'y = Gelu<approximate = "tanh">(x)': ("[-0.17, inf)", "[-0.1543, 1.955]"),
    "s = Sigmoid(x) y = Mul(x, s)": ("[-0.2785, inf)", "[-0.1888, 1.762]"),
    "s = Sigmoid(x) y = Mul(s, x)": ("[-0.2785, inf)", "[-0.1888, 1.762]"),
    "s = HardSigmoid(x) y = Mul(x, s)": ("[-0.3125, inf)", "[-0.2, 1.8]"),
    "s = HardSigmoid<beta = 3.0>(x) y = Mul(x, s)": ("[-10, inf)", "[-0.5, 2]"),
    "p = Softplus(x) s = Tanh(p) y = Mul(x, s)": ("[-0.3088, inf)", "[-0.2207, 1.944]"),
    "y = Exp(x)": ("[0, inf)", "[0.6065, 7.389]"),
    "y = Abs(x)": ("[0, inf)", "[0, 2]"),
    "y = Atan(x)": ("[-1.571, 1.571]", "[-0.4636, 1.107]"),
    "y = Sign(x)": ("[-1, 1]", "[-1, 1]"),
    "y = Floor(x)": ("(-inf, inf)", "[-1, 2]"),
    "y = Ceil(x)": ("(-inf, inf)", "[0, 2]"),
    "y = Round(x)": ("(-inf, inf)", "[0, 2]"),
    "y = Sin(x)": ("[-1, 1]", "[-1, 1]"),
    "a = Abs(x) y = Sqrt(a)": ("[0, inf)", "[0, 1.414]"),
    "a = Exp(x) y = Log(a)": ("(-inf, inf)", "[-0.5, 2]"),
    "y = Softmax(x)": ("[0, 1]", "[0, 1]"),
    "y = LogSoftmax(x)": ("(-inf, 0]", "(-inf, 0]"),
    "y = Neg(x)": ("(-inf, inf)", "[-2, 0.5]"),
    "a = Exp(x) y = Reciprocal(a)": ("[0, inf)", "[0.1353, 1.649]"),
    "a = Exp(x) b = Neg(a) y = Reciprocal(b)": ("(-inf, 0]", "[-1.649, -0.1353]"),
    "y = Mul(x, x)": ("[0, inf)", "[0, 4]"),
    "y = Pow(x, two)": ("[0, inf)", "[0, 4]"),
    "y = Pow(x, three)": ("(-inf, inf)", "[-0.125, 8]"),
    "y = Add(x, six)": ("(-inf, inf)", "[5.5, 8]"),
    "y = Sub(six, x)": ("(-inf, inf)", "[4, 6.5]"),
    "s = Sigmoid(x) t = Tanh(x) y = Add(s, t)": ("[-1, 2]", "[-0.08458, 1.845]"),
    "s = Sigmoid(x) t = Tanh(x) y = Sum(s, t, s)": ("[-1, 3]", "[0.293, 2.726]"),
    "s = Sigmoid(x) t = Tanh(x) y = Mean(s, t, s)": ("[-0.3333, 1]", "[0.09765, 0.9085]"),
    "y = Mul(x, slope)": ("(-inf, inf)", "[-0.125, 0.5]"),
    "r = Relu(x) y = Mul(r, falling)": ("(-inf, 0]", "[-0.5, 0]"),
    "y = Div(x, three)": ("(-inf, inf)", "[-0.1667, 0.6667]"),
    "r = Relu(x) e = Exp(x) y = Div(r, e)": ("[0, inf)", "[0, 3.297]"),
    "y = Max(x, zero)": ("[0, inf)", "[0, 2]"),
    "y = Min(x, slope)": ("(-inf, 0.25]", "[-0.5, 0.25]"),
    "c = Less(x, zero) t = Tanh(x) y = Where(c, t, x)": ("(-inf, inf)", "[-0.5, 2]"),
    "c = Less(x, zero) y = Cast<to = 1>(c)": ("[0, 1]", "[0, 1]"),
    "i = Cast<to = 2>(x) y = Cast<to = 1>(i)": ("[0, 255]", "[0, 255]"),
    "h = MatMul(x, w) y = Relu(h)": ("[0, inf)", "[0, inf)"),
    "r = Relu(x) y = Cast<to = 1>(r)": ("[0, inf)", "[0, 2]"),
}
NUMBERS = {"zero": 0, "six": 6, "two": 2, "three": 3, "slope": 0.25, "falling": -0.25}
NUMBERS = {name: np.float32(number) for name, number in NUMBERS.items()} | {"w": np.float32([[2]])}
# Ends that no input attains: other values of x would have to go with them.
NOT_ATTAINED = {
    "Sum",
    "Mean",
    "Add(s, t)",
    "Div(r, e)",
    "Cast<to = 2>",
    "Softmax",
    "Sin",
    "Tanh(x) y = Where",
}


@pytest.mark.parametrize("body", ACTIVATIONS)
@pytest.mark.parametrize("bounded", [False, True])
def test_values_stay_inside_and_come_near_the_ends(body, bounded):
    given = (-0.5, 2) if bounded else None
    found = graph(f"(float[N, 1] x) => (float[N, 1] y) {{ {body} }}", 22, **NUMBERS)
    domain = domains(found, given)["y"]
    assert str(domain) == ACTIVATIONS[body][bounded]
    low, high = (-0.5, 2) if bounded else (-80, 80) if "Exp" in body else (-1e6, 1e6)
    x = samples(0, 255) if "<to = 2>" in body else samples(low, high)
    y = run(found, {"x": x[:, None]})[0]
    assert inside(y, domain)
    if not any(words in body for words in NOT_ATTAINED):
        for end, reached in ((domain.low, y.min()), (domain.high, y.max())):
            assert math.isinf(end) or abs(reached - end) < 1e-3 * max(1, abs(end))


@pytest.mark.parametrize(("alpha", "wanted"), [(1.0, "[-0.2785, inf)"), (2.0, "[-0.1392, inf)")])
def test_swish_of_opset_24(alpha, wanted):
    found = graph(f"(float[N] x) => (float[N] y) {{ y = Swish<alpha = {alpha}>(x) }}", 24)
    domain = domains(found)["y"]
    assert str(domain) == wanted
    x = samples(-50, 50).astype(np.float64)
    y = x / (1 + np.exp(-alpha * x))
    assert domain.low <= y.min() < domain.low + 1e-6


def of(text, given=None, opset=22, output="y", **constants):
    return str(domains(graph(text, opset, **constants), given)[output])


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
    "scales": np.float32([1, 1, 1.5, 1.5]), "table": np.float32([-3, 2, 0, 1, 0, 1]).reshape(1, 1, 6, 1) * np.ones((2, 4, 1, 6), np.float32),
    "indices": np.array([[0]]), "updates": np.full((1, 4, 6, 6), -2, np.float32),
    "kernel": np.ones((2, 4, 3, 3), np.float32),
}  # fmt: skip


@pytest.mark.parametrize("body", [*KEPT, *CHANGED])
def test_what_moves_and_pools_values(body):
    found = graph(MOVED.format(body), 22, **GIVEN)
    domain = domains(found, (1, 6))["y"]
    assert str(domain) == CHANGED.get(body, "[1, 6]")
    for x in (
        np.ones((2, 4, 6, 6)),
        np.full((2, 4, 6, 6), 6),
        np.random.default_rng(0).uniform(1, 6, (2, 4, 6, 6)),
    ):
        y = run(found, {"x": x.astype(np.float32)})[0]
        assert inside(y, domain)


def test_sums_of_an_open_number_of_terms_keep_their_sign():
    text = "(float[N, 4] x) => (float[A, B] y) { r = Relu(x) y = ReduceSum(r, axes) }"
    assert of(text, (1, 6), axes=np.array([0])) == "[0, inf)"
    assert of(text, (1, 6), axes=np.array([1])) == "[0, inf)"
    assert of(text.replace("N", "2"), (1, 6), axes=np.array([1])) == "[4, 24]"


@pytest.mark.parametrize("op", ["LSTM", "RNN"])
def test_hidden_states_are_bounded(op):
    gates = {"LSTM": 4, "RNN": 1}[op]
    rng = np.random.default_rng(0)
    w, r = (rng.standard_normal((1, 5 * gates, n)).astype(np.float32) * 3 for n in (3, 5))
    found = graph(
        f"(float[T, N, 3] x) => (float[T, 1, N, 5] y) {{ y = {op}<hidden_size = 5>(x, w, r) }}", 14, w=w, r=r
    )
    assert str(domains(found)["y"]) == "[-1, 1]"
    y = run(found, {"x": rng.standard_normal((50, 8, 3)).astype(np.float32) * 10})[0]
    assert inside(y, Domain(-1, 1))
    assert y.min() < -0.9
    assert 0.9 < y.max()


def test_states_that_are_not_bounded():
    given = {"w": np.ones((1, 20, 3), np.float32), "r": np.ones((1, 20, 5), np.float32)}
    text = "(float[T, N, 3] x) => (float[T, 1, N, 5] y, float[1, N, 5] h, float[1, N, 5] c) {{ y, h, c = LSTM<{}>(x, w, r) }}"
    assert [of(text.format("hidden_size = 5"), output=o, **given) for o in "yhc"] == ["[-1, 1]"] * 2 + [
        "(-inf, inf)"
    ]
    other = 'hidden_size = 5, activations = ["Sigmoid", "Relu", "Relu"]'
    assert of(text.format(other), **given) == "(-inf, inf)"


@pytest.mark.parametrize("opset", [7, 9, 11, 13])
def test_older_forms(opset):
    clip = "Clip<min = 0.0, max = 6.0>(x)" if opset < 11 else "Clip(x, zero, six)"
    pad = "Pad<pads = [0, 1], value = 9.0>(c)" if opset < 11 else "Pad(c, pads, nine)"
    given = {"pads": np.array([0, 1]), "nine": np.float32(9), "zero": np.float32(0), "six": np.float32(6)}
    assert of(f"(float[3] x) => (float[4] y) {{ c = {clip} y = {pad} }}", opset=opset, **given) == "[0, 9]"


def test_linear_and_unknown_ops_are_unbounded():
    text = "(float[N, 4] x) => (float[N, 3] y) { r = Relu(x) y = MatMul(r, w) }"
    assert of(text, w=np.ones((4, 3), np.float32)) == "(-inf, inf)"
    assert of('(float[N, 4] x) => (float[N, 4] y) { y = Einsum<equation = "ij->ij">(x) }') == "(-inf, inf)"


def test_the_input_range():
    text = "(float[3] x, float[3] z, int64[3] i) => (float[3] y) { h = Add(x, z) f = Cast<to = 1>(i) y = Add(h, f) }"
    found = graph(text)
    assert {name: str(d) for name, d in domains(found, (0, 1)).items()} == {
        "x": "[0, 1]", "z": "[0, 1]", "h": "[0, 2]", "f": "(-inf, inf)", "y": "(-inf, inf)",
    }  # fmt: skip
    assert str(domains(found)["x"]) == "(-inf, inf)"
    assert str(domains(found, {"x": (-1, 2)})["h"]) == "(-inf, inf)"
    assert str(domains(found, {"x": (-1, 2), "z": (0, math.inf)})["h"]) == "[-1, inf)"
    assert str(domains(found, (np.array([0, -2.5, 0]), np.array([1, 1, 9])))["x"]) == "[-2.5, 9]"


@pytest.mark.parametrize(
    "given", [(1, 0), (0, math.nan), ([0, 2], [1, 1]), (0,), ("a", "b"), (0, 1, 2), ([], [])]
)
def test_ranges_that_are_none(given):
    with pytest.raises(InputError, match="the input range"):
        of("(float[3] x) => (float[3] y) { y = Relu(x) }", given)


def test_a_range_of_no_input():
    with pytest.raises(InputError, match="no input q; the inputs are x"):
        of("(float[3] x) => (float[3] y) { y = Relu(x) }", {"q": (0, 1)})


def test_ends_that_float32_cannot_hold_move_out():
    third = domains(graph("(float[3] x) => (float[3] y) { s = Sigmoid(x) y = Div(s, t) }", t=np.float32(3)))[
        "y"
    ]
    assert third.low == 0
    assert 1 / 3 < third.high < 1 / 3 + 1e-6
    assert np.float32(1) / np.float32(3) <= third.high


def test_domain_properties():
    assert Domain(0, 6).nonnegative
    assert Domain(0, 6).bounded
    assert not Domain(-1, 6).nonnegative
    assert Domain(-6, 0).nonpositive
    assert not Domain(0, math.inf).bounded
    assert str(-Domain(0, math.inf)) == "(-inf, 0]"
    assert pickle.loads(pickle.dumps(Domain(0, 6))) == Domain(0, 6)


@pytest.mark.parametrize(
    "attribute", ["Celu<alpha = 0.0>", "Swish<alpha = 0.0>", 'Gelu<approximate = "none of these">']
)
def test_attributes_without_meaning_give_no_bound(attribute):
    assert of(f"(float[3] x) => (float[3] y) {{ y = {attribute}(x) }}", opset=24) == "(-inf, inf)"
