"""Questions that only values answer, and places counted from an open end, stand in the compiled file itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import onnxdtd
from onnxdtd.errors import TargetError, UnsupportedError
from onnxdtd.explainer import Explainer
from tests.support import checks
from tests.support.model_text import model

RNG = np.random.default_rng(4)
# Tokens looked up, mixed with their masked mean, and a logit for each of seven words at every position.
TOKENS = model(
    """(int64[N, S] ids, int64[N, S] mask) => (float[N, S, 7] logits) {
        h = Gather(table, ids)
        m = Cast<to = 1>(mask)
        u = Unsqueeze(m, last)
        k = Mul(h, u)
        s = ReduceMean<axes = [1]>(k)
        a = Add(h, s)
        r = Relu(a)
        logits = MatMul(r, head)
    }""",
    table=RNG.standard_normal((9, 4)).astype(np.float32), last=np.array([2]),
    head=RNG.standard_normal((4, 7)).astype(np.float32),
)  # fmt: skip
FEEDS = [
    {"ids": np.array([[1, 2, 3, 0], [4, 5, 0, 0]]), "mask": np.array([[1, 1, 1, 0], [1, 1, 0, 0]])},
    {"ids": np.array([[8, 7, 6, 5, 4, 3]]), "mask": np.ones((1, 6), np.int64)},
    {"ids": np.array([[2, 1], [3, 3]]), "mask": np.zeros((2, 2), np.int64)},
]


@pytest.mark.parametrize(
    "target",
    ["logits[last],3", "logits[last]", "1,top", "top,2", "-1,4", "1:,2", "-1,4 - 0,1", "logits[last] - 0,1"],
)
def test_the_file_answers_as_a_run_does(target: str, tmp_path: Path) -> None:
    explainer = Explainer(TOKENS, "attnlrp")
    file = onnxdtd.compile(TOKENS, tmp_path / "e.onnx", method="attnlrp", target=target)
    assert (file.inputs, file.opset) == (("ids", "mask"), 17)
    session = ort.InferenceSession(file.files[0], providers=["CPUExecutionProvider"])
    for feeds in FEEDS:
        (r,) = session.run([file.relevance["ids"]], feeds)
        assert checks.close(r, explainer(feeds, target=target).relevance["ids"])


def test_a_language_model_is_asked_in_the_file_as_in_a_run(tmp_path: Path) -> None:
    """With as many logits as tokens, `top` and -1 are the last position that is no padding."""
    weights = {array.name: onnx.numpy_helper.to_array(array) for array in TOKENS.graph.initializer}
    language = onnx.ModelProto.FromString(TOKENS.SerializeToString())
    del language.graph.initializer[:]
    weights["table"] = weights["table"][:7]
    language.graph.initializer.extend(onnx.numpy_helper.from_array(a, n) for n, a in weights.items())
    explainer = Explainer(language, "attnlrp")
    for target in ("top", "runtime"):
        file = onnxdtd.compile(language, tmp_path / f"{target}.onnx", method="attnlrp", target=target)
        session = ort.InferenceSession(file.files[0], providers=["CPUExecutionProvider"])
        for feeds in FEEDS:
            feeds = feeds | {"ids": feeds["ids"] % 7}
            asks = {"target": np.array([-1])} if target == "runtime" else {}
            (r,) = session.run([file.relevance["ids"]], feeds | asks)
            assert checks.close(r, explainer(feeds).relevance["ids"])
            assert checks.close(r, explainer(feeds, target="logits[last]").relevance["ids"])


def test_a_place_that_is_not_there_explains_nothing(tmp_path: Path) -> None:
    file = onnxdtd.compile(TOKENS, tmp_path / "e.onnx", method="attnlrp", target="4,1")
    session = ort.InferenceSession(file.files[0], providers=["CPUExecutionProvider"])
    relevance = [session.run([file.relevance["ids"]], feeds)[0] for feeds in FEEDS]
    assert [bool(np.any(r)) for r in relevance] == [False, True, False]


def test_what_one_graph_cannot_answer_names_the_way_round(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="'coefficients', which takes them as an input"):
        onnxdtd.compile(TOKENS, tmp_path / "e.onnx", target="0,1 - rest")
    with pytest.raises(TargetError, match="3 indices, the output 2 behind the batch axis"):
        onnxdtd.compile(TOKENS, tmp_path / "e.onnx", target="0,1,2")
