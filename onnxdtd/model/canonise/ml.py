"""ai.onnx.ml in standard operators: linear models, the scores of classifiers, normalisers, features joined or picked.

A classifier has two outputs, labels and scores. Relevance goes along the scores, which get nodes of their own here;
the classifier stays for its labels where somebody reads them. What has no standard form (a tree ensemble, a kernel)
stays as its regressor, whose one output is the score. `post_transform` becomes a Softmax or Sigmoid behind the
scores, so that `head` sets it aside where it is the last node.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from onnx import TensorProto

from onnxdtd.model.canonise.draft import Draft
from onnxdtd.model.canonise.ml_scores import (
    linear_classifier,
    linear_regressor,
    svm_classifier,
    svm_regressor,
    tree_classifier,
    tree_ensemble,
)
from onnxdtd.model.canonise.ml_writer import Writer
from onnxdtd.model.graph import Graph, Node
from onnxdtd.types import Array

DOMAIN = "ai.onnx.ml"
OPSET = 13
"""The default domain's, for models that import ai.onnx.ml alone."""


def ml(graph: Graph) -> Graph:
    """y = post(x W' + b): LinearRegressor, LinearClassifier, SVMRegressor and SVMClassifier of a linear kernel.
    y = post(TreeEnsembleRegressor(x)): TreeEnsembleClassifier. Of another kernel: an SVMRegressor for each pair of
    classes. Normalizer: x / |x|_1, x / |x|_2, x / max x. FeatureVectorizer: Concat. ArrayFeatureExtractor: Gather.
    Integers that they read are cast to float32 first. What does not fit these forms stays as it is. Inputs that only
    an Imputer or trees read may have missing values.
    """
    if not any(node.domain == DOMAIN for node in graph.nodes):
        return graph
    graph = _marked(graph)
    draft = Draft(graph.replace(opsets={"": OPSET, **graph.opsets}))
    rewritten = dict.fromkeys(
        node.op
        for node in graph.nodes
        if node.domain == DOMAIN and node.op in _FORMS and _FORMS[node.op](Writer(draft, node))
    )
    return draft.graph(f"{DOMAIN} in standard operators: {', '.join(rewritten)}") if rewritten else graph


def _normalizer(w: Writer) -> bool:
    """x / |x| over each row, 0 where the norm is."""
    norm, opset = w.attribute("norm", "MAX"), w.draft.opset
    x, out = w.single(), w.node.output
    shape = w.draft.value(x).shape
    column = None if shape is None else (*shape[:-1], 1)
    if norm in ("L1", "L2"):
        w.emit("LpNormalization", x, out=out, attributes={"axis": -1, "p": int(norm[1])})
    else:
        last = (np.array([-1]),) if opset >= 18 else ()
        axes = {} if last else {"axes": [-1]}
        largest = w.emit("ReduceMax", x, *last, shape=column, attributes={"keepdims": 1} | axes)
        # Before opset 11 Equal takes no floats, before 9 there is no Where: 1 is added where the norm is 0.
        some = w.emit(
            "Cast", largest, shape=column, kind=TensorProto.BOOL, attributes={"to": TensorProto.BOOL}
        )
        zero = w.emit("Not", some, shape=column, kind=TensorProto.BOOL)
        one = w.emit("Cast", zero, shape=column, attributes={"to": TensorProto.FLOAT})
        w.emit("Div", x, w.emit("Add", largest, one, shape=column), out=out)
    w.draft.remove(w.node)
    return True


def _feature_vectorizer(w: Writer) -> bool:
    """The inputs side by side, each of the width that the node names for it."""
    values = [w.draft.value(name) for name in w.node.inputs]
    sizes = [v.shape[1] if v.shape is not None and len(v.shape) == 2 else None for v in values]
    widths = [size for size in sizes if isinstance(size, int)]
    if (
        len(widths) < len(values)
        or widths != list(w.attribute("inputdimensions", widths))
        or not all(v.elem_type for v in values)
    ):
        return False
    inputs = [w.single(slot) for slot in range(len(values))]
    w.emit("Concat", *inputs, out=w.node.output, shape=w.shape(sum(widths)), attributes={"axis": 1})
    w.draft.remove(w.node)
    return True


def _array_feature_extractor(w: Writer) -> bool:
    """The columns of floats that the indices name. Labels, which it looks up as well, are left to it."""
    x, y = w.node.inputs
    shape, picked = w.draft.value(x).shape, w.draft.array(w.node, 1)
    if not w.draft.value(x).is_float or x in w.draft.constants or shape is None or len(shape) < 2:
        return False
    index: str | Array
    if picked is not None:
        index = picked.reshape(-1)
    else:
        index = w.emit("Reshape", y, np.array([-1]), shape=(None,), kind=TensorProto.INT64)
    shown = (*shape[:-1], None if picked is None else picked.size)
    w.emit("Gather", x, index, out=w.node.output, shape=shown, attributes={"axis": len(shape) - 1})
    w.draft.remove(w.node)
    return True


def _marked(graph: Graph) -> Graph:
    """The graph, its inputs with missing values marked."""
    holed = [name for name in graph.inputs if graph.value(name).is_float and _takes_missing(graph, name)]
    new = {name: replace(graph.value(name), missing=True) for name in holed if not graph.value(name).missing}
    return graph.replace(values={**graph.values, **new}) if new else graph


def _takes_missing(graph: Graph, value: str) -> bool:
    """Whether all that reads a value, moved to wherever, knows NaN: an Imputer of NaN, trees, IsNaN and its Where."""
    users = graph.consumers.get(value, ())
    asked = any(user.op == "IsNaN" for user in users)

    def takes(user: Node) -> bool:
        if user.op == "Imputer":
            return bool(np.isnan(user.attributes.get("replaced_value_float", 0.0)))
        if user.op in _MOVES:
            return _takes_missing(graph, user.output)
        return user.op.startswith("TreeEnsemble") or user.op == "IsNaN" or (user.op == "Where" and asked)

    return bool(users) and value not in graph.outputs and all(map(takes, users))


_MOVES = {"Identity", "Cast", "Concat", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Gather"}
_MOVES |= {"FeatureVectorizer", "ArrayFeatureExtractor"}
_FORMS: dict[str, Callable[[Writer], bool]] = {
    "ArrayFeatureExtractor": _array_feature_extractor,
    "FeatureVectorizer": _feature_vectorizer,
    "LinearClassifier": linear_classifier,
    "LinearRegressor": linear_regressor,
    "Normalizer": _normalizer,
    "SVMClassifier": svm_classifier,
    "SVMRegressor": svm_regressor,
    "TreeEnsemble": tree_ensemble,
    "TreeEnsembleClassifier": tree_classifier,
    "TreeEnsembleRegressor": tree_ensemble,
}
