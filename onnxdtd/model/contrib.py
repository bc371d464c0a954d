"""onnxruntime's own operators, as its optimiser leaves them in a model: each written out in standard ones.

A definition is a function of the node's attributes and of which inputs are given; it writes nodes into a `Body`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from onnx import FunctionProto, NodeProto, TensorProto, helper

from onnxdtd.errors import UnsupportedError

DOMAIN = "com.microsoft"
EINSUM_SINCE = 12
_ATTRIBUTES = {
    "Relu": (), "Tanh": (), "Sigmoid": (), "LeakyRelu": ("alpha",), "HardSigmoid": ("alpha", "beta"),
    "Clip": ("min", "max"),
}  # fmt: skip


class Body:
    """The nodes of a definition, in the making. x: the names of the inputs, empty where left out."""

    def __init__(self, x: Sequence[str], attributes: dict[str, Any], opset: int) -> None:
        self.x = [*x, *[""] * (8 - len(x))]
        self.attributes, self.opset = attributes, opset
        self.nodes: list[NodeProto] = []

    def __call__(self, op: str, *inputs: str | float, **attributes: Any) -> str:
        """Add a node; numbers become constants of the first input's type."""
        like = next((x for x in inputs if isinstance(x, str) and x), "")
        names = [x if isinstance(x, str) else self._number(x, like) for x in inputs]
        return self._node(op, names, attributes)

    def _number(self, value: float, like: str) -> str:
        number = self._constant(helper.make_tensor("", TensorProto.FLOAT, [], [value]))
        return self._node("CastLike", [number, like], {}) if self.opset >= 15 else number

    def _constant(self, tensor: TensorProto) -> str:
        return self._node("Constant", [], {"value": tensor})

    def _node(self, op: str, inputs: Sequence[str], attributes: dict[str, Any]) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], **attributes))
        return name

    def mean(self, x: str) -> str:
        """The mean over the last axis."""
        if self.opset >= 18:
            axes = self._constant(helper.make_tensor("", TensorProto.INT64, [1], [-1]))
            return self._node("ReduceMean", [x, axes], {"keepdims": 1})
        return self._node("ReduceMean", [x], {"axes": [-1], "keepdims": 1})

    def sum(self, *values: str) -> str:
        """The sum of the values that are given."""
        terms = [value for value in values if value]
        total = terms[0]
        for value in terms[1:]:
            total = self("Add", total, value)
        return total


def _activated(b: Body, y: str, name: str, parameters: Sequence[float]) -> str:
    if not name:
        return y
    if name not in _ATTRIBUTES:
        raise UnsupportedError(
            f"onnxruntime's fused activation {name} is not known; save the model unoptimised"
        )
    if name == "Clip":
        return b("Clip", y, *parameters)
    return b(name, y, **dict(zip(_ATTRIBUTES[name], parameters, strict=False)))


def _fused_conv(b: Body) -> str:
    attributes = dict(b.attributes)
    name, parameters = attributes.pop("activation", ""), attributes.pop("activation_params", ())
    y = b("Conv", *(x for x in b.x[:3] if x), **attributes)
    return _activated(b, b.sum(y, b.x[3]), name, parameters)


def _fused_gemm(b: Body) -> str:
    attributes = dict(b.attributes)
    name = attributes.pop("activation", "")
    parameters = [attributes.pop(f"activation_{k}", None) for k in ("alpha", "beta", "gamma")]
    y = b("Gemm", *(x for x in b.x[:3] if x), **attributes)
    return _activated(b, y, name, [p for p in parameters if p is not None])


def _fused_matmul(b: Body) -> str:
    if any(b.attributes.get(f"transBatch{side}", 0) for side in "AB"):
        raise UnsupportedError(
            "FusedMatMul with transposed batch axes is not known; save the model unoptimised"
        )
    if b.opset < EINSUM_SINCE and any(b.attributes.get(f"trans{side}", 0) for side in "AB"):
        raise UnsupportedError(
            f"a transposing FusedMatMul needs opset {EINSUM_SINCE}; save the model unoptimised"
        )
    left, right = (
        b("Einsum", x, equation="...ij->...ji") if b.attributes.get(f"trans{side}", 0) else x
        for x, side in zip(b.x, "AB", strict=False)
    )
    y = b("MatMul", left, right)
    alpha = b.attributes.get("alpha", 1.0)
    return y if alpha == 1 else b("Mul", y, alpha)


def _gelu(b: Body) -> str:
    return _gelu_of(b, b.x[0])


