"""A model of today's newest opset runs on an older runtime wherever no operator of it changed since."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnxdtd.explainer import Explainer
from onnxdtd.model.canonise.stamp import stamp
from onnxdtd.model.load import load
from tests.support.model_text import model

NEWEST = onnx.defs.onnx_opset_version()
TEXT = "(float[N, 3] x) => (float[N, 2] y) { z = MatMul(x, w) y = Relu(z) }"


def newest(text: str = TEXT, **constants: np.ndarray) -> onnx.ModelProto:
    proto = model(text, NEWEST, **(constants or {"w": np.ones((3, 2), np.float32)}))
    proto.ir_version = onnx.IR_VERSION
    return proto


def test_the_newest_stamp_is_lowered_to_where_its_operators_changed_last() -> None:
    after = stamp(load(newest()))
    assert (after.opsets[""], after.ir_version) == (21, 10)
    assert after.notes == (f"opset {NEWEST} read as 21: no operator here changed in between",)
    with_cast = stamp(load(newest("(float[N] x) => (double[N] y) { y = Cast<to = 11>(x) }")))
    assert with_cast.opsets[""] == onnx.defs.get_schema("Cast", NEWEST).since_version > 21


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_it_is_explained(engine: str, rng: np.random.Generator) -> None:
    x = rng.random((2, 3)).astype(np.float32)
    e = Explainer(newest(), "epsilon_plus", engine)(x)
    np.testing.assert_allclose(e.relevance["x"].sum(axis=1), x.sum(axis=1), rtol=1e-5)


def test_an_older_opset_stays() -> None:
    graph = load(model(TEXT, 13, w=np.ones((3, 2), np.float32)))
    assert stamp(graph) is graph


def test_an_operator_inside_a_branch_counts() -> None:
    text = """(float[N] x, bool c) => (double[N] y) {
        y = If <then_branch = t () => (double[N] a) { a = Cast<to = 11>(x) },
                else_branch = e () => (double[N] b) { b = Cast<to = 11>(x) }> (c) }"""
    assert stamp(load(newest(text, unused=np.zeros(1)))).opsets[""] > 21
