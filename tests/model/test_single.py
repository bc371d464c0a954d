"""A mean over one place, and what it means for the logits behind it."""

from __future__ import annotations

import numpy as np
import pytest

import onnxdtd
from onnxdtd.model.canonise import canonise
from onnxdtd.model.canonise.single import single
from tests.support.model_text import changed, graph, model, ops, unchanged


@pytest.mark.parametrize("op", ["ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd"])
@pytest.mark.parametrize(("keeps", "opset"), [(0, 11), (1, 11), (0, 18), (1, 18)])
def test_a_reduction_over_axes_of_length_one_is_a_move(op: str, keeps: int, opset: int) -> None:
    axes = "" if opset == 18 or (op == "ReduceSum" and opset >= 13) else "axes = [1, 2], "
    own = "" if axes else ", axes"
    shape = "N, 1, 1, 3" if keeps else "N, 3"
    text = f"(float[N, 1, 1, 3] x) => (float[{shape}] y) {{ y = {op}<{axes}keepdims = {keeps}>(x{own}) }}"
    source = graph(text, opset, **({} if axes else {"axes": np.array([1, 2])}))
    assert ops(changed(source, single)) == ["Identity" if keeps else "Squeeze"]


@pytest.mark.parametrize("axes", ["[1]", "[0]", "[0, 2]"])
def test_a_reduction_over_more_stays(axes: str) -> None:
    text = f"(float[1, 3, N] x) => (float[A, B, C] y) {{ y = ReduceMean<axes = {axes}>(x) }}"
    check = unchanged if axes != "[0]" else changed
    check(graph(text), single)


MEAN = """(float[N, {n}, 2] x) => (float[N, 1] y) {{
    z = MatMul(x, w) s = Sigmoid(z) y = ReduceMean<axes = [1], keepdims = 0>(s)
}}"""


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_a_mean_of_one_probability_is_explained_as_its_logit(engine: str) -> None:
    w = np.float32([[2], [-1]])
    e = onnxdtd.explain(
        model(MEAN.format(n=1), w=w), np.float32([[[1.5, 1]]]), method="attnlrp", engine=engine
    )
    np.testing.assert_allclose(e.target_value, 2, rtol=1e-6)
    np.testing.assert_allclose(e.relevance["x"], [[[3, -1]]], rtol=1e-5)


@pytest.mark.parametrize("places", ["3", "T"])
def test_a_mean_of_more_is_explained_as_it_is_and_said(places: str) -> None:
    """Sigmoids at 0 and at log 3."""
    source = model(MEAN.format(n=places), w=np.float32([[1], [0]]))
    log = np.log(3)
    e = onnxdtd.explain(source, np.float32([[[log, 0], [0, 0], [0, 0]]]), method="gradient_x_input")
    np.testing.assert_allclose(e.target_value, (0.75 + 1) / 3, rtol=1e-6)
    assert [note for note in e.notes if note.startswith("'y' is a mean of 'Sigmoid_1' Sigmoid")]
    again = canonise(canonise(graph(MEAN.format(n=places), w=np.float32([[1], [0]]))))
    assert len(again.notes) == len(set(again.notes))
