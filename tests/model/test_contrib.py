"""onnxruntime's own operators, written out in standard ones: the same function, the same relevance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxdtd.errors import UnsupportedError
from onnxdtd.explainer import Explainer
from onnxdtd.model.canonise import canonise
from onnxdtd.model.contrib import DEFINITIONS, DOMAIN
from onnxdtd.model.load import load
from onnxdtd.walk.forward import Forward
from tests.support.paths import GOLDENS

FOLDER = GOLDENS / "transformer"
_RNG = np.random.default_rng(4)


def w(*shape: int) -> np.ndarray:
    return _RNG.standard_normal(shape).astype(np.float32)


# op, shape of x, constants behind it (None: left out), attributes
CASES = {
    "relu": ("FusedConv", (2, 3, 6, 6), [w(4, 3, 3, 3), w(4)], {"activation": "Relu", "pads": [1, 1, 1, 1]}),
    "leaky, summed": ("FusedConv", (2, 3, 6, 6), [w(4, 3, 3, 3), w(4), w(2, 4, 4, 4)],
                      {"activation": "LeakyRelu", "activation_params": [0.2]}),
    "clip": ("FusedConv", (2, 3, 6, 6), [w(4, 3, 3, 3)], {"activation": "Clip", "activation_params": [-0.5, 0.7]}),
    "gemm": ("FusedGemm", (2, 3), [w(5, 3), w(5)],
             {"activation": "LeakyRelu", "activation_alpha": 0.3, "transB": 1, "alpha": 0.5}),
    "flags": ("FusedMatMul", (2, 5, 3), [w(4, 5)], {"transA": 1, "transB": 1, "alpha": 0.25}),
    "plain": ("FusedMatMul", (2, 5, 3), [w(3, 4)], {"alpha": 2.0}),
    "gelu": ("Gelu", (2, 3), [], {}),
    "bias": ("BiasGelu", (2, 3), [w(3)], {}),
    "fast": ("FastGelu", (2, 3), [w(3)], {}),
    "fast, no bias": ("FastGelu", (2, 3), [], {}),
    "quick": ("QuickGelu", (2, 3), [], {"alpha": 1.5}),
    "skip": ("SkipLayerNormalization", (2, 3, 4), [w(2, 3, 4), w(4), w(4), w(4)], {"epsilon": 1e-2}),
    "skip, no bias": ("SkipLayerNormalization", (2, 3, 4), [w(2, 3, 4), w(4), w(4)], {}),
    "simplified skip": ("SkipSimplifiedLayerNormalization", (2, 3, 4), [w(2, 3, 4), w(4)], {"epsilon": 1e-2}),
}  # fmt: skip


def model_of(case: str, opset: int) -> onnx.ModelProto:
    op, shape, constants, attributes = CASES[case]
    tensors = [numpy_helper.from_array(c, f"c{i}") for i, c in enumerate(constants)]
    node = helper.make_node(op, ["x", *(t.name for t in tensors)], ["y"], domain=DOMAIN, **attributes)
    return whole([node], shape, tensors, opset)


def whole(nodes: list, shape: tuple, tensors: list, opset: int) -> onnx.ModelProto:
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)
        for name, dims in (("x", shape), ("y", None))
    )
    y.type.tensor_type.shape.dim.extend(onnx.TensorShapeProto.Dimension() for _ in shape)
    graph = helper.make_graph(nodes, "g", [x], [y], tensors)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(DOMAIN, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def by_onnxruntime(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def check(model: onnx.ModelProto, op: str) -> None:
    x = np.random.default_rng(6).standard_normal(
        [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    )
    feeds = {"x": x.astype(np.float32)}
    graph = canonise(load(model))
    assert all(not node.domain and node.op != "SimplifiedLayerNormalization" for node in graph.nodes)
    assert f"{op} of onnxruntime written out: 1x" in graph.notes
    y = Forward(graph, ["y"], ["CPUExecutionProvider"])(feeds)["y"]
    np.testing.assert_allclose(y, by_onnxruntime(model, feeds["x"]), rtol=1e-4, atol=1e-5)


def test_every_definition_has_a_case() -> None:
    assert {case[0] for case in CASES.values()} | {"SimplifiedLayerNormalization"} == set(DEFINITIONS)


@pytest.mark.parametrize("opset", [11, 14, 17, 20])
@pytest.mark.parametrize("case", CASES)
def test_the_definition_computes_what_onnxruntime_does(case: str, opset: int) -> None:
    if case == "flags" and opset < 12:
        with pytest.raises(UnsupportedError, match="needs opset 12"):
            load(model_of(case, opset))
    else:
        check(model_of(case, opset), CASES[case][0])


@pytest.mark.parametrize("op", ["LayerNormalization", "SimplifiedLayerNormalization"])
def test_norms_that_the_default_domain_does_not_have(op: str) -> None:
    tensors = [numpy_helper.from_array(w(4), name) for name in ("scale", "shift")]
    names = [t.name for t in tensors][: 2 if op == "LayerNormalization" else 1]
    node = helper.make_node(op, ["x", *names], ["y"], axis=-1, epsilon=1e-2)
    check(whole([node], (2, 3, 4), tensors[: len(names)], 14), op)


@pytest.mark.parametrize("export", ["script", "dynamo", "attention"])
def test_what_onnxruntime_optimises_gets_the_same_relevance(export: str, tmp_path: Path) -> None:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    ort.InferenceSession(FOLDER / f"{export}.onnx", options, providers=["CPUExecutionProvider"])
    assert any(node.domain == DOMAIN for node in onnx.load(tmp_path / "optimised.onnx").graph.node)
    g = np.load(FOLDER / "relevance.npz")
    e = Explainer(tmp_path / "optimised.onnx", "gradient_x_input")(
        {"ids": g["ids"], "mask": g["mask"]}, target=g["target"].tolist()
    )
    expected = g["gradient_x_input"]
    assert np.abs(e.relevance["ids"] - expected).max() < 1e-4 * np.abs(expected).max()


def test_others_are_refused_by_name() -> None:
    node = helper.make_node("BiasSplitGelu", ["x", "b"], ["y"], "fused", domain=DOMAIN)
    model = whole([node], (2, 3, 8), [numpy_helper.from_array(w(8), "b")], 17)
    with pytest.raises(UnsupportedError, match=r"'fused' BiasSplitGelu .*ORT_ENABLE_BASIC"):
        Explainer(model).plan()
