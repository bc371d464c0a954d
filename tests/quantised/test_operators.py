"""Every operator on integers, written out: what onnxruntime's own node computes, and relevance through it."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, parser

from onnxdtd import Explainer
from onnxdtd.errors import UnsupportedError
from onnxdtd.model.canonise import canonise
from onnxdtd.model.definitions.table import INTEGERS, STANDARD_INTEGERS
from onnxdtd.model.load import load
from onnxdtd.walk.forward import Forward
from tests.support.integer_models import CASES, DOMAIN, Case, draw, f32, model_of
from tests.support.single_op import run_ort

_WHOLE = {TensorProto.INT8, TensorProto.UINT8, TensorProto.INT32}


def test_every_definition_has_a_case() -> None:
    shown = {(case.domain, case.op) for case in CASES.values()}
    assert {op for domain, op in shown if not domain} == {*STANDARD_INTEGERS}
    elsewhere = {"QLinearConv", "MatMulNBits"}  # with the standard's, and in test_weights
    assert {op for domain, op in shown if domain} == {*INTEGERS} - elsewhere


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_it_computes_what_onnxruntime_does(case: Case) -> None:
    """Up to a step where floats are averaged: onnxruntime adds them up in another order."""
    model, x = model_of(case), draw(case)
    graph = canonise(load(model))
    y = Forward(graph, ["y"], ["CPUExecutionProvider"])({"x": x})["y"]
    atol = case.step[0] * 1.01 if case.step is not None else case.within
    expected = run_ort(model, {"x": x})
    np.testing.assert_allclose(y, expected, rtol=0, atol=atol)
    assert (abs(y - expected) > 1e-6).mean() < 0.2 or case.step is None
    assert any(note.startswith(case.op) and "written out" in note for note in graph.notes)
    steps = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")
    reading = [n for n in graph.nodes if n.op not in steps and n.op != "Where"]
    assert not any(graph.value(v).elem_type in _WHOLE for n in reading for v in (*n.inputs, *n.outputs) if v)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("method", ["attnlrp", "gradient"])
def test_both_engines_walk_through_it(case: Case, method: str) -> None:
    model, x = model_of(case), draw(case)
    target = (0,) * (run_ort(model, {"x": x}).ndim - 1)
    maps = [
        Explainer(model, method, engine=engine)(x, target=target).relevance["x"]
        for engine in ("numpy", "onnx")
    ]
    assert np.abs(maps[0]).max() > 0
    np.testing.assert_allclose(maps[0], maps[1], atol=1e-5 * np.abs(maps[0]).max())


def test_a_convolution_by_hand() -> None:
    """x = .5, 1 becomes 5, 10; W = 2, -1 in steps of .5: 10 - 10 + 4 (the bias) times .05 = .2, in steps of .1."""
    text = """<ir_version: 8, opset_import: ["" : 17]> g (float[1,2,1,1] x) => (float[1,1,1,1] y) {
        q = QuantizeLinear(x, s, z)
        c = QLinearConv(q, s, z, w, ws, z, t, e, b)
        y = DequantizeLinear(c, t, e)
    }"""
    model = parser.parse_model(text)
    constants = {
        "s": f32(0.1), "z": np.int8(0), "w": np.array([[[[2]], [[-1]]]], np.int8), "ws": f32(0.5),
        "t": f32(0.1), "e": np.int8(-3), "b": np.array([4], np.int32),
    }  # fmt: skip
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items())
    x = f32(0.5, 1.0).reshape(1, 2, 1, 1)
    e = Explainer(model, "attnlrp")(x, target=(0, 0, 0))
    assert e.target_value[0] == pytest.approx(0.2)
    # z = 4 of 10 - 10 + 4: the inputs get .2 * 10 / 4 and .2 * -10 / 4, the bias the rest.
    np.testing.assert_allclose(e.relevance["x"].ravel(), [0.5, -0.5], atol=1e-6)
    assert e.conservation.causes["bias"] == pytest.approx(0.2)
    g = Explainer(model, "gradient")(x, target=(0, 0, 0)).relevance["x"].ravel()
    np.testing.assert_allclose(g, [1.0, -0.5], atol=1e-6)


def test_the_bias_behind_a_dynamic_product_is_merged() -> None:
    """Cast, the scales and the bias of what quantize_dynamic writes: one product in floats with its bias."""
    text = """<ir_version: 8, opset_import: ["" : 17]> g (float[2,2] x) => (float[2,2] y) {
        q, s, z = DynamicQuantizeLinear(x)
        p = MatMulInteger(q, w, z, wz)
        r = Reshape(p, shape)
        f = Cast<to = 1>(r)
        t = Mul(s, ws)
        m = Mul(f, t)
        y = Add(m, b)
    }"""
    model = parser.parse_model(text)
    constants = {
        "w": np.array([[3, 5], [1, 9]], np.uint8), "wz": np.uint8(2), "ws": f32(0.5), "b": f32(1.0, -1.0),
        "shape": np.array([2, 2]),
    }  # fmt: skip
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items())
    graph = canonise(load(model))
    x = f32([[1.0, 2.55], [0.0, 0.5]])
    np.testing.assert_allclose(
        Forward(graph, ["y"], ["CPUExecutionProvider"])({"x": x})["y"], run_ort(model, {"x": x}), atol=1e-6
    )
    e = Explainer(model, "attnlrp")(x, target=0)
    # W = .5, 1.5; -.5, 3.5: y_0 = .5 - 1.275 + 1
    np.testing.assert_allclose(e.relevance["x"][0], [0.5, -1.275], atol=1e-5)


@pytest.mark.parametrize(
    ("op", "attributes", "said"),
    [
        ("QLinearConv", {"channels_last": 1}, "channels last"),
        ("QAttention", {"num_heads": 2, "do_rotary": 1}, "do_rotary"),
    ],
)
def test_what_is_not_known_is_refused_by_name(op: str, attributes: dict, said: str) -> None:
    case = next(c for c in CASES.values() if c.op == op)
    model = model_of(Case(**{**vars(case), "attributes": attributes, "domain": "com.microsoft"}))
    with pytest.raises(UnsupportedError, match=said):
        Explainer(model).plan()


@pytest.mark.parametrize("case", ["attention", "to float", "gemm to floats", "dynamic matmul", "lstm"])
def test_what_reads_the_floats_that_integers_make_knows_their_type_and_rank(case: str) -> None:
    """An operator of onnxruntime behind it, whose definition asks for both."""
    model, x = model_of(CASES[case]), draw(CASES[case])
    last = 2 if case == "lstm" else run_ort(model, {"x": x}).shape[-1]
    model.graph.node[-1].output[0] = "h"
    tail = [
        ("Gelu", ["h"], ["a"], DOMAIN),
        ("FusedMatMul", ["a", "w"], ["y"], DOMAIN),
        ("Neg", ["y"], ["z"], ""),
    ]
    model.graph.node.extend(helper.make_node(op, i, o, op, domain=domain) for op, i, o, domain in tail)
    model.graph.output[0].name = "z"
    w = np.linspace(-1, 1, last * 3, dtype=np.float32).reshape(last, 3)
    model.graph.initializer.append(numpy_helper.from_array(w, "w"))
    e = Explainer(model, "gradient_x_input", verify=True)(x, (0,) * (run_ort(model, {"x": x}).ndim - 1))
    assert e.relevance["x"].any()


def test_integers_move_and_select_as_floats() -> None:
    """Pad's zero is an integer: here -1.2 as a float."""
    text = """<ir_version: 8, opset_import: ["" : 17]> g (float[1,1,4] x) => (float[1,3] y) {
        q = QuantizeLinear(x, s, z)
        p = Pad(q, pads)
        m = MaxPool<kernel_shape = [2], strides = [2]>(p)
        c = Concat<axis = 1>(m, m)
        a, b = Split<axis = 1>(c)
        r = Reshape(b, shape)
        y = DequantizeLinear(r, s, z)
    }"""
    model = parser.parse_model(text)
    constants = {
        "s": f32(0.01), "z": np.uint8(120), "pads": np.array([0, 0, 2, 0, 0, 0]), "shape": np.array([1, 3]),
    }  # fmt: skip
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items())
    x = f32(0.1, 0.7, -0.3, -0.2).reshape(1, 1, 4)
    for engine in ("numpy", "onnx"):
        e = Explainer(model, "attnlrp", engine=engine)(x, target=1)
        np.testing.assert_allclose(e.outputs["y"], [[-1.2, 0.7, -0.2]], atol=1e-6)
        np.testing.assert_allclose(e.relevance["x"].ravel(), [0, 0.7, 0, 0], atol=1e-6)