def _bias_gelu(b: Body) -> str:
    return _gelu_of(b, b.sum(*b.x[:2]))


def _gelu_of(b: Body, x: str) -> str:
    if b.opset >= 20:
        return b("Gelu", x)
    gate = b("Add", b("Erf", b("Div", x, math.sqrt(2))), 1.0)
    return b("Mul", b("Mul", x, gate), 0.5)


def _fast_gelu(b: Body) -> str:
    x = b.sum(*b.x[:2])
    if b.opset >= 20:
        return b("Gelu", x, approximate="tanh")
    cube = b("Mul", b("Mul", x, x), x)
    inner = b("Mul", b("Add", x, b("Mul", cube, 0.044715)), math.sqrt(2 / math.pi))
    return b("Mul", b("Mul", x, b("Add", b("Tanh", inner), 1.0)), 0.5)


def _quick_gelu(b: Body) -> str:
    return b("Mul", b.x[0], b("Sigmoid", b("Mul", b.x[0], b.attributes.get("alpha", 1.702))))


def _skip_layer_normalization(b: Body) -> str:
    x, skip, scale, shift, bias = b.x[:5]
    return _layer_norm(b, b.sum(x, skip, bias), scale, shift, b.attributes.get("epsilon", 1e-12))


def _layer_normalization(b: Body) -> str:
    x, scale, shift = b.x[:3]
    return _layer_norm(b, x, scale, shift, b.attributes.get("epsilon", 1e-5))


def _layer_norm(b: Body, x: str, scale: str, shift: str, epsilon: float) -> str:
    if b.opset >= 17:
        return b("LayerNormalization", x, scale, *[shift] * bool(shift), axis=-1, epsilon=epsilon)
    centre = b("Sub", x, b.mean(x))
    return b.sum(b("Mul", _over_root_mean_square(b, centre, epsilon), scale), shift)


def _simplified_layer_normalization(b: Body) -> str:
    return b("Mul", _over_root_mean_square(b, b.x[0], b.attributes.get("epsilon", 1e-5)), b.x[1])


def _skip_simplified_layer_normalization(b: Body) -> str:
    x = b.sum(b.x[0], b.x[1], b.x[3])
    return b("Mul", _over_root_mean_square(b, x, b.attributes.get("epsilon", 1e-12)), b.x[2])


def _over_root_mean_square(b: Body, x: str, epsilon: float) -> str:
    return b("Div", x, b("Sqrt", b("Add", b.mean(b("Mul", x, x)), epsilon)))


DEFINITIONS: dict[str, Callable[[Body], str]] = {
    "BiasGelu": _bias_gelu,
    "FastGelu": _fast_gelu,
    "FusedConv": _fused_conv,
    "FusedGemm": _fused_gemm,
    "FusedMatMul": _fused_matmul,
    "Gelu": _gelu,
    "QuickGelu": _quick_gelu,
    "SimplifiedLayerNormalization": _simplified_layer_normalization,
    "SkipLayerNormalization": _skip_layer_normalization,
    "SkipSimplifiedLayerNormalization": _skip_simplified_layer_normalization,
}
# onnxruntime writes these into the default domain, which has none of them (or not yet in that opset).
FOREIGN = {
    "SimplifiedLayerNormalization": _simplified_layer_normalization,
    "LayerNormalization": _layer_normalization,
}


def definition(node: NodeProto, opset: int) -> FunctionProto | None:
    """The body of one of onnxruntime's operators, for its first output; None for any other node, and for one whose
    further outputs are wanted."""
    ours = node.domain == DOMAIN
    definitions = DEFINITIONS if ours else FOREIGN if node.domain in ("", "ai.onnx") else {}
    if node.op_type not in definitions or any(node.output[1:]):
        return None
    if node.op_type == "LayerNormalization" and (ours or opset >= 17 or _axis(node) != -1):
        return None
    names = [f"x{i}" if name else "" for i, name in enumerate(node.input)]
    attributes = {a.name: _plain(helper.get_attribute_value(a)) for a in node.attribute}
    body = Body(names, attributes, opset)
    result = definitions[node.op_type](body)
    inputs = [name or f"x{i}" for i, name in enumerate(names)]
    body.nodes.append(helper.make_node("Identity", [result], ["y"]))
    return helper.make_function("", node.op_type, inputs, ["y"], body.nodes, [helper.make_opsetid("", opset)])


def _axis(node: NodeProto) -> int:
    return next((a.i for a in node.attribute if a.name == "axis"), -1)


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
