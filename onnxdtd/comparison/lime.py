"""LIME, by the package `lime`."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from onnxdtd.comparison.neighbour import Question, neighbour, quiet
from onnxdtd.types import Array


@neighbour("lime", "lime (BSD-2-Clause)", "lime", "skimage")
def lime(
    question: Question, *, seed: int = 0, num_samples: int | None = None
) -> tuple[Array, dict[str, Any]]:
    """Weights of a linear model of p, fitted to randomly covered copies of x. Source: Ribeiro et al. 2016 (lime).

    Each element has the weight of its part. num_samples: by default the package's, 1,000 for parts and 5,000 for a
    table with a background, whose columns the package cuts into quartiles. `score`: R² of the linear model.
    """
    if question.background is None:
        weights, score = _by_parts(question, seed, num_samples or 1000)
    else:
        weights, score = _by_columns(question, seed, num_samples or 5000)
    return question.parts.spread(weights), {"score": float(score), "num_samples": num_samples or "default"}


def _by_parts(question: Question, seed: int, samples: int) -> tuple[Array, float]:
    """The package's image explainer, shown one pixel for each part: 1 where it is shown, 0 where covered."""
    images: Any = importlib.import_module("lime.lime_image")
    count = question.parts.count
    with quiet(seed):
        explanation = images.LimeImageExplainer(random_state=seed).explain_instance(
            np.ones((1, count, 1)), lambda shown: question.probabilities(shown[:, 0, :, 0]),
            labels=(question.label,), top_labels=None, hide_color=0, num_samples=samples,
            batch_size=32, segmentation_fn=lambda image: np.arange(count)[None],
        )  # fmt: skip
    return _weights(explanation.local_exp[question.label], count), explanation.score


def _by_columns(question: Question, seed: int, samples: int) -> tuple[Array, float]:
    tables: Any = importlib.import_module("lime.lime_tabular")
    x = question.parts.x
    with quiet(seed):
        explainer = tables.LimeTabularExplainer(
            question.background, feature_names=question.names, random_state=seed, mode="classification"
        )
        explanation = explainer.explain_instance(
            x.astype(np.float64),
            question.predict,
            labels=(question.label,),
            num_features=x.size,
            num_samples=samples,
        )
    return _weights(explanation.local_exp[question.label], x.size), explanation.score


def _weights(pairs: list[tuple[int, float]], count: int) -> Array:
    weights = np.zeros(count)
    for part, weight in pairs:
        weights[part] = weight
    return weights
