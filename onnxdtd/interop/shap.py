"""shap's `Explanation`, so that its plots show relevance."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from onnxdtd.errors import UsageError
from onnxdtd.explanation import Explanation
from onnxdtd.inputs.layout import layout_of
from onnxdtd.plan.batch import rows
from onnxdtd.reading import by_sample


def shap_explanation(
    explanation: Explanation,
    *,
    input: str | None = None,
    names: Sequence[str] | None = None,
    layout: str | None = None,
) -> Any:
    """A shap.Explanation of all samples: take one of them, by its index, for shap.plots.waterfall, or `image` plots.

    values: the relevance of one input (by default the first), images with their channels last, as shap wants them.
    base_values: (N,), target value less ΣR over all inputs, so that base + Σ values = f(x) holds for a model of one
    input: what the relevance leaves unexplained, no mean over a background. data: the input. feature_names: `names`.
    Raises UsageError where shap is missing.
    """
    try:
        shap: Any = importlib.import_module("shap")
    except ImportError:
        raise UsageError("shap is not installed here: pip install shap") from None
    explanation = by_sample(explanation)
    chosen = next(iter(explanation.relevance)) if input is None else input
    if chosen not in explanation.relevance:
        raise UsageError(f"'{chosen}' has no relevance: choose among {', '.join(explanation.relevance)}")
    values, data = explanation.relevance[chosen], explanation.inputs[chosen]
    if names is not None and len(names) != values[0].size:
        raise UsageError(f"{len(names)} names for {values[0].size} columns: give one for each")
    if layout_of(values.shape[1:], layout) == "NCHW":
        values, data = np.moveaxis(values, 1, -1), np.moveaxis(data, 1, -1)
    samples = len(explanation.target_value)
    arrived = sum(rows(r, samples).sum(axis=1, dtype=np.float64) for r in explanation.relevance.values())
    return shap.Explanation(
        values=values.astype(np.float64),
        base_values=np.asarray(explanation.target_value, np.float64) - arrived,
        data=data,
        feature_names=None if names is None else list(names),
    )
