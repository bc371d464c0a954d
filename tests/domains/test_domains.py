from __future__ import annotations

import math
import pickle
import warnings

import numpy as np
import pytest
from onnx.backend.test.loader import load_model_tests

from onnxdtd.domains.propagation import Domain, domains
from onnxdtd.errors import InputError, ModelError
from onnxdtd.model.load import load
from onnxdtd.ops import OPS
from tests.support.model_text import domain_of, graph, inside, run

SAMPLES = 100_000


def samples(low, high):
    """Float32 numbers of all sizes between low and high, the ends and zero included."""
    rng = np.random.default_rng(0)
    wide = rng.choice([-1, 1], SAMPLES) * np.exp(rng.uniform(-20, 16, SAMPLES))
    near = np.linspace(max(low, -12), min(high, 12), SAMPLES)
    return np.clip([0, low, high, *near, *wide], low, high).astype(np.float32)


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
    "t = HardSigmoid(x) y = Asin(t)": ("[0, 1.571]", "[0.4115, 1.12]"),
    "t = HardSigmoid(x) y = Acos(t)": ("[0, 1.571]", "[0.451, 1.159]"),
    "y = Sinh(x)": ("(-inf, inf)", "[-0.5211, 3.627]"),
    "y = Cosh(x)": ("[1, inf)", "[1, 3.762]"),
    "y = Asinh(x)": ("(-inf, inf)", "[-0.4812, 1.444]"),
    "a = Cosh(x) y = Acosh(a)": ("[0, inf)", "[0, 2]"),
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
    "r = Relu(x) e = Exp(x) y = Mul(r, e)": ("[0, inf)", "[0, 14.78]"),
    "r = Relu(x) e = Exp(x) n = Neg(e) y = Mul(r, n)": ("(-inf, 0]", "[-14.78, 0]"),
    "s = Sigmoid(x) t = Tanh(x) y = Mul(s, t)": ("[-1, 1]", "[-0.407, 0.8491]"),
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
NOT_ATTAINED = (
    "Sum",
    "Mean",
    "Add(s, t)",
    "Mul(s, t)",
    "Div(r, e)",
    "Cast<to = 2>",
    "Softmax",
    "Sin",
    "Where",
)


@pytest.mark.parametrize("body", ACTIVATIONS)
@pytest.mark.parametrize("bounded", [False, True])
def test_values_stay_inside_and_come_near_the_ends(body, bounded):
    ends = (-0.5, 2) if bounded else None
    net = graph(f"(float[N, 1] x) => (float[N, 1] y) {{ {body} }}", 22, **NUMBERS)
    domain = domains(net, ends)["y"]
    assert str(domain) == ACTIVATIONS[body][bounded]
    low, high = (-0.5, 2) if bounded else (-80, 80) if "Exp" in body else (-1e6, 1e6)
    x = samples(0, 255) if "<to = 2>" in body else samples(low, high)
    y = run(net, {"x": x[:, None]})[0]
    assert inside(y, domain)
    if not any(words in body for words in NOT_ATTAINED):
        for end, reached in ((domain.low, y.min()), (domain.high, y.max())):
            assert math.isinf(end) or abs(reached - end) < 1e-3 * max(1, abs(end))


@pytest.mark.parametrize(("alpha", "expected"), [(1.0, "[-0.2785, inf)"), (2.0, "[-0.1392, inf)")])
def test_swish_of_opset_24(alpha, expected):
    net = graph(f"(float[N] x) => (float[N] y) {{ y = Swish<alpha = {alpha}>(x) }}", 24)
    domain = domains(net)["y"]
    assert str(domain) == expected
    x = samples(-50, 50).astype(np.float64)
    y = x / (1 + np.exp(-alpha * x))
    assert domain.low <= y.min() < domain.low + 1e-6


def test_the_input_range():
    text = "(float[3] x, float[3] z, int64[3] i) => (float[3] y) { h = Add(x, z) f = Cast<to = 1>(i) y = Add(h, f) }"
    net = graph(text)
    assert {name: str(d) for name, d in domains(net, (0, 1)).items()} == {
        "x": "[0, 1]", "z": "[0, 1]", "h": "[0, 2]", "f": "(-inf, inf)", "y": "(-inf, inf)",
    }  # fmt: skip
    assert str(domains(net)["x"]) == "(-inf, inf)"
    assert str(domains(net, {"x": (-1, 2)})["h"]) == "(-inf, inf)"
    assert str(domains(net, {"x": (-1, 2), "z": (0, math.inf)})["h"]) == "[-1, inf)"
    assert str(domains(net, (np.array([0, -2.5, 0]), np.array([1, 1, 9])))["x"]) == "[-2.5, 9]"


@pytest.mark.parametrize(
    "input_range", [(1, 0), (0, math.nan), ([0, 2], [1, 1]), (0,), ("a", "b"), (0, 1, 2), ([], [])]
)
def test_ranges_that_are_none(input_range):
    with pytest.raises(InputError, match="the input range"):
        domain_of("(float[3] x) => (float[3] y) { y = Relu(x) }", input_range)


def test_a_range_of_no_input():
    with pytest.raises(InputError, match="no input q; the inputs are x"):
        domain_of("(float[3] x) => (float[3] y) { y = Relu(x) }", {"q": (0, 1)})


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
    assert domain_of(f"(float[3] x) => (float[3] y) {{ y = {attribute}(x) }}", opset=24) == "(-inf, inf)"


def ranged(node):
    entry = OPS.get((node.domain, node.op_type))
    return entry is not None and entry.range is not None


def test_no_result_of_the_onnx_node_tests_leaves_its_domain():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = [case for case in load_model_tests(kind="node") if case.data_sets]
    cases = [case for case in cases if any(ranged(node) for node in case.model.graph.node)]
    finite = 0
    for case in cases:
        try:
            net = load(case.model)
        except ModelError:
            continue
        ranges = domains(net)
        for _, results in case.data_sets:
            for name, y in zip(net.outputs, results, strict=False):
                if name in ranges and isinstance(y, np.ndarray) and y.dtype == np.float32 and y.size:
                    finite += math.isfinite(ranges[name].low) or math.isfinite(ranges[name].high)
                    assert inside(y[~np.isnan(y)], ranges[name]), case.name
    assert finite > 200
