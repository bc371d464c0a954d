"""Quantise and dequantise themselves: relevance passes, the gradient goes straight through as far as the range."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from onnxdtd import Explainer
from onnxdtd.domains.propagation import domains
from onnxdtd.model.canonise import canonise
from onnxdtd.model.load import load
from tests.support.integer_models import f32

PAIR = """<ir_version: 10, opset_import: ["" : 21]> g (float[1,4] x) => (float[1,1] y) {
    q = QuantizeLinear(x, s, z)
    d = DequantizeLinear(q, s, z)
    y = MatMul(d, w)
}"""


def pair(zero: np.ndarray, scale: float = 0.1) -> onnx.ModelProto:
    model = parser.parse_model(PAIR)
    constants = {"s": f32(scale), "z": zero, "w": f32([[1], [2], [-1], [3]])}
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items())
    return model


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_relevance_passes(engine: str) -> None:
    """x becomes 1.1, -.4, 12.7 (the end), 0: each contribution is that of the rounded value."""
    x = f32([[1.14, -0.38, 20.0, 0.01]])
    e = Explainer(pair(np.int8(0)), "attnlrp", engine=engine)(x, target=0)
    assert e.target_value[0] == pytest.approx(1.1 - 0.8 - 12.7)
    np.testing.assert_allclose(e.relevance["x"], [[1.1, -0.8, -12.7, 0]], rtol=1e-5)


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
@pytest.mark.parametrize(
    ("zero", "inside"),
    [
        (np.int8(0), [1, 1, 0, 0]),
        (np.uint8(0), [1, 0, 0, 0]),
        (np.int16(0), [1, 1, 1, 1]),
        (np.uint16(9), [1, 0, 1, 0]),
    ],
)
def test_the_gradient_is_straight_through_within_the_range(
    zero: np.ndarray, inside: list[int], engine: str
) -> None:
    """Half a step beyond the end still rounds to it: -12.84 is inside, -12.86 is not."""
    x = f32([[12.74, -12.84, 26.0, -12.86]])
    g = Explainer(pair(np.asarray(zero)), "gradient", engine=engine)(x, target=0).relevance["x"]
    np.testing.assert_allclose(g, np.array([[1, 2, -1, 3]]) * inside, rtol=1e-6)


def test_the_gradient_is_that_of_fake_quantisation() -> None:
    torch = pytest.importorskip("torch", reason="torch's own fake quantisation is the oracle")
    x = np.linspace(-14, 14, 4, dtype=np.float32).reshape(1, 4)
    t = torch.tensor(x, requires_grad=True)
    torch.fake_quantize_per_tensor_affine(t, 0.1, 7, -128, 127).matmul(
        torch.tensor([[1.0], [2], [-1], [3]])
    ).sum().backward()
    g = Explainer(pair(np.int8(7)), "gradient")(x, target=0).relevance["x"]
    np.testing.assert_allclose(g, t.grad.numpy(), rtol=1e-6)


def test_guided_backprop_does_not_take_a_step_for_an_activation() -> None:
    x = f32([[1.0, 1.0, 1.0, 1.0]])
    g = Explainer(pair(np.int8(0)), "guided_backprop")(x, target=0).relevance["x"]
    np.testing.assert_allclose(g, [[1, 2, -1, 3]], rtol=1e-6)


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_one_scale_for_each_channel(engine: str) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]> g (float[1,2,2] x) => (float[1,2,2] y) {
        q = QuantizeLinear<axis = 1>(x, s, z)
        y = DequantizeLinear<axis = 1>(q, s, z)
    }"""
    model = parser.parse_model(text)
    constants = {"s": f32(0.1, 0.5), "z": np.array([0, 100], np.int8)}
    model.graph.initializer.extend(numpy_helper.from_array(a, n) for n, a in constants.items())
    x = f32([[[1.04, 13.0], [1.3, 14.0]]])
    e = Explainer(model, "gradient", engine=engine)
    np.testing.assert_allclose(e(x, target=(0, 0)).outputs["y"], [[[1.0, 12.7], [1.5, 13.5]]], rtol=1e-6)
    maps = [e(x, target=place).relevance["x"][0][place] for place in ((0, 0), (0, 1), (1, 0), (1, 1))]
    np.testing.assert_allclose(maps, [1, 0, 1, 0], rtol=1e-6)


@pytest.mark.parametrize(
    ("zero", "stated", "low", "high"),
    [
        (np.uint8(0), None, 0, 25.5), (np.int8(-128), None, 0, 25.5), (np.uint8(128), None, -12.8, 12.7),
        (np.int8(0), (0.0, 1.0), 0, 1), (np.int8(0), (-1.04, 40.0), -1, 12.7),
    ],
)  # fmt: skip
def test_the_range_of_what_is_dequantised(
    zero: np.ndarray, stated: tuple | None, low: float, high: float
) -> None:
    graph = canonise(load(pair(np.asarray(zero))))
    domain = domains(graph, stated)["d"]
    assert (domain.low, domain.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_the_first_layer_takes_the_rule_of_the_range_behind_the_step() -> None:
    plan = Explainer(pair(np.uint8(0)), "dtd", input_range=(0, 1)).plan()
    assert plan.steps[-1].place.box.kind == "bounded"
    assert float(plan.steps[-1].place.box.high.max()) == pytest.approx(1.0)


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_the_range_of_a_dynamic_input(low: float) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]> g (float[1,4] x) => (float[1,4] y) {
        q, s, z = DynamicQuantizeLinear(x)
        y = DequantizeLinear(q, s, z)
    }"""
    domain = domains(load(parser.parse_model(text)), (low, 2.0))["y"]
    assert low - 0.01 <= domain.low <= low
    assert 2 <= domain.high < 2.01


def test_an_input_of_bytes_gets_relevance() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]> g (uint8[1,2] x) => (float[1,1] y) {
        d = DequantizeLinear(x, s, z)
        y = MatMul(d, w)
    }"""
    model = parser.parse_model(text)
    constants = {"s": f32(0.5), "z": np.uint8(2), "w": f32([[1], [-3]])}
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items())
    for engine in ("numpy", "onnx"):
        e = Explainer(model, "attnlrp", engine=engine)(np.array([[6, 1]], np.uint8), target=0)
        np.testing.assert_allclose(e.relevance["x"], [[2, 1.5]], rtol=1e-6)
