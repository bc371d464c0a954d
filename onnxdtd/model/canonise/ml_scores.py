"""The scores of linear models, support vector machines and tree ensembles, in nodes of their own.

Every function takes the node's `Writer` and says whether it wrote. Where a classifier of two classes has one score s,
its outputs are -s and s, or 1 - s and s: both are written as scores of their own, so that relevance for either class
is relevance of its own score.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from onnx import TensorProto, numpy_helper

from onnxdtd.model.canonise.ml_writer import POST, Writer
from onnxdtd.types import Array

KNOWN = ("NONE", *POST)
_ENUM = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")
_REALS = (TensorProto.FLOAT, TensorProto.DOUBLE)


def linear_regressor(w: Writer) -> bool:
    """y = post(x W' + b)."""
    post, targets = w.attribute("post_transform", "NONE"), w.attribute("targets", 1)
    bias = w.array("intercepts")
    if post not in KNOWN or not w.takes_rows():
        return False
    weight = _weight(w, targets)
    post = post if targets > 1 else "NONE"  # onnxruntime leaves a single score as it is
    w.linear(weight, bias if bias.size else np.zeros(targets), post)
    w.draft.remove(w.node)
    return True


def linear_classifier(w: Writer) -> bool:
    """Z = post(x W' + b); of two classes with one row of weights, the other class is its opposite."""
    bias, post = w.array("intercepts"), w.attribute("post_transform", "NONE")
    if not (_has_scores(w) and w.takes_rows() and bias.size):
        return False
    weight = _weight(w, len(bias))
    if len(bias) == 1 and w.classes() == 2:
        if post == "PROBIT":
            return False
        whole, post = (0, post) if post == "LOGISTIC" else (1, "NONE")
        weight, bias = np.concatenate([-weight, weight]), np.concatenate([whole - bias, bias])
    if post not in KNOWN:
        return False
    w.linear(weight, bias, post)
    w.keep_labels()
    return True


def _weight(w: Writer, rows: int) -> Array:
    """The coefficients (rows, features). Where there are more than the input has features for, onnxruntime reads the
    first ones, and there is a model in use that counts on it (the iris classifier that onnxruntime ships)."""
    coefficients = w.array("coefficients")
    width = (w.draft.value(w.node.inputs[0]).shape or (None,))[-1]
    columns = width if isinstance(width, int) else coefficients.size // rows
    return coefficients[: rows * columns].reshape(rows, columns)


def svm_regressor(w: Writer) -> bool:
    """y = x W' + b where the kernel is linear; else the node keeps its kernel, and reads floats."""
    if w.attribute("one_class", 0) or not w.takes_rows():
        return False
    coefficients, supports = w.array("coefficients"), w.attribute("n_supports", 0)
    if supports and w.attribute("kernel_type", "LINEAR") != "LINEAR":
        return _reads_floats(w)
    weight = coefficients[None]
    if supports:
        weight = weight @ w.array("support_vectors", np.float64).reshape(supports, -1)
    w.linear(weight, w.array("rho"), "NONE")
    w.draft.remove(w.node)
    return True


def svm_classifier(w: Writer) -> bool:
    """Z = one score for each pair of classes, sum_i c_i K(v_i, x) + rho; of two classes, that and its opposite.

    Probabilities come out of an iteration over the pairs, which has no such form.
    """
    post = w.attribute("post_transform", "NONE")
    if (
        not (_has_scores(w) and w.takes_rows())
        or w.attribute("prob_a")
        or not w.attribute("vectors_per_class")
    ):
        return False
    pairs, whole = list(_pairs(w)), 0
    if len(pairs) == 1:
        if post == "PROBIT":
            return False
        whole, post = (0, post) if post in ("NONE", "LOGISTIC") else (1, "NONE")
        [(c, v, rho)] = pairs
        pairs = [(-c, v, whole - rho), (c, v, rho)]
    if post not in KNOWN:
        return False
    if w.attribute("kernel_type", "LINEAR") == "LINEAR":
        w.linear(np.stack([c @ v for c, v, _ in pairs]), np.array([rho for *_, rho in pairs]), post)
    else:
        w.score(len(pairs), post, "Concat", *_kernels(w, pairs), attributes={"axis": 1})
    w.keep_labels()
    return True


def _pairs(w: Writer) -> Iterator[tuple[Array, Array, float]]:
    """Coefficients, support vectors and rho of each pair of classes, one against the other."""
    per_class = w.array("vectors_per_class", np.int64)
    vectors = w.array("support_vectors").reshape(int(per_class.sum()), -1)
    coefficients = w.array("coefficients").reshape(-1, len(vectors))
    places = [slice(a, b) for a, b in pairwise([0, *np.cumsum(per_class).tolist()])]
    for rho, (i, j) in zip(w.array("rho").tolist(), combinations(range(len(places)), 2), strict=True):
        one, other = places[i], places[j]
        yield (
            np.concatenate([coefficients[j - 1, one], coefficients[i, other]]),
            np.concatenate([vectors[one], vectors[other]]),
            rho,
        )


def _kernels(w: Writer, pairs: list[tuple[Array, Array, float]]) -> list[str]:
    """An SVMRegressor for each pair."""
    x = w.single()
    kept = {key: w.attribute(key) for key in ("kernel_type", "kernel_params")}
    return [
        w.emit(
            "SVMRegressor", x, shape=w.shape(1), domain=w.node.domain,
            attributes={**kept, "coefficients": c.tolist(), "support_vectors": v.ravel().tolist(),
                        "rho": [rho], "n_supports": len(v)},
        )
        for c, v, rho in pairs
    ]  # fmt: skip


def tree_ensemble(w: Writer) -> bool:
    """y = post(trees(x))."""
    post = w.attribute("post_transform", "NONE")
    post = post if isinstance(post, str) else _ENUM[post]
    if post in ("NONE", "SOFTMAX_ZERO", "PROBIT"):
        return _reads_floats(w)
    rest = {key: value for key, value in w.node.attributes.items() if key != "post_transform"}
    targets = w.attribute("n_targets", 1)
    post = post if targets > 1 else "NONE"  # onnxruntime leaves a single score as it is
    w.score(targets, post, w.node.op, w.single(kept=_REALS), attributes=rest, domain=w.node.domain)
    w.draft.remove(w.node)
    return True


def tree_classifier(w: Writer) -> bool:
    """Z = post(TreeEnsembleRegressor(x)), a target for each class.

    Two classes of which only the first has weights have one score s: sigmoid(-s) and sigmoid(s) with LOGISTIC, else
    1 - s and s if no weight is negative, or -s and s.
    """
    classes, ids = w.classes(), w.array("class_ids", np.int64)
    weights, base = _numbers(w, "class_weights"), _numbers(w, "base_values")
    post = w.attribute("post_transform", "NONE")
    if not _has_scores(w) or post not in KNOWN or (classes == base.size == 2):
        return False  # with two base values for two classes, onnxruntime leaves the second class's leaves out
    repeats = 1
    if classes == 2 and len(set(ids.tolist())) == 1:
        if ids[0]:
            return False  # the first class has no weights, and onnxruntime gives it no base value either
        score = base if base.size else np.zeros(1, weights.dtype)
        whole = 0 if post == "LOGISTIC" or weights.min() < 0 else 1
        post = post if post == "LOGISTIC" else "NONE"
        ids, weights = np.repeat([0, 1], len(ids)), np.concatenate([-weights, weights])
        base, repeats = np.concatenate([whole - score, score]), 2
    elif classes == 1:
        post = "NONE"
    elif base.size:
        base = np.concatenate([base, np.zeros(classes - base.size, base.dtype)])
    attributes: dict[str, Any] = {
        key: value for key, value in w.node.attributes.items() if key.startswith("nodes_")
    }
    for key in ("treeids", "nodeids"):
        attributes[f"target_{key}"] = list(w.attribute(f"class_{key}")) * repeats
    attributes |= {"target_ids": ids.tolist(), "n_targets": classes}
    attributes |= _written("target_weights", weights) | (_written("base_values", base) if base.size else {})
    w.score(
        classes, post, "TreeEnsembleRegressor", w.single(kept=_REALS), attributes=attributes,
        domain=w.node.domain,
    )  # fmt: skip
    w.keep_labels()
    return True


def _numbers(w: Writer, name: str) -> Array:
    """Numbers that are a list of float32, or a tensor."""
    tensor = w.attribute(f"{name}_as_tensor")
    return w.array(name) if tensor is None else np.asarray(numpy_helper.to_array(tensor)).reshape(-1)


def _written(name: str, numbers: Array) -> dict[str, Any]:
    if numbers.dtype == np.float64:
        return {f"{name}_as_tensor": numpy_helper.from_array(numbers, name)}
    return {name: numbers.tolist()}


def _has_scores(w: Writer) -> bool:
    """Whether a classifier's scores are read."""
    scores = w.node.outputs[1] if len(w.node.outputs) > 1 else ""
    return bool(w.draft.users(scores)) or w.draft.is_end(scores)


def _reads_floats(w: Writer) -> bool:
    """Let the node read floats; False if it does already."""
    x = w.single(kept=_REALS)
    if x == w.node.inputs[0]:
        return False
    w.draft.put(replace(w.node, inputs=(x,)))
    return True
