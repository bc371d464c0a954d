"""What the features get by shap, or by the coefficients of a linear model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import shap
from shap.utils._exceptions import InvalidModelError

from tools.tables_check.data import CATEGORIES, NUMBERS
from tools.tables_check.models import Case


def reference(
    case: Case, model: Any, features: np.ndarray, background: Mapping[str, np.ndarray]
) -> np.ndarray | None:
    """(N, features, classes): coefficient times feature; of trees, shap's TreeExplainer against the same rows. None
    for a model that shap does not know."""
    if case.kind == "linear":
        return (features * model.coef_)[:, :, None]
    (rows,) = background.values()
    try:
        explainer = shap.TreeExplainer(model, rows, feature_perturbation="interventional", model_output="raw")
    except InvalidModelError:
        return None
    values = np.asarray(explainer.shap_values(features, check_additivity=False))
    values = values if values.ndim == 3 else values[:, :, None]
    return values[:, :, 1:] if case.classes == 2 and values.shape[2] == 2 else values


def blocks(values: np.ndarray, ordinal: bool) -> np.ndarray:
    """A column of categories gets the sum of its block."""
    if ordinal:
        return values
    widths = [1] * len(NUMBERS) + [len(words) for words in CATEGORIES.values()]
    return np.add.reduceat(values, np.cumsum([0, *widths[:-1]]), axis=1)
