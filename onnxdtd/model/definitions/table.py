"""The definitions by operator, and what becomes of a node that one of them fits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from onnx import FunctionProto, NodeProto, TensorProto, TypeProto, helper
from onnx.numpy_helper import from_array

from onnxdtd.errors import UnsupportedError
from onnxdtd.model.definitions import (
    activations,
    attention,
    experts,
    grouped,
    norms,
    packed,
    padding,
    products,
    quantised,
    rotary,
)
from onnxdtd.model.definitions.body import Body
from onnxdtd.model.graph import Graph, Node

Definition = Callable[[Body], list[str]]
"""It writes nodes into the body and returns the results in the order of the outputs, "" for one that it lacks."""

DOMAIN = "com.microsoft"
SUMS = {"SkipGroupNorm": 1, "SkipLayerNormalization": 3, "SkipSimplifiedLayerNormalization": 3}
"""The output that is the sum before the norm."""
LIKE = {"QLinearConcat": 2, "QLinearWhere": 1}
"""The input that has the rank of the output, if not the first."""
FLOATS = {"MatMulIntegerToFloat": 2, "QAttention": 3, "QGemm": 1}
"""Of operators that make floats of integers, the input that has their type."""
ANY = "onnxdtd.any"
"""A graph input of unknown values that `stand_ins` read."""
DEFINITIONS: dict[str, Definition] = {
    "Attention": attention.attention,
    "BiasAdd": activations.bias_add,
    "BiasGelu": activations.bias_gelu,
    "BiasSplitGelu": activations.bias_split_gelu,
    "DecoderMaskedMultiHeadAttention": attention.decoder_masked_multi_head_attention,
    "EmbedLayerNormalization": norms.embed_layer_normalization,
    "FastGelu": activations.fast_gelu,
    "FusedConv": products.fused_conv,
    "FusedGemm": products.fused_gemm,
    "FusedMatMul": products.fused_matmul,
    "FusedMatMulActivation": products.fused_matmul_activation,
    "GatedRMSNorm": norms.gated_rms_norm,
    "GatedRelativePositionBias": attention.gated_relative_position_bias,
    "Gelu": activations.plain_gelu,
    "GemmFastGelu": activations.gemm_fast_gelu,
    "GroupNorm": norms.group_norm,
    "GroupQueryAttention": grouped.group_query_attention,
    "MoE": experts.mixture_of_experts,
    "MultiHeadAttention": attention.multi_head_attention,
    "NhwcConv": products.nhwc_conv,
    "NhwcFusedConv": products.nhwc_fused_conv,
    "PackedAttention": attention.packed_attention,
    "PackedMultiHeadAttention": attention.packed_multi_head_attention,
    "QMoE": experts.quantised_mixture_of_experts,
    "QuickGelu": activations.quick_gelu,
    "RemovePadding": padding.remove_padding,
    "RestorePadding": padding.restore_padding,
    "RotaryEmbedding": rotary.rotary_embedding,
    "ScaledSiLU": activations.scaled_silu,
    "SimplifiedLayerNormalization": norms.simplified_layer_normalization,
    "SkipGroupNorm": norms.skip_group_norm,
    "SkipLayerNormalization": norms.skip_layer_normalization,
    "SkipSimplifiedLayerNormalization": norms.skip_simplified_layer_normalization,
    "SwiGLU": activations.split_swiglu,
    "TransposeMatMul": products.fused_matmul,
}
INTEGERS: dict[str, Definition] = {
    "DynamicQuantizeLSTM": quantised.dynamic_quantize_lstm,
    "DynamicQuantizeMatMul": quantised.dynamic_quantize_matmul,
    "MatMulIntegerToFloat": quantised.matmul_integer_to_float,
    "MatMulNBits": packed.matmul_nbits,
    "QAttention": quantised.qattention,
    "QGemm": quantised.qgemm,
    "QLinearAdd": quantised.of_two("Add"),
    "QLinearAveragePool": quantised.pool("AveragePool"),
    "QLinearConcat": quantised.concat,
    "QLinearConv": quantised.qlinear_conv,
    "QLinearGlobalAveragePool": quantised.pool("GlobalAveragePool"),
    "QLinearLeakyRelu": quantised.of_one("LeakyRelu"),
    "QLinearMul": quantised.of_two("Mul"),
    "QLinearSigmoid": quantised.of_one("Sigmoid"),
    "QLinearSoftmax": quantised.softmax,
    "QLinearWhere": quantised.where,
}
STANDARD_INTEGERS: dict[str, Definition] = {
    "ConvInteger": quantised.conv_integer,
    "MatMulInteger": quantised.matmul_integer,
    "QLinearConv": quantised.qlinear_conv,
    "QLinearMatMul": quantised.qlinear_matmul,
}
DEFINITIONS |= INTEGERS
DEFAULT_DOMAIN: dict[str, Definition] = {
    **STANDARD_INTEGERS,
    "LayerNormalization": norms.layer_normalization,
    "RotaryEmbedding": rotary.standard_rotary_embedding,
    "SimplifiedLayerNormalization": norms.simplified_layer_normalization,
}
"""onnxruntime writes norms into the default domain, which has none of them (or not yet in that opset). The ONNX
definition of the rotary embedding does not say that its places are no tokens."""
UNCHECKED = (
    "BiasAdd", "BiasSplitGelu", "FusedMatMulActivation", "GatedRelativePositionBias", "GemmFastGelu", "GroupNorm",
    "NhwcConv", "NhwcFusedConv", "PackedAttention", "PackedMultiHeadAttention", "RemovePadding",
    "RestorePadding", "SkipGroupNorm", "SwiGLU",
)  # fmt: skip
"""Operators of which onnxruntime's CPU provider has no kernel, so that nothing is there to compare with."""


