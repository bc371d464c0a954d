"""onnxruntime's own operators, written out in standard ones: the same function, the same relevance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

from onnxdtd.errors import CheckError, UnsupportedError
from onnxdtd.model.canonise import canonise
from onnxdtd.model.definitions.table import DEFINITIONS, DOMAIN, INTEGERS, UNCHECKED
from onnxdtd.model.load import load
from onnxdtd.passes import Explainer
from onnxdtd.walk.forward import Forward
from tests.support.fused_cases import CASES, Case, w
from tests.support.paths import GOLDENS
from tests.support.unchecked_cases import OTHERS

FOLDER = GOLDENS / "transformer"


def written_out(case: Case, **opset: int) -> list[np.ndarray]:
    """The outputs of the standard nodes that stand for the case's node."""
    model, feeds = case.model(**opset)
    graph = canonise(load(model))
    assert all(not node.domain and node.op != "SimplifiedLayerNormalization" for node in graph.nodes)
    assert f"{case.op} of onnxruntime written out: 1x" in graph.notes
    assert any("to compare" in note for note in graph.notes) == (case.op in UNCHECKED)
    outputs = Forward(graph, graph.outputs, ["CPUExecutionProvider"])(feeds)
    return [outputs[name] for name in graph.outputs]


def same(outputs: list[np.ndarray], expected: list[np.ndarray], case: Case) -> None:
    for y, own in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(y, own, rtol=1e-4, atol=1e-5, err_msg=str((case.op, case.attributes)))


def test_every_definition_has_a_case() -> None:
    assert {*CASES} - {"LayerNormalization"} == {*DEFINITIONS} - {*UNCHECKED, *INTEGERS}
    assert {case.op for case, _ in OTHERS.values()} >= {*UNCHECKED}


@pytest.mark.parametrize("op", CASES)
def test_the_definition_computes_what_onnxruntime_does(op: str) -> None:
    for case in CASES[op]:
        same(written_out(case), case.by_onnxruntime(), case)


@pytest.mark.parametrize("op", UNCHECKED)
def test_what_cannot_be_checked_is_what_onnxruntime_has_no_kernel_of(op: str) -> None:
    case = next(case for case, _ in OTHERS.values() if case.op == op)
    with pytest.raises(Exception, match=r"NOT_IMPLEMENTED|not implemented|Could not find an implementation"):
        case.by_onnxruntime()


@pytest.mark.parametrize("opset", [11, 14, 20])
@pytest.mark.parametrize(
    "op", ["BiasGelu", "EmbedLayerNormalization", "FastGelu", "FusedMatMul", "SkipLayerNormalization"]
)
def test_in_the_opset_of_the_file(op: str, opset: int) -> None:
    case = CASES[op][0]
    same(written_out(case, opset=opset), case.by_onnxruntime(), case)


@pytest.mark.parametrize("name", OTHERS)
def test_the_definition_computes_what_the_operator_means(name: str) -> None:
    case, compute = OTHERS[name]
    expected = compute(*(x for x in case.inputs if x is not None))
    same(written_out(case), expected if isinstance(expected, list) else [expected], case)


@pytest.mark.parametrize("op", ["Attention", "GroupQueryAttention", "MoE", "QMoE", "RotaryEmbedding"])
def test_both_engines_carry_relevance_through_it(op: str) -> None:
    case = CASES[op][-1]
    model, feeds = case.model(constant=tuple(i for i, x in enumerate(case.inputs) if x is not None and i > 2))
    loaded = Explainer(model, "attnlrp", engine="numpy")
    target = (0,) * (len(loaded.graph.value("y0").shape or ()) - 1)
    one = loaded(feeds, target=target)
    other = loaded.by(engine="onnx")(feeds, target=target)
    assert any(r.any() for r in one.relevance.values())
    for name, r in one.relevance.items():
        np.testing.assert_allclose(other.relevance[name], r, rtol=1e-3, atol=1e-5)


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


def test_verify_runs_each_operator_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case("SkipLayerNormalization", [w(2, 3, 4), w(2, 3, 4), w(4)], "y  y")
    model, feeds = case.model(constant=(1, 2))
    notes = Explainer(model, verify=True)(feeds, target="y0:0,0").notes
    assert not any("not compared" in note for note in notes)
    monkeypatch.setitem(DEFINITIONS, case.op, lambda b: [b("Mul", b.x[0], 2.0), "", "", b.sum(*b.x[:2])])
    with pytest.raises(
        CheckError, match=r"'fused' SkipLayerNormalization: its output 'y0' .* where that has .* of its"
    ):
        Explainer(model, verify=True)(feeds, target="y0:0,0")


