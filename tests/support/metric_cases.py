"""Tiny linear models whose scores can be worked out by hand, and data sets for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from onnxdtd.metrics import Evaluation, evaluate
from tests.support.model_text import model

# f = 3 a + 2 b - c, and a second class g: two inputs whose means are (0, 1, 2).
WEIGHTS = np.array([[3, 0], [2, 0], [-1, 0]], np.float32)
TABLE = np.array([[1, 1, 1], [-1, 1, 3]], np.float32)


def linear(weights: Any, batch: str | int = "N") -> onnx.ModelProto:
    """y = x w."""
    w = np.asarray(weights, np.float32)
    return model(
        f"(float[{batch}, {w.shape[0]}] x) => (float[{batch}, {w.shape[1]}] y) {{ y = Gemm(x, w) }}", w=w
    )


def linear_image(weights: Any, layout: str = "NCHW") -> onnx.ModelProto:
    """y_k = sum of x * w_k for images; weights (K, C, H, W)."""
    w = np.asarray(weights, np.float32)
    w = np.moveaxis(w, 1, -1) if layout == "NHWC" else w
    a, b, c = w.shape[1:]
    text = f"(float[N, {a}, {b}, {c}] x) => (float[N, {len(w)}] y) {{ f = Flatten(x) y = Gemm(f, w) }}"
    return model(text, w=w.reshape(len(w), -1).T.copy())


def scores(result: Evaluation, method: str, metric: str, index: int = 0) -> dict[str, float]:
    """One input's scores of one metric, by the rest of their names."""
    row = result.values[method][index]
    by_score = dict(zip(result.scores, row.tolist(), strict=True))
    return {s.partition(".")[2]: v for s, v in by_score.items() if s.startswith(f"{metric}.")}


def by_hand(metric: str, **more: Any) -> Evaluation:
    """gradient x input, which is x w, on the table: relevance (3, 2, -1) of the first input, f = 4."""
    options = {"target": 0, "steps": 3, "fills": ("mean", "constant"), **more}
    return evaluate(linear(WEIGHTS), TABLE, "gradient_x_input", metrics=metric, **options)


WORDS = np.array([[0, 0], [3, 0], [2, 0], [-1, 0]], np.float32)
TEXT = model(
    "(int64[N, 4] ids, int64[N, 4] mask) => (float[N, 2] y) "
    "{ e = Gather(words, ids) m = Cast<to = 1>(mask) u = Unsqueeze(m, last) c = Mul(e, u) "
    "y = ReduceSum<keepdims = 0>(c, axis) }",
    words=WORDS, axis=np.array([1]), last=np.array([2]),
)  # fmt: skip
SENTENCE = {"ids": np.array([[1, 2, 3, 1]]), "mask": np.array([[1, 1, 1, 0]])}


def text_scores(metric: str, **settings: Any) -> dict[str, float]:
    """The scores of words with a weight each, the last one padding."""
    result = evaluate(TEXT, SENTENCE, "attnlrp", metrics=metric, target=0, **settings)
    return {name: result.summary("attnlrp", name).mean for name in result.scores}
