"""Tied winners of max pooling: equal shares, but for deconvnet, whose switches remember one place (the first)."""

from __future__ import annotations

import numpy as np
import pytest

import onnxdtd
from tests.support.model_text import model

HEAD = "(float[N, 1, 2, 4] x) => (float[N, 1, H, W] y)"
X = np.float32([[[[0, 0, 3, 5], [0, 0, 5, 5]]]])
# By hand: where the winners of the windows stand, all at value 1 of the gradient.
FORMS = {
    "side by side": (
        "y = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(x)",
        (0, 0, slice(None)),
        [[1, 0, 0, 1], [0, 0, 0, 0]],
        [[1 / 4, 1 / 4, 0, 1 / 3], [1 / 4, 1 / 4, 1 / 3, 1 / 3]],
    ),
    "overlapping and padded": (
        "y = MaxPool<kernel_shape = [2, 2], pads = [0, 1, 0, 0]>(x)",
        (0, 0, slice(0, 2)),
        [[2, 0, 0, 0], [0, 0, 0, 0]],
        [[3 / 4, 1 / 4, 0, 0], [3 / 4, 1 / 4, 0, 0]],
    ),
    "global": (
        "y = GlobalMaxPool(x)",
        (0, 0, 0),
        [[0, 0, 0, 1], [0, 0, 0, 0]],
        [[0, 0, 0, 1 / 3], [0, 0, 1 / 3, 1 / 3]],
    ),
}


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
@pytest.mark.parametrize("form", FORMS)
def test_ties(form: str, engine: str) -> None:
    text, target, first, shared = FORMS[form]
    source = model(f"{HEAD} {{ {text} }}")
    for method, by_hand in (("deconvnet", first), ("gradient", shared), ("guided_backprop", shared)):
        relevance = onnxdtd.explain(source, X, target, method, engine).relevance["x"]
        np.testing.assert_allclose(relevance[0, 0], by_hand, rtol=1e-6, err_msg=method)
