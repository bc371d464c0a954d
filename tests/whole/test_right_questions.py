"""What is explained is the file's own function, at an input where it has a value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import onnxdtd
from onnxdtd.errors import CheckError, InputError
from onnxdtd.model.load import load
from onnxdtd.walk import original
from tests.support.model_text import model

ENGINES = ["numpy", "onnx"]
DENSE = "(float[N, 2] x) => (float[N, 2] y) { y = MatMul(x, w) }"
W = np.float32([[1, 2], [3, 4]])
X = np.float32([[1, -1]])


def mistaken(source):
    """A loader that reads another weight than the file has."""
    graph = load(source)
    return graph.replace(constants={"w": graph.constants["w"] * np.float32(1.01)})


@pytest.mark.parametrize("engine", ENGINES)
def test_another_function_than_the_files_is_an_error(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxdtd.settings.load", mistaken)
    explainer = onnxdtd.Explainer(model(DENSE, w=W), "epsilon_plus", engine)
    for asked in (explainer, explainer.by("gradient")):  # it is no better the second time
        with pytest.raises(CheckError, match="output 'y' is not what onnxruntime computes for the file"):
            asked(X, 0)


@pytest.mark.parametrize(("rows", "runs"), [(2, [2]), (5, [2])])
def test_of_a_batch_the_first_samples_are_compared(
    rows: int, runs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    counts, plain = list[int](), original._Original.__call__

    def counted(self: Any, feeds: Any) -> Any:
        counts.append(len(feeds["x"]))
        return plain(self, feeds)

    monkeypatch.setattr(original._Original, "__call__", counted)
    x = np.repeat(X, rows, axis=0)
    onnxdtd.explain(model(DENSE, w=W), x, 0)
    assert counts == runs
    # Of samples that share something the whole batch is; what differs there is an error as ever.
    mixing = "(float[N, 3] x) => (float[N, 3] y) { m = ReduceMean<axes=[0], keepdims=1>(x) y = Sub(x, m) }"
    counts.clear()
    onnxdtd.explain(model(mixing), np.arange(12, dtype=np.float32).reshape(4, 3), 0, "gradient")
    assert counts == [2, 4]


def test_a_large_model_is_compared_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxdtd.settings.load", mistaken)
    monkeypatch.setattr(original, "LARGE", 16)
    e = onnxdtd.explain(model(DENSE, w=W), X, 0)
    assert any("not compared with the file's" in note and "verify" in note for note in e.notes)
    with pytest.raises(CheckError):
        onnxdtd.explain(model(DENSE, w=W), X, 0, verify=True)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_logit_that_is_no_number_names_the_node(engine: str) -> None:
    proto = model("(float[N, 2] x) => (float[N, 2] y) { [log] h = Log(x) [neg] y = Neg(h) }")
    with pytest.raises(InputError, match=r"logit is nan, .* made by 'log' Log \('h'\)"):
        onnxdtd.explain(proto, X, 1, engine=engine)
    assert np.isfinite(onnxdtd.explain(proto, np.float32([[2, -1]]), 0, engine=engine).relevance["x"][0, 0])


@pytest.mark.parametrize("engine", ENGINES)
def test_where_it_overflows_and_where_it_is_undefined(engine: str) -> None:
    proto = model("(float[N, 2] x) => (float[N, 2] y) { [exp] e = Exp(x) [over] y = Div(e, e) }")
    with pytest.raises(InputError, match=r"made by 'exp' Exp \('e'\), the first NaN by 'over' Div \('y'\)"):
        onnxdtd.explain(proto, np.float32([[1000, 0]]), 0, engine=engine)


def test_a_cache_of_length_zero_has_an_empty_relevance() -> None:
    proto = model(
        "(float[N, P, 3] past, float[N, 2, 3] x) => (float[N, 3] y) "
        "{ all = Concat<axis = 1>(past, x) y = ReduceMean<axes = [1], keepdims = 0>(all) }"
    )
    x = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    e = onnxdtd.explain(proto, {"past": np.zeros((1, 0, 3), np.float32), "x": x}, 2, method="epsilon_plus")
    assert e.relevance["past"].shape == (1, 0, 3)
    np.testing.assert_allclose(e.relevance["x"], [[[0, 0, 1], [0, 0, 2.5]]], rtol=1e-5)
    with pytest.raises(InputError, match="is empty"):
        onnxdtd.explain(proto, {"past": np.zeros((0, 0, 3), np.float32), "x": x[:0]}, 2)


def test_an_input_that_nothing_reads_is_told() -> None:
    proto = model("(float[N, 2] x, float[N, 2] spare) => (float[N, 2] y) { y = MatMul(x, w) }", w=W)
    e = onnxdtd.explain(proto, {"x": X, "spare": X}, 0)
    assert any("input 'spare' is read by no node" in warning for warning in e.warnings)


def test_what_the_optimiser_wrote_for_one_processor_says_how_to_export() -> None:
    proto = model("(float[N, 2] x) => (float[N, 2] y) { h = Identity(x) y = Relu(h) }")
    proto.graph.node[0].op_type, proto.graph.node[0].domain = "ReorderInput", "com.microsoft.nchwc"
    proto.opset_import.add(domain="com.microsoft.nchwc", version=1)
    with pytest.raises(onnxdtd.UnsupportedError, match="ORT_ENABLE_BASIC"):
        onnxdtd.explain(proto, X, 0)


@pytest.mark.parametrize(("x", "warned"), [(0.5, False), (1e-6, True)])
def test_a_small_share_is_told_and_only_what_rounding_hides_is_warned_of(x: float, warned: bool) -> None:
    """y = x + 1000: the input has the share x / (x + 1000), which is 5e-4 of all or 1e-9."""
    source = model(
        "(float[N, 1] x) => (float[N, 1] y) { y = Gemm(x, w, b) }",
        w=np.array([[1]], np.float32), b=np.array([1000], np.float32),
    )  # fmt: skip
    e = onnxdtd.Explainer(source, "attnlrp")(np.array([[x]], np.float32))
    assert any("next to nothing" in warning for warning in e.warnings) == warned
    np.testing.assert_allclose(e.relevance["x"], [[x]], rtol=1e-3)