def test_verify_says_what_it_cannot_run() -> None:
    model, feeds = Case("BiasAdd", [w(2, 3, 4), w(4), w(2, 3, 4)]).model(constant=(1,))
    notes = Explainer(model, verify=True)(feeds, target=(0, 0)).notes
    assert any("BiasAdd not compared with onnxruntime's own" in note for note in notes)


def test_others_are_refused_by_name() -> None:
    model, _ = Case("SparseAttention", [w(2, 3, 8), w(8, 24), w(24)], "y", {"num_heads": 2}).model()
    with pytest.raises(UnsupportedError, match=r"'fused' SparseAttention .*ORT_ENABLE_BASIC"):
        Explainer(model).plan()


def test_a_form_without_a_definition_is_refused_with_its_reason() -> None:
    model, _ = Case("FusedConv", [w(2, 3, 6, 6), w(4, 3, 3, 3)], "y", {"activation": "Elu"}).model()
    with pytest.raises(UnsupportedError, match=r"'fused' FusedConv .*activation Elu is not one of Relu"):
        Explainer(model).plan()
    model, _ = Case("SkipLayerNormalization", [w(2, 3, 4), w(2, 3, 4), w(4)], "yy").model()
    with pytest.raises(UnsupportedError, match=r"output 1, which is read, has no definition"):
        Explainer(model).plan()


@pytest.mark.parametrize("domain", [DOMAIN, ""])
def test_places_of_rotary_embeddings_are_no_tokens(domain: str) -> None:
    """Looked up as tokens are, they choose an angle; a product with it is no product of two signals."""
    half = np.arange(32, dtype=np.float32).reshape(16, 2)
    tables = [
        numpy_helper.from_array(t, n)
        for t, n in ((w(9, 8), "words"), (np.cos(half), "cos"), (np.sin(half), "sin"))
    ]
    order = ["x", "places", "cos", "sin"] if domain else ["x", "cos", "sin", "places"]
    heads = {"num_heads": 2} if not domain else {}
    nodes = [
        helper.make_node("Gather", ["words", "ids"], ["x"]),
        helper.make_node("RotaryEmbedding", order, ["y"], domain=domain, **heads),
    ]
    inputs = [
        helper.make_tensor_value_info(name, onnx.TensorProto.INT64, ["n", "s"]) for name in ("ids", "places")
    ]
    output = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", "s", 8])
    graph = helper.make_graph(nodes, "g", inputs, [output], tables)
    opsets = [helper.make_opsetid("", 23), helper.make_opsetid(DOMAIN, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    feeds = {"ids": np.array([[3, 1, 2]]), "places": np.array([[0, 1, 2]])}
    e = Explainer(model, "attnlrp")(feeds, target=(2, 5))
    assert set(e.relevance) == {"ids"}
    assert e.relevance["ids"][0, 2] == pytest.approx(float(e.outputs["y"][0, 2, 5]), rel=1e-4)


@pytest.mark.parametrize(
    ("k", "scores", "y"),
    [
        (1, [0, 0, 0, 0, 0], 10**4 / 5),
        (2, [0, 0, 0, 0, 0], (10**4 + 10**3) / 5),
        (2, [9, 1, 1, -9, 1], (np.exp(9) + 10**4 * np.e) / (np.exp(9) + 3 * np.e + np.exp(-9))),
        (3, [1, 1, 1, 1, 1], (10**4 + 10**3 + 10**2) / 5),
    ],
)
@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_of_experts_with_equal_scores_the_last_are_taken(
    engine: str, k: int, scores: list[float], y: float
) -> None:
    """Expert e makes 10^e of x = 1."""
    weights = {"w": 10.0 ** np.arange(5).reshape(5, 1, 1), "v": np.ones((5, 1, 1))}
    node = helper.make_node(
        "MoE", ["x", "r", "w", "", "v"], ["y"], domain="com.microsoft", k=k, activation_type="relu"
    )
    graph = helper.make_graph(
        [node], "one",
        [helper.make_tensor_value_info(name, 1, ["N", size]) for name, size in (("x", 1), ("r", 5))],
        [helper.make_tensor_value_info("y", 1, ["N", 1])],
        [numpy_helper.from_array(w.astype(np.float32), name) for name, w in weights.items()],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    explainer = Explainer(
        helper.make_model(graph, opset_imports=opsets, ir_version=8), "gradient", engine=engine
    )
    e = explainer({"x": np.ones((1, 1), np.float32), "r": np.array([scores], np.float32)}, target=0)
    np.testing.assert_allclose([e.target_value[0], e.relevance["x"][0, 0]], [y, y], rtol=1e-5)
