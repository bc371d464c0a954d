"""Operators that are read as the nodes of their ONNX definition: the same function, and nothing of them left."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.reference
import pytest
from onnx import TensorProto, helper

from onnxdtd.explainer import Explainer
from onnxdtd.model.canonise import canonise
from onnxdtd.model.functions import EXPANDED
from onnxdtd.model.load import load
from onnxdtd.ops import OPS
from onnxdtd.walk.forward import Forward
from tests.support.fused_cases import standard_attention

ANGLES = np.arange(200, dtype=np.float32).reshape(50, 4)
# op, opset, shapes of the float inputs ("" for one left out), constants behind them, outputs, attributes
CASES = {
    "heads": ("Attention", 23, [(2, 3, 4, 8), (2, 3, 5, 8), (2, 3, 5, 6)], [], 1, {}),
    "packed heads, causal": ("Attention", 23, [(2, 4, 24)] * 3, [], 1,
                             {"q_num_heads": 3, "kv_num_heads": 3, "is_causal": 1}),
    "grouped queries": ("Attention", 24, [(2, 4, 3, 8), (2, 2, 5, 8), (2, 2, 5, 8)], [], 1, {"softcap": 2.0}),
    "boolean mask": ("Attention", 23, [(2, 3, 4, 8), (2, 3, 5, 8), (2, 3, 5, 6)],
                     [np.arange(20).reshape(4, 5) % 3 > 0], 1, {"scale": 0.3}),
    "additive mask": ("Attention", 23, [(2, 3, 4, 8), (2, 3, 5, 8), (2, 3, 5, 6), (4, 5)], [], 1, {}),
    "past": ("Attention", 23, [(2, 3, 4, 8), (2, 3, 4, 8), (2, 3, 4, 8), "", (2, 3, 2, 8), (2, 3, 2, 8)], [], 3,
             {"is_causal": 1}),
    "rotary": ("RotaryEmbedding", 23, [(2, 3, 4, 8)],
               [np.cos(ANGLES), np.sin(ANGLES), np.arange(8).reshape(2, 4)], 1, {}),
    "rotary, packed, interleaved": ("RotaryEmbedding", 23, [(2, 4, 24), (2, 4, 4), (2, 4, 4)], [], 1,
                                    {"num_heads": 3, "interleaved": 1}),
    "cross entropy": ("SoftmaxCrossEntropyLoss", 13, [(3, 5)], [np.array([1, 0, 4])], 1, {"reduction": "sum"}),
    "cross entropy, ignoring": ("SoftmaxCrossEntropyLoss", 17, [(3, 5, 2)], [np.array([[1, 0], [2, 4], [0, 1]])], 1,
                                {"ignore_index": 0}),
    "likelihood": ("NegativeLogLikelihoodLoss", 22, [(3, 5)], [np.array([1, 0, 4])], 1, {}),
    "linear attention": ("LinearAttention", 27, [(2, 3, 8), (2, 3, 8), (2, 3, 6)], [], 2,
                         {"q_num_heads": 2, "kv_num_heads": 2, "update_rule": "linear"}),
    "gated unit": ("SwiGLU", 28, [(3, 5), (3, 5)], [], 1, {"alpha": 0.7}),
    "causal convolution": ("CausalConvWithState", 28, [(2, 3, 6)], [np.ones((3, 1, 4), np.float32)], 2,
                           {"activation": "silu"}),
}  # fmt: skip


def model_of(case: str) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    op, opset, shapes, constants, outputs, attributes = CASES[case]
    rng = np.random.default_rng(2)
    names = [f"x{i}" if shape else "" for i, shape in enumerate(shapes)]
    tensors = [onnx.numpy_helper.from_array(c, f"c{i}") for i, c in enumerate(constants)]
    made = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(op, [*names, *(t.name for t in tensors)], made, **attributes)
    shaped = [(name, shape) for name, shape in zip(names, shapes, strict=True) if name]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shaped]
    graph = helper.make_graph([node], "g", inputs, [onnx.ValueInfoProto(name=name) for name in made], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    inferred = onnx.shape_inference.infer_shapes(model).graph.output
    for output, info in zip(graph.output, inferred, strict=True):
        output.CopyFrom(info)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    return model, {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shaped}


def test_every_expanded_operator_has_a_case_and_a_verdict() -> None:
    assert {case[0] for case in CASES.values()} == set(EXPANDED)
    assert {OPS["", op].kind for op in EXPANDED} == {"expanded"}


@pytest.mark.parametrize("case", CASES)
def test_the_definition_computes_the_same(case: str) -> None:
    model, feeds = model_of(case)
    expected = onnx.reference.ReferenceEvaluator(model).run(None, feeds)
    graph = canonise(load(model))
    assert not {proto.op_type for proto in graph.to_proto().graph.node} & {*EXPANDED, "Swish"}
    assert f"{CASES[case][0]} expanded into its ONNX definition: 1x" in graph.notes
    graph = graph.replace(opsets={"": min(graph.opsets[""], 26)})
    outputs = Forward(graph, graph.outputs, ["CPUExecutionProvider"])(feeds)
    for name, y in zip(graph.outputs, expected, strict=True):
        np.testing.assert_allclose(outputs[name], y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", [name for name, case in CASES.items() if case[1] <= 26])
def test_relevance_goes_through_it(case: str) -> None:
    model, feeds = model_of(case)
    explainer = Explainer(model, "attnlrp")
    rank = len(explainer.graph.value("y0").shape or ())
    e = explainer(feeds, target=(0,) * (rank - 1) if rank else None)
    assert any(r.any() for r in e.relevance.values())
    assert all(np.isfinite(r).all() for r in e.relevance.values())


def test_standard_attention_is_what_onnxruntime_computes() -> None:
    for case in standard_attention():
        model, feeds = case.model()
        graph = canonise(load(model))
        outputs = Forward(graph, graph.outputs, ["CPUExecutionProvider"])(feeds)
        for name, y in zip(graph.outputs, case.by_onnxruntime(), strict=True):
            np.testing.assert_allclose(outputs[name], y, rtol=1e-4, atol=1e-5, err_msg=str(case.attributes))


def test_what_stands_in_a_local_function_is_expanded_too() -> None:
    inner, _ = model_of("cross entropy")
    node = inner.graph.node[0]
    body = helper.make_function(
        "mine", "Loss", list(node.input), list(node.output), [node], inner.opset_import
    )
    call = helper.make_node("Loss", list(node.input), list(node.output), domain="mine")
    del inner.graph.node[:]
    inner.graph.node.append(call)
    inner.functions.append(body)
    inner.opset_import.append(helper.make_opsetid("mine", 1))
    graph = load(inner)
    assert not {n.op for n in graph.nodes} & {"Loss", *EXPANDED}
    assert set(graph.opsets) == {"", "mine"}
