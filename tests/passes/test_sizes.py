"""Methods of many passes on inputs without elements, of one number, and where the output is the input itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import onnxdtd
from onnxdtd.errors import InputError
from tests.support.model_text import model

MANY = ["integrated_gradients", "occlusion", "smoothgrad", "taylor"]
W = np.array([[1.0], [2.0]], np.float32)


@pytest.mark.parametrize("method", MANY)
def test_inputs_that_are_all_empty_are_refused(method: str) -> None:
    explainer = onnxdtd.Explainer(
        model("(float[N, 0] x) => (float[N, 1] y) { y = MatMul(x, w) }", w=W[:0]), method
    )
    with pytest.raises(InputError, match="the explained inputs are empty"):
        explainer(np.zeros((1, 0), np.float32))


@pytest.mark.parametrize("method", MANY)
def test_an_empty_input_beside_another_gets_nothing(method: str) -> None:
    text = "(float[N, 2] x, float[N, 0] e) => (float[N, 1] y) { both = Concat <axis = 1> (x, e) y = MatMul(both, w) }"
    explainer = onnxdtd.Explainer(model(text, w=W), method, input_range={"x": (0, 4)})
    x = {"x": np.array([[3, 2]], np.float32), "e": np.zeros((1, 0), np.float32)}
    e = explainer(x)
    assert e.relevance["e"].shape == (1, 0)
    if method in ("integrated_gradients", "occlusion"):
        np.testing.assert_allclose(e.relevance["x"], [[3, 4]], rtol=1e-5)


def test_a_single_number_is_covered_as_a_whole() -> None:
    explainer = onnxdtd.Explainer(
        model("(float[N] x) => (float[N] y) { y = Add(x, one) }", one=np.float32(1)), "occlusion"
    )
    np.testing.assert_allclose(explainer(np.array([3, -2], np.float32)).relevance["x"], [3, -2])


@pytest.mark.parametrize("method", [*MANY, "gradient", "attnlrp"])
def test_an_output_that_is_the_input(method: str) -> None:
    text = "(float[N, 2] x) => (float[N, 2] x) { unused = MatMul(x, w) }"
    e = onnxdtd.explain(model(text, w=W), np.array([[1, 3]], np.float32), method=method)
    kept: Any = 1 if method in ("gradient", "smoothgrad") else 3
    np.testing.assert_allclose(e.relevance["x"], [[0, kept]], rtol=1e-5)


def test_methods_are_compared_where_the_output_is_the_input() -> None:
    text = "(float[N, 2] x) => (float[N, 2] x) { unused = MatMul(x, w) }"
    compared = onnxdtd.compare(
        model(text, w=W), np.array([[1, 3]], np.float32), ["gradient", "gradient_x_input"]
    )
    assert (compared.methods, compared.values, compared.refused) == (
        ("gradient", "gradient_x_input"),
        (3.0,),
        {},
    )
