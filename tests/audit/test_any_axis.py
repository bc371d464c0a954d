"""Audits and plots where an input has no batch axis, or another first axis than the output."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxdtd.audit import run_audit
from onnxdtd.explainer import Explainer
from onnxdtd.plan.batch import rows
from tests.support.model_text import model

X = np.array([[1, 2, -1], [0.5, 1, 2]], np.float32)
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "one number": ("(float x) => (float y) { y = Mul(x, x) }", {"x": np.float32(3)}),
    "a number beside rows": (
        "(float[N, 3] x, float s) => (float[N, 3] y) { y = Mul(x, s) }", {"x": X, "s": np.float32(2)},
    ),
    "two first axes": (
        "(float[N, 3] x, float[3] s) => (float[N, 3] y) { y = Add(x, s) }",
        {"x": X, "s": np.array([1, 2, 3], np.float32)},
    ),
    "turned": ("(float[2, 3] x) => (float[3, 2] y) { t = Transpose(x) y = Relu(t) }", {"x": X}),
}  # fmt: skip


def test_rows_by_hand() -> None:
    np.testing.assert_array_equal(rows(X, 2), X)
    np.testing.assert_array_equal(rows(X[:, None], 2), X)
    np.testing.assert_array_equal(rows(X.T, 2), [[1, 0.5, 2, 1, -1, 2]] * 2)
    np.testing.assert_array_equal(rows(np.float32(4), 3), [[4], [4], [4]])
    np.testing.assert_array_equal(rows(np.float32(4), 1), [[4]])


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
@pytest.mark.parametrize("case", MODELS)
def test_every_audit_runs(case: str, engine: Any) -> None:
    text, feeds = MODELS[case]
    explainer = Explainer(model(text), "epsilon_plus", engine)
    report = run_audit(explainer, explainer(feeds))
    assert {finding.audit for finding in report.findings} >= {
        "class_similarity",
        "gradient_x_input",
        "stability",
    }
