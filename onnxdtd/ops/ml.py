"""Operators of ai.onnx.ml that are no model: missing values, categories and labels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.primitives import equal, expand_like, reduce_sum, unsqueeze, where
from onnxdtd.registry import op, without_site

DOMAIN = "ai.onnx.ml"


@op("Imputer", kind="route", domain=DOMAIN)
def imputer(point: Point) -> Site:
    """y = x, or a constant of the model where x is missing."""
    x, y = point.x, point.output
    kept, zero = equal(x, y), np.zeros((), y.dtype)  # NaN equals nothing

    def apply(w: Any, v: Any) -> Any:
        return where(kept, v, zero)

    def adjoint(w: Any, r: Any) -> Any:
        return where(kept, r, zero)

    return point.site(LinearMap(None, apply, adjoint), bias=where(kept, zero, y), fills=True)


@op("OneHotEncoder", kind="barrier", data=(), embeds=(0,), encodes=True, domain=DOMAIN)
def one_hot_encoder(point: Point) -> Site:
    """A block that is 1 at the category: the category gets the relevance of its block."""

    def apply(w: Any, v: Any) -> Any:
        return expand_like(unsqueeze(v, axes=(v.ndim,)), point.output)

    def adjoint(w: Any, r: Any) -> Any:
        return reduce_sum(r, axes=(r.ndim - 1,), keepdims=False)

    return _looked_up(point, LinearMap(None, apply, adjoint))


@op("LabelEncoder", "CategoryMapper", kind="barrier", data=(), embeds=(0,), encodes=True, domain=DOMAIN)
def label_encoder(point: Point) -> Site:
    """A code or another value for each category, which gets that value's relevance."""
    return _looked_up(point, LinearMap(None, lambda w, v: v, lambda w, r: r))


def _looked_up(point: Point, linear: LinearMap) -> Site:
    """The site; of floats, between whose values nothing changes, the derivative is zero."""
    x = point.x
    flat = replace(linear, adjoint=lambda w, r: expand_like(np.zeros((1,) * x.ndim, r.dtype), x))
    return point.site(linear, jacobian=(flat,) if x.dtype.kind == "f" else ())


without_site(
    "barrier", "Binarizer", domain=DOMAIN,
    reason="piecewise constant: its derivative is zero wherever it exists",
)  # fmt: skip
without_site(
    "barrier", "ZipMap", domain=DOMAIN,
    reason="dictionaries of the scores; dropped when the model is read, so the scores are explained",
)  # fmt: skip
without_site(
    "refuse", "CastMap", "DictVectorizer", domain=DOMAIN,
    reason="reads dictionaries instead of a tensor; convert the model with a tensor as its input",
)  # fmt: skip
without_site(
    "expanded", "LinearRegressor", "LinearClassifier", domain=DOMAIN,
    reason="y = x W' + b: read as Gemm, and the post_transform as Softmax or Sigmoid behind it",
)  # fmt: skip
without_site(
    "expanded", "SVMClassifier", domain=DOMAIN,
    reason="read as Gemm if its kernel is linear, else as an SVMRegressor for each pair of classes; probabilities, "
    "SOFTMAX_ZERO and PROBIT have no such form: export the model with raw scores",
)  # fmt: skip
without_site(
    "expanded", "TreeEnsembleClassifier", domain=DOMAIN,
    reason="read as TreeEnsembleRegressor, and the post_transform as Softmax or Sigmoid behind it; SOFTMAX_ZERO and "
    "PROBIT have no such form: export the model with raw scores",
)  # fmt: skip
without_site(
    "expanded", "Normalizer", domain=DOMAIN,
    reason="x / |x|: read as LpNormalization, or as Div by ReduceMax",
)  # fmt: skip
without_site("expanded", "FeatureVectorizer", domain=DOMAIN, reason="features side by side: read as Concat")
without_site(
    "expanded", "ArrayFeatureExtractor", domain=DOMAIN,
    reason="columns by their index: read as Gather; of labels, which it looks up too, nothing is carried",
)  # fmt: skip