def fits(node: NodeProto, opset: int) -> bool:
    """Whether the node's operator is one of onnxruntime's that have a definition."""
    if node.domain == DOMAIN:
        return node.op_type in DEFINITIONS
    if node.domain not in ("", "ai.onnx") or node.op_type not in DEFAULT_DOMAIN:
        return False
    return node.op_type != "LayerNormalization" or (opset < 17 and _axis(node) == -1)


def definition(node: NodeProto, opset: int, types: Mapping[str, TypeProto]) -> FunctionProto:
    """The body of a node that `fits`, with an output for each that the node names. types: of values by name.

    Raises UnsupportedError, which says why, for a form that has no definition.
    """
    body = Body(node, opset, types)
    results = (DEFINITIONS if node.domain == DOMAIN else DEFAULT_DOMAIN)[node.op_type](body)
    read = [i for i, name in enumerate(node.output) if name]
    for i in read:
        if i >= len(results) or not results[i]:
            raise UnsupportedError(f"its output {i}, which is read, has no definition")
        body.nodes.append(helper.make_node("Identity", [results[i]], [f"y{i}"]))
    inputs, outputs = [f"x{i}" for i in range(len(node.input))], [f"y{i}" for i in read]
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_function("", node.op_type, inputs, outputs, body.nodes, opsets)


def why_not(graph: Graph, node: Node) -> str:
    """Why a node of the graph was not written out; "" where nothing speaks against it."""
    values = {name: graph.value(name) for name in node.inputs if name}
    types = {
        name: helper.make_tensor_type_proto(value.elem_type, value.shape)
        for name, value in values.items()
        if value.elem_type
    }
    proto, opset = node.to_proto(graph.opsets), graph.opsets.get("", 1)
    if fits(proto, opset):
        try:
            definition(proto, opset, types)
        except UnsupportedError as error:
            return str(error)
    return ""


def stand_ins(nodes: Iterable[NodeProto], opset: int) -> list[NodeProto]:
    """The nodes, with standard ones in the place of each that `fits`, which make values of the same rank."""
    made = []
    for node in nodes:
        if not fits(node, opset) or (node.op_type in STANDARD_INTEGERS and node.domain != DOMAIN):
            made.append(node)
        elif node.op_type == "EmbedLayerNormalization":
            ids, word = node.input[0], node.input[2]
            forms = [("Gather", [word, ids]), ("Shape", [ids]), ("Gather", [word, ids])]
            made += [
                helper.make_node(op, inputs, [name])
                for (op, inputs), name in zip(forms, node.output, strict=False)
                if name
            ]
        elif node.op_type == "RemovePadding":
            made.append(helper.make_node("Flatten", node.input[:1], node.output[:1], axis=2))
        elif node.op_type == "RestorePadding":
            made.append(helper.make_node("Gather", node.input, node.output))
        else:
            alike = [name for i, name in enumerate(node.output) if name and i in (0, SUMS.get(node.op_type))]
            for name in alike:
                made += _stand_in(node, name)
    return made


def _stand_in(node: NodeProto, output: str) -> list[NodeProto]:
    """Nodes that make a value of the same type and rank, of sizes that nothing says."""
    like = node.input[LIKE.get(node.op_type, 0)]
    if node.op_type == "DynamicQuantizeLSTM":  # steps, directions, batch, features
        one = helper.make_node("Constant", [], [f"{output}/one"])
        one.attribute.append(helper.make_attribute("value", from_array(np.zeros((1, 1, 1, 1), np.float32))))
        tiled = helper.make_node("Tile", [like, ANY], [f"{output}/like"])
        return [one, tiled, helper.make_node("Add", [f"{output}/one", f"{output}/like"], [output])]
    slot = FLOATS.get(node.op_type, 0)
    if not slot or (node.op_type == "QGemm" and len(node.input) > 7 and node.input[7]):
        return [helper.make_node("Tile", [like, ANY], [output])]
    scale, same, chosen = node.input[slot], f"{output}/like", f"{output}/chosen"
    return [
        helper.make_node("Tile", [like, ANY], [same]),
        helper.make_node("Cast", [same], [chosen], to=TensorProto.BOOL),
        helper.make_node("Where", [chosen, scale, scale], [output]),
    ]


def _axis(node: NodeProto) -> int:
    return next((a.i for a in node.attribute if a.name == "axis"), -1)
