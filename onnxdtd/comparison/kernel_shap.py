"""KernelSHAP, by the package `shap`."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from onnxdtd.comparison.neighbour import Question, neighbour, quiet
from onnxdtd.types import Array

MOST_ROWS = 100


@neighbour("kernel_shap", "shap (MIT)", "shap", "skimage", adds_up=True)
def kernel_shap(
    question: Question, *, seed: int = 0, nsamples: int | None = None, l1_reg: str | None = None
) -> tuple[Array, dict[str, Any]]:
    """Shapley values of p by weighted regression over covered copies of x. Source: Lundberg and Lee 2017 (shap).

    They sum to p(x) less the mean p of the background (`base_value`); a part's value is shared equally by its
    elements. nsamples: by default the package's, 2 x parts + 2,048. l1_reg: by default the package's, which keeps at
    most 10 parts where it can try only a few of all coalitions; "auto", "aic", "bic" or "num_features(20)". Of a
    background of more than 100 rows, 100 are drawn.
    """
    shap: Any = importlib.import_module("shap")
    options = {} if l1_reg is None else {"l1_reg": l1_reg}
    rows, x = question.background, question.parts.x
    with quiet(seed):
        if rows is None:
            count = question.parts.count
            explainer = shap.KernelExplainer(
                lambda shown: question.probabilities(shown)[:, question.label], np.zeros((1, count))
            )
            asked = np.ones((1, count))
        else:
            drawn = np.random.default_rng(seed).permutation(len(rows))[:MOST_ROWS]
            explainer = shap.KernelExplainer(
                lambda points: question.predict(points)[:, question.label], rows[np.sort(drawn)]
            )
            asked = x[None].astype(np.float64)
        values = explainer.shap_values(asked, nsamples=nsamples or "auto", silent=True, **options)
    relevance = question.parts.spread(np.asarray(values)[0], share=True)
    extras = {"base_value": float(explainer.expected_value), "nsamples": nsamples or "default"}
    return relevance, {**extras, "l1_reg": l1_reg or "default"}
