"""The compiled walk starts at an output of any rank, and counts targets by the output's own axes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from onnxdtd.errors import TargetError
from onnxdtd.explainer import Explainer
from onnxdtd.methods import METHODS
from onnxdtd.passes import PASSES
from tests.support.model_text import model

X = np.array([[1, 2, -1], [0.5, 1, 2]], np.float32)
W = np.array([[1, -2], [3, 0.5], [-1, 1]], np.float32)
HIDDEN = "h = MatMul(x, w) a = Relu(h)"
OF_TREES = ("saabas", "tree_shap")  # which refuse a model without trees
OUTPUTS = {
    "float": "y = ReduceSum<keepdims = 0>(a)",
    "float[1]": "s = ReduceSum<keepdims = 0>(a) y = Reshape(s, one)",
    "float[N]": "y = ReduceSum<keepdims = 0>(a, axes)",
}


def both(text: str, method: str, x: Any, target: Any = None, **constants: Any) -> list[Any]:
    """The explanations by either engine."""
    source = model(text, **constants)
    return [Explainer(source, method, e, input_range=(-3, 3))(x, target) for e in ("numpy", "onnx")]


@pytest.mark.parametrize("method", [*METHODS, *(name for name in PASSES if name not in OF_TREES)])
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("batch", ["N", "1"])
def test_every_method_starts_at_any_rank(output: str, batch: str, method: str) -> None:
    text = f"""(float[{batch}, 1, 2, 3] x) => ({output} y) {{
        h = Conv(x, w) a = Relu(h) {OUTPUTS[output]}
    }}"""
    shapes = {"one": np.array([1]), "axes": np.array([1, 2, 3])}
    one, other = both(text, method, X[None, None], w=W.reshape(6, 1, 1, 1), **shapes)
    np.testing.assert_allclose(other.relevance["x"], one.relevance["x"], rtol=1e-5, atol=1e-6)


def test_a_gradient_at_a_scalar_by_hand() -> None:
    """h = [[8, -2], [1.5, 1.5]]: the first row's second unit is off."""
    text = f"(float[N, 3] x) => (float y) {{ {HIDDEN} {OUTPUTS['float']} }}"
    for found in both(text, "gradient", X, w=W, one=np.array([1])):
        np.testing.assert_allclose(found.relevance["x"], [[1, 3, -1], [-1, 3.5, 0]])


NAMED = "(float[N, 3] x) => (float[3, N] y) { y = Transpose(x) }"
TRANSPOSED = NAMED.replace("N", "2")


def test_the_batch_axis_goes_by_its_name() -> None:
    """y = x', whose second axis has the samples' name: element 1 of each sample is its second number."""
    for e in both(NAMED, "gradient_x_input", X, 1):
        np.testing.assert_allclose(e.relevance["x"], [[0, 2, 0], [0, 1, 0]])
    for e in both(NAMED, "gradient_x_input", X, [0, 2]):
        np.testing.assert_allclose(e.relevance["x"], [[1, 0, 0], [0, 0, 2]])


def test_one_target_serves_every_row_of_the_output() -> None:
    """y = x', whose axes have no names: column 1 of y is the second sample of x, in each of y's three rows."""
    for e in both(TRANSPOSED, "gradient_x_input", X, 1):
        np.testing.assert_allclose(e.relevance["x"], [[0, 0, 0], X[1]])


@pytest.mark.parametrize("text", [TRANSPOSED,
    "(float[N, 3] x) => (float[A, B] y) { s = Shape(x) t = Gather(s, back) y = Reshape(x, t) }"])  # fmt: skip
def test_a_list_has_one_target_for_each_row_of_the_output(text: str) -> None:
    constants = {"back": np.array([1, 0])} if "back" in text else {}
    first, second = both(text, "gradient_x_input", X, [0, 1, 0], **constants)
    rows = X.T if "Transpose" in text else X.reshape(3, 2)
    kept = np.where(np.eye(2, dtype=bool)[[0, 1, 0]], rows, 0)
    expected = kept.T if "Transpose" in text else kept.reshape(2, 3)
    for found in (first, second):
        np.testing.assert_allclose(found.relevance["x"], expected)


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_other_counts_of_targets_are_refused(engine: Any) -> None:
    with pytest.raises(TargetError, match="2 targets for 3 samples"):
        Explainer(model(TRANSPOSED), "gradient", engine)(X, [0, 1])
    with pytest.raises(TargetError, match="3 targets for 2 samples"):
        Explainer(model(NAMED), "gradient", engine)(X, [0, 1, 1])


def test_a_list_of_targets_where_only_a_run_shows_how_many() -> None:
    """The rows that are kept, those whose first number is positive, are counted by the model."""
    text = """(float[N, 3] x) => (float[K, 2] y) {
        c = Gather<axis = 1>(x, zero) p = Greater(c, none) k = Compress<axis = 0>(x, p) y = MatMul(k, w)
    }"""
    x = np.concatenate([X, -X[:1], X[:1]])
    source = model(text, w=W, zero=np.array(0), none=np.array(0, np.float32))
    for engine in ("numpy", "onnx"):
        explainer = Explainer(source, "gradient", engine)  # type: ignore[arg-type]
        found = explainer(x, [0, 1, 1]).relevance["x"]
        np.testing.assert_allclose(found, [W[:, 0], W[:, 1], [0, 0, 0], W[:, 1]])
        with pytest.raises(TargetError, match="4 targets for 3 samples"):
            explainer(x, [0, 1, 1, 0])


def test_models_are_valid() -> None:
    onnx.checker.check_model(model(TRANSPOSED), full_check=True)
