"""Operators as exporters use them, beside others: several outputs, values read twice, parts of networks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tests.support.loops import loop_model
from tools.fuzz.draft import ML, Draft
from tools.fuzz.words import pick


def _two(op: str, draft: Draft) -> None:
    """Of values that are there, so that paths part and meet."""
    x = pick(draft.rng, draft.stock[-4:])
    y = draft.fit(draft.values[x].shape[1:] if draft.open else draft.values[x].shape)
    draft.keep(draft.add(op, *(x, y) if draft.rng.random() < 0.5 else (y, x)))


def _with_a_constant(op: str, draft: Draft) -> None:
    """A constant of each rank, which x is copied along where it has one element; then often a layer behind it."""
    shape = tuple(int(n) for n in draft.rng.choice((1, 2, 4), int(draft.rng.integers(1, 4))))
    x = draft.fit(shape if draft.open else (1, *shape))
    rank = int(draft.rng.integers(0, len(shape) + 1))
    c = draft.weight(*(n if n > 1 else pick(draft.rng, (1, 3)) for n in shape[len(shape) - rank :]))
    y = draft.add(op, *(x, c) if draft.rng.random() < 0.7 else (c, x))
    width = draft.values[y].shape[-1]
    if draft.values[y].ndim > 1 and draft.rng.random() < 0.6:
        y = draft.add("MatMul", y, draft.weight(width, 3))
        y = draft.add("Add", y, draft.weight(3))
    draft.keep(y)


def _where(draft: Draft) -> None:
    x, y = draft.batched((4, 3)), draft.batched((4, 3))
    draft.keep(draft.add("Where", draft.add(pick(draft.rng, ("Greater", "Less")), x, y), x, y))


def _split(draft: Draft) -> None:
    first = draft.add(
        "Split", draft.batched((6, 2)), draft.constant(np.array([1, 3, 2])), outputs="yyy", axis=1
    )
    for name in (first, f"{first}_2"):
        draft.keep(name)


def _top_then_gather(draft: Draft) -> None:
    x = draft.batched((6,))
    values = draft.add("TopK", x, draft.constant(np.array([3])), outputs="yy")
    draft.keep(values)
    draft.keep(draft.add("GatherElements", draft.batched((6,)), f"{values}_1", axis=1))


def _scatter_by_data(draft: Draft) -> None:
    values = draft.add("TopK", draft.batched((5,)), draft.constant(np.array([2])), outputs="yy")
    attributes = {"reduction": pick(draft.rng, ("none", "add"))} if draft.opset >= 16 else {}
    draft.keep(draft.add("ScatterElements", draft.batched((5,)), f"{values}_1", values, axis=1, **attributes))


def _pool_and_back(draft: Draft) -> None:
    kernel = {"kernel_shape": [2, 2], "strides": [2, 2]}
    small = draft.add("MaxPool", draft.batched((2, 4, 4)), outputs="yy", **kernel)
    draft.keep(draft.add("MaxUnpool", small, f"{small}_1", **kernel))


def _residual(draft: Draft) -> None:
    x = draft.batched((3, 5, 5))
    y = draft.add("Conv", x, draft.weight(3, 3, 3, 3), draft.weight(3), pads=[1, 1, 1, 1])
    draft.keep(draft.add("Relu", draft.add("Add", draft.add("Relu", y), x)))


def _heads(draft: Draft) -> None:
    q, k, v = (draft.add("MatMul", draft.batched((4, 6)), draft.weight(6, 6)) for _ in range(3))
    scores = draft.add("MatMul", q, draft.add("Transpose", k, perm=[0, 2, 1]))
    weights = draft.add("Softmax", draft.add("Div", scores, draft.constant(np.float32(2.4))), axis=2)
    draft.keep(draft.add("MatMul", weights, v))


def _mean_and_variance(draft: Draft) -> None:
    """A norm as exporters write it out."""
    x = draft.batched((3, 4))
    shifted = draft.add("Sub", x, draft.add("ReduceMean", x, axes=[-1]))
    variance = draft.add("ReduceMean", draft.add("Mul", shifted, shifted), axes=[-1])
    root = draft.add("Sqrt", draft.add("Add", variance, draft.constant(np.float32(1e-3))))
    draft.keep(draft.add("Mul", draft.add("Div", shifted, root), draft.weight(4)))


def _loss(op: str, draft: Draft) -> None:
    x = draft.fit((5, 2)) if draft.open else draft.fit((3, 5, 2))
    labels = draft.rng.integers(5, size=(draft.values[x].shape[0], 2))
    if draft.open:  # as many as there are samples
        some = draft.add("ReduceSum", x, draft.constant(np.array([1])), keepdims=0)
        zero = draft.add("Cast", draft.add("Mul", some, draft.constant(np.float32(0))), to=7)
        name = draft.add("Add", zero, draft.constant(labels[:1]))
    else:
        name = draft.constant(labels)
    draft.keep(draft.add(op, x, name, reduction="none"))


def _cell(op: str, gates: int, draft: Draft) -> None:
    """Time comes first in the operator, the batch in the graph."""
    turned = draft.add("Transpose", draft.batched((4, 3)), perm=[1, 0, 2])
    weights = draft.weight(1, gates * 2, 3), draft.weight(1, gates * 2, 2), draft.weight(1, gates * 4)
    rows = draft.add(op, turned, *weights, outputs="yy", hidden_size=2)
    axis = draft.constant(np.array([1]))
    draft.keep(draft.add("Transpose", draft.add("Squeeze", rows, axis), perm=[1, 0, 2]))
    draft.keep(draft.add("Squeeze", f"{rows}_1", draft.constant(np.array([0]))))


def _steps(draft: Draft) -> None:
    scale = draft.constant(np.float32(0.05))
    zero = draft.constant(pick(draft.rng, (np.uint8(128), np.int8(3))))
    draft.keep(
        draft.add("DequantizeLinear", draft.add("QuantizeLinear", draft.fit((4,)), scale, zero), scale, zero)
    )


def _dynamic_steps(draft: Draft) -> None:
    q = draft.add("DynamicQuantizeLinear", draft.fit((4,)), outputs="yyy")
    draft.keep(draft.add("DequantizeLinear", q, f"{q}_1", f"{q}_2"))


def _turned(draft: Draft) -> None:
    angles = np.arange(24, dtype=np.float32).reshape(6, 4)
    tables = draft.constant(np.cos(angles)), draft.constant(np.sin(angles))
    places = draft.constant(np.arange(4).reshape(1, 4) % 3)
    draft.keep(draft.add("RotaryEmbedding", draft.fit((1, 3, 4, 8)), *tables, places))


def _if(draft: Draft) -> None:
    text = """(float[N, 3] x) => (float[N, 3] y) {{ s = ReduceSum <keepdims = 0> (x) up = Greater(s, nil)
      y = If (up) <then_branch = t () => ({f}[N, 3] p) {{ a = MatMul(x, w3) p = Relu(a) }},
                   else_branch = e () => ({f}[N, 3] q) {{ q = Tanh(x) }}> }}"""
    draft.keep(draft.inline(loop_model(text, opset=draft.opset), draft.fit((1, 3))))


def _ml(draft: Draft, op: str, scores: int, shape: tuple[int, ...], **attributes: Any) -> None:
    x = draft.fit(shape if draft.open else (2, *shape))
    y = draft.add(op, x, outputs="y" * (scores + 1), domain=ML, **attributes)
    draft.keep(f"{y}_{scores}" if scores else y)


def _columns(draft: Draft) -> None:
    two, one = (draft.fit(shape if draft.open else (2, *shape)) for shape in ((2,), (1,)))
    draft.keep(draft.add("FeatureVectorizer", two, one, domain=ML, inputdimensions=[2, 1]))


def _picked(draft: Draft) -> None:
    index = draft.constant(np.array([2, 0]))
    x = draft.fit((3,) if draft.open else (2, 3))
    draft.keep(draft.add("ArrayFeatureExtractor", x, index, domain=ML))


_RNG = np.random.default_rng(9)
_CLASSES = {"coefficients": _RNG.standard_normal(9).tolist(), "intercepts": [0.1, 0.2, 0.3]}
_STUMP = {
    "nodes_treeids": [0] * 3, "nodes_nodeids": [0, 1, 2], "nodes_featureids": [1, 0, 0],
    "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"], "nodes_values": [0.1, 0.0, 0.0], "nodes_truenodeids": [1, 0, 0],
    "nodes_falsenodeids": [2, 0, 0], "class_treeids": [0] * 4, "class_nodeids": [1, 2, 1, 2],
    "class_ids": [0, 0, 1, 1], "class_weights": [0.3, 0.9, 0.7, 0.2], "classlabels_int64s": [0, 1],
}  # fmt: skip
_VECTORS = {
    "support_vectors": _RNG.standard_normal(12).tolist(), "vectors_per_class": [2, 2],
    "coefficients": [0.5, 1.0, -0.7, -0.8], "rho": [0.3], "classlabels_ints": [0, 1],
}  # fmt: skip
MORE: dict[str, list[Callable[[Draft], None]]] = {
    "LinearRegressor": [
        partial(_ml, op="LinearRegressor", scores=0, shape=(3,), targets=3, **_CLASSES)
    ],
    "LinearClassifier": [
        partial(_ml, op="LinearClassifier", scores=1, shape=(3,), classlabels_ints=[0, 1, 2], post_transform=post,
                **_CLASSES) for post in ("NONE", "SOFTMAX", "LOGISTIC")
    ],
    "SVMClassifier": [
        partial(_ml, op="SVMClassifier", scores=1, shape=(3,), kernel_type="RBF", kernel_params=[0.4, 0.0, 3.0],
                **_VECTORS)
    ],
    "TreeEnsembleClassifier": [partial(_ml, op="TreeEnsembleClassifier", scores=1, shape=(3,), **_STUMP)],
    "Normalizer": [
        partial(_ml, op="Normalizer", scores=0, shape=(3,), norm=norm) for norm in ("L1", "L2", "MAX")
    ],
    "FeatureVectorizer": [_columns],
    "ArrayFeatureExtractor": [_picked],
}  # fmt: skip
"""Of ai.onnx.ml, by operator."""
OWN: list[tuple[str, int, bool, Callable[[Draft], None]]] = [
    *((op, 13, False, partial(_two, op)) for op in ("Add", "Sub", "Mul", "Max", "Min", "Sum", "Mean")),
    *((op, 13, False, partial(_with_a_constant, op)) for op in ("Add", "Sub", "Mul", "Div", "Max", "Sum")),
    ("Where", 11, False, _where), ("Split", 13, False, _split), ("GatherElements", 13, False, _top_then_gather),
    ("ScatterElements", 13, False, _scatter_by_data), ("ScatterElements", 18, False, _scatter_by_data),
    ("MaxUnpool", 11, False, _pool_and_back), ("MaxUnpool", 22, False, _pool_and_back),
    ("Conv", 11, False, _residual),
    ("Softmax", 13, False, _heads), ("ReduceMean", 13, False, _mean_and_variance), ("If", 13, True, _if),
    *((op, 14, False, partial(_cell, op, gates)) for op, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1))),
    ("QuantizeLinear", 13, False, _steps), ("DequantizeLinear", 13, False, _steps),
    ("DynamicQuantizeLinear", 11, True, _dynamic_steps), ("RotaryEmbedding", 23, True, _turned),
    *((op, 13, mixes, partial(_loss, op)) for op in ("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss")
      for mixes in (False, True)),
]  # fmt: skip
"""Operator, opset, whether it stands in graphs of one sample only, and what adds it."""
