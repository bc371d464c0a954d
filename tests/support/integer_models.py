"""Models around one operator on integers: floats in, quantised, the operator, floats out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

DOMAIN = "com.microsoft"
_RNG = np.random.default_rng(11)
S, Z = "scale", "zero"


def f32(*values: float) -> np.ndarray:
    return np.array(values[0] if len(values) == 1 else values, np.float32)


def u8(*shape: int) -> np.ndarray:
    return _RNG.integers(0, 256, shape).astype(np.uint8)


def i8(*shape: int) -> np.ndarray:
    """Small enough for the sum of two products to stay in 16 bits, in which some processors add them."""
    return _RNG.integers(-60, 61, shape).astype(np.int8)


@dataclass(frozen=True)
class Case:
    """inputs: behind the quantised x, in the operator's order: arrays, and a name for what the model computes itself
    ("q" of x, "scale", "zero", "x", or "" left out). shape: of x. step: of the result's quantisation, None where the
    operator makes floats or int32. kind: of the quantised x. scaled: int32 results are dequantised by this."""

    op: str
    inputs: tuple[Any, ...]
    shape: tuple[int, ...] = (2, 4)
    attributes: dict[str, Any] = field(default_factory=dict)
    step: tuple[float, int] | None = None
    kind: Any = np.uint8
    domain: str = DOMAIN
    scaled: bool = False
    opset: int = 17
    zero: int = 120
    within: float = 1e-4


SCALE = 0.02


def model_of(case: Case) -> onnx.ModelProto:
    """x -> QuantizeLinear -> the operator -> DequantizeLinear or Cast -> y."""
    constants = {"scale": f32(SCALE), "zero": np.array(case.zero, case.kind)}
    names = []
    for i, value in enumerate(case.inputs):
        names.append(value if isinstance(value, str) else f"c{i}")
        if not isinstance(value, str):
            constants[f"c{i}"] = np.asarray(value)
    nodes = [helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"])]
    nodes.append(helper.make_node(case.op, names, ["made"], "the_op", domain=case.domain, **case.attributes))
    if case.step is not None:
        kind = case.kind
        constants |= {"step": f32(case.step[0]), "end": np.array(case.step[1], kind)}
        nodes.append(helper.make_node("DequantizeLinear", ["made", "step", "end"], ["y"]))
    elif case.scaled:
        constants["factor"] = f32(0.001)
        nodes += [
            helper.make_node("Cast", ["made"], ["cast"], to=1),
            helper.make_node("Mul", ["cast", "factor"], ["y"]),
        ]
    else:
        nodes.append(helper.make_node("Identity", ["made"], ["y"]))
    y = onnx.ValueInfoProto(name="y")
    y.type.tensor_type.elem_type = TensorProto.FLOAT
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, case.shape)
    graph = helper.make_graph(
        nodes, "g", [x], [y], [numpy_helper.from_array(a, n) for n, a in constants.items()]
    )
    opsets = [helper.make_opsetid("", case.opset), helper.make_opsetid(DOMAIN, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def draw(case: Case) -> np.ndarray:
    return np.random.default_rng(5).uniform(-2.0, 2.0, case.shape).astype(np.float32)


Q = ("q", S, Z)
OUT = (f32(0.05), np.uint8(128))
STEP = (0.05, 128)
CONV = {"pads": [1, 1, 1, 1]}
CASES = {
    "conv": Case("QLinearConv", (*Q, i8(3, 2, 3, 3), f32(0.01), np.int8(0), *OUT, np.arange(3, dtype=np.int32) * 90),
                 (2, 2, 5, 5), CONV, STEP, domain=""),
    "conv, channels": Case("QLinearConv", (*Q, i8(3, 2, 3, 3), f32(0.01, 0.02, 0.005), np.zeros(3, np.int8), *OUT),
                           (2, 2, 5, 5), {}, STEP, domain=""),
    "conv, opset 11": Case("QLinearConv", (*Q, u8(3, 2, 3, 3), f32(0.01), np.uint8(120), *OUT), (2, 2, 5, 5),
                           {"kernel_shape": [3, 3], "strides": [2, 2]}, STEP, domain="", opset=11),
    "groups": Case("QLinearConv", (*Q, i8(4, 1, 3, 3), f32(0.01), np.int8(0), *OUT), (2, 4, 5, 5), {"group": 4}, STEP,
                   domain=""),
    "matmul": Case("QLinearMatMul", (*Q, u8(4, 3), f32(0.01), np.uint8(100), *OUT), step=STEP, domain=""),
    "matmul, columns": Case("QLinearMatMul", (*Q, i8(4, 3), f32(0.01, 0.02, 0.003), np.zeros(3, np.int8),
                            f32(0.05), np.int8(3)), step=(0.05, 3), domain="", kind=np.int8, zero=-7),
    "gemm": Case("QGemm", (*Q, u8(3, 4), f32(0.01), np.uint8(128), np.array([5, -300, 900], np.int32), *OUT),
                 attributes={"transB": 1, "alpha": 0.5}, step=STEP),
    "gemm to floats": Case("QGemm", (*Q, u8(4, 3), f32(0.01), np.uint8(128), np.array([5, -300, 900], np.int32))),
    "gemm, columns": Case("QGemm", (*Q, i8(4, 3), f32(0.01, 0.02, 0.003), np.zeros(3, np.int8), "", f32(0.05),
                          np.int8(3)), step=(0.05, 3), kind=np.int8, zero=4),
    "add": Case("QLinearAdd", (*Q, u8(2, 4), f32(0.03), np.uint8(7), *OUT), step=STEP),
    "add to itself": Case("QLinearAdd", (*Q, *Q, *OUT), step=STEP),
    "mul": Case("QLinearMul", (*Q, u8(1, 4), f32(0.03), np.uint8(90), *OUT), step=STEP),
    "concat": Case("QLinearConcat", (*OUT, *Q, u8(2, 3), f32(0.03), np.uint8(90)), attributes={"axis": 1}, step=STEP),
    "average pool": Case("QLinearAveragePool", (*Q, *OUT), (2, 3, 6, 6), {"kernel_shape": [2, 2], "strides": [2, 2]},
                         (0.05, 128)),
    "average pool, padded": Case("QLinearAveragePool", (*Q, *OUT), (2, 3, 6, 6),
                                 {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}, STEP),
    "average pool, channels last": Case("QLinearAveragePool", (*Q, *OUT), (2, 6, 6, 3),
                                        {"kernel_shape": [2, 2], "channels_last": 1}, STEP),
    "global pool": Case("QLinearGlobalAveragePool", (*Q, *OUT), (2, 3, 6, 6), {"channels_last": 0}, STEP),
    "sigmoid": Case("QLinearSigmoid", (*Q, f32(1 / 256), np.uint8(0)), step=(1 / 256, 0)),
    "leaky relu": Case("QLinearLeakyRelu", (*Q, f32(0.02), np.uint8(60)), attributes={"alpha": 0.2}, step=(0.02, 60)),
    "leaky relu, int8": Case("QLinearLeakyRelu", (*Q, f32(0.02), np.int8(-60)), attributes={"alpha": 0.2},
                             step=(0.02, -60), kind=np.int8, zero=-4),
    "softmax": Case("QLinearSoftmax", (*Q, f32(1 / 256), np.uint8(0)), attributes={"axis": -1, "opset": 13},
                    step=(1 / 256, 0)),
    "softmax of old": Case("QLinearSoftmax", (*Q, f32(1 / 256), np.uint8(0)), (2, 3, 4), {"axis": 1, "opset": 11},
                           (1 / 256, 0)),
    "where": Case("QLinearWhere", (np.array([[True, False, True, True]]), *Q, u8(2, 4), f32(0.03), np.uint8(9), *OUT),
                  step=STEP),
    "conv integer": Case("ConvInteger", ("q", u8(3, 2, 3, 3), Z, np.uint8(120)), (2, 2, 5, 5), CONV, domain="",
                         scaled=True),
    "matmul integer": Case("MatMulInteger", ("q", i8(4, 3), Z, np.int8(2)), domain="", scaled=True),
    "matmul integer, columns": Case("MatMulInteger", ("q", u8(4, 3), Z, np.array([1, 128, 200], np.uint8)), domain="",
                                    scaled=True),
    "matmul integer, no zeros": Case("MatMulInteger", ("q", i8(4, 3)), domain="", scaled=True),
    "to float": Case("MatMulIntegerToFloat", ("q", u8(4, 3), S, f32(0.01), Z, np.uint8(128), f32(1, 2, 3))),
    "to float, columns": Case("MatMulIntegerToFloat", ("q", i8(4, 3), S, f32(0.01, 0.02, 0.03), Z)),
    "dynamic matmul": Case("DynamicQuantizeMatMul", ("x", u8(4, 3), f32(0.01), np.uint8(128), f32(1, 2, 3))),
    "dynamic matmul, columns": Case("DynamicQuantizeMatMul", ("x", i8(4, 3), f32(0.01, 0.02, 0.03))),
    "attention": Case("QAttention", ("q", i8(4, 12), f32(1, -1, 2, 0, 1, 1, 0, 0, 0, 0, 0.5, 0), S, f32(0.005), "", Z,
                      np.int8(0)), (2, 3, 4), {"num_heads": 2}),
    "attention, causal": Case("QAttention", ("q", i8(4, 12), np.ones(12, np.float32), S, f32(0.005), "", Z,
                              np.int8(0)), (2, 3, 4), {"num_heads": 2, "unidirectional": 1}),
    "attention, columns": Case("QAttention", ("q", i8(4, 12), np.zeros(12, np.float32), S,
                               np.linspace(0.002, 0.01, 12, dtype=np.float32),
                               np.array([[1, 1, 0], [1, 1, 1]], np.int32), Z, np.zeros(12, np.int8)), (2, 3, 4),
                               {"num_heads": 2}, opset=11),
    "lstm": Case("DynamicQuantizeLSTM", ("x", i8(1, 3, 8), i8(1, 2, 8), 0.1 * np.arange(16, dtype=np.float32)[None],
                 "", "", "", "", f32([0.01]), np.zeros(1, np.int8), f32([0.01]), np.zeros(1, np.int8)),
                 (5, 2, 3), {"hidden_size": 2}, within=0.02),
}  # fmt: skip
