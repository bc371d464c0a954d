"""Position embeddings absorb their relevance, or the tokens at their places are credited with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxdtd.errors import UsageError
from onnxdtd.explainer import Explainer
from tests.support.model_text import model
from tests.support.paths import GOLDENS

ENGINES = ("numpy", "onnx")
E = np.array([[1, 2], [3, -1], [0, 0]], np.float32)
P = np.array([[0.5, 1], [2, 4]], np.float32)
W = np.array([[1.0], [10]], np.float32)
IDS = np.array([[0, 1], [1, 2]])
AT = np.array([1])
# y = sum over places of (e + p) w: of a place e w and p w.
PLAIN = """(int64[N, 2] ids) => (float[N, 1] y) {
  e = Gather(table, ids) h = Add(e, p) o = MatMul(h, w) y = ReduceSum<keepdims = 0>(o, at) }"""
NUMBERED = """(int64[N, 2] input_ids, int64[N, 2] position_ids) => (float[N, 1] y) {
  e = Gather(table, input_ids) q = Gather(p, position_ids) h = Add(e, q) o = MatMul(h, w)
  y = ReduceSum<keepdims = 0>(o, at) }"""
TYPED = """(int64[N, 2] ids, int64[N, 2] types) => (float[N, 2] y) {
  e = Gather(table, ids) k = Gather(kinds, types) FIRST SECOND r = Relu(h) y = ReduceSum<keepdims = 0>(r, at) }"""


def explained(
    text: str, x: Any, engine: str = "numpy", positions: str = "token", method: str = "attnlrp", **more: Any
):
    source = model(text, table=E, p=P, w=W, at=AT, **more)
    return Explainer(source, method, engine, positions=positions)(x, 0)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("method", ["attnlrp", "epsilon_plus", "cp_lrp"])
def test_each_token_is_credited_with_its_place(method: str, engine: str) -> None:
    """e w of the tokens: 21, -7; 0 of the zero vector. p w of the places: 10.5, 42."""
    absorbed = explained(PLAIN, IDS, engine, "absorb", method)
    np.testing.assert_allclose(absorbed.relevance["ids"], [[21, -7], [-7, 0]], rtol=1e-5)
    e = explained(PLAIN, IDS, engine, "token", method)
    # The zero vector has no direction along which it could be credited: the place keeps its 42.
    np.testing.assert_allclose(e.relevance["ids"], [[31.5, 35], [3.5, 0]], rtol=1e-5)
    assert not e.warnings


def test_the_books_say_what_no_token_could_be_credited_with() -> None:
    e = explained(PLAIN, IDS)
    assert e.conservation.constants == {"position embedding": pytest.approx(42)}
    assert e.conservation.error == pytest.approx(0, abs=1e-4)
    assert "positions to tokens" in next(node.rule for node in e.nodes if node.op == "MatMul")


@pytest.mark.parametrize("engine", ENGINES)
def test_numbers_of_places_as_an_input_get_none_of_their_own(engine: str) -> None:
    x = {"input_ids": IDS, "position_ids": np.array([[0, 1], [1, 0]])}
    absorbed = explained(NUMBERED, x, engine, "absorb")
    np.testing.assert_allclose(absorbed.relevance["position_ids"], [[10.5, 42], [42, 10.5]], rtol=1e-5)
    e = explained(NUMBERED, x, engine)
    assert list(e.relevance) == ["input_ids"]
    np.testing.assert_allclose(e.relevance["input_ids"], [[31.5, 35], [35, 0]], rtol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "order", [("h0 = Add(e, p)", "h = Add(h0, k)"), ("h0 = Add(e, k)", "h = Add(h0, p)")]
)
def test_other_embeddings_share_along_their_sum(order: tuple[str, str], engine: str) -> None:
    """Feature 1 of the first place is 2 + 1 + 1: of token, kind 1 and place, (1, 2), (1, 1) and (.5, 1). Relevance
    of feature 1 alone starts, so the place has 1; with the position added last it goes to what stands there, s =
    e + k, by s^2, and there to token and kind by their parts of s: s e / s s and s k / s s. Added first, only the
    token is there."""
    text = TYPED.replace("FIRST", order[0]).replace("SECOND", order[1])
    kinds = np.array([[0.0, 0], [1, 1]], np.float32)
    source = model(text, table=E, p=P, at=AT, kinds=kinds)
    feeds = {"ids": np.array([[0, 0]]), "types": np.array([[1, 0]])}
    e = Explainer(source, "attnlrp", engine, positions="token")(feeds, 1)
    s, token, kind = np.array([2.0, 3]), np.array([1.0, 2]), np.array([1.0, 1])
    first = "p)" in order[0]
    parts = (1.0, 0.0) if first else (s @ token / (s @ s), s @ kind / (s @ s))
    np.testing.assert_allclose(e.relevance["ids"][0], [2 + parts[0], 2 + 4], rtol=1e-5)
    np.testing.assert_allclose(e.relevance["types"][0], [1 + parts[1], 0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_patches_of_a_picture_are_credited_too(engine: str) -> None:
    """A patch embedding of 1 x 1 pixels, (2 x, 0): y0 = sum of 2 x + p0, all of which comes to the pixels."""
    source = model(
        "(float[N, 1, 2, 2] x) => (float[N, 2] y) { c = Conv(x, w) r = Reshape(c, shape) "
        "t = Transpose<perm = [0, 2, 1]>(r) h = Add(t, p) y = ReduceSum<keepdims = 0>(h, at) }",
        w=np.array([2, 0], np.float32).reshape(2, 1, 1, 1), shape=np.array([0, 0, -1]), at=np.array([1]),
        p=np.array([[[1.0, 7], [2, 7], [3, 7], [4, 7]]], np.float32),
    )  # fmt: skip
    x = np.array([1.0, 1, -1, 2], np.float32).reshape(1, 1, 2, 2)
    e = Explainer(source, "attnlrp", engine, positions="token")(x, 0)
    np.testing.assert_allclose(e.relevance["x"].ravel(), [3, 4, 1, 8], rtol=1e-5)


@pytest.mark.parametrize("export", ["script", "dynamo", "attention"])
def test_a_transformer_s_tokens_get_what_its_positions_took(export: str) -> None:
    golden = dict(np.load(GOLDENS / "transformer" / "relevance.npz"))
    feeds, target = {"ids": golden["ids"], "mask": golden["mask"]}, golden["target"].tolist()
    explainer = Explainer(GOLDENS / "transformer" / f"{export}.onnx", "attnlrp")
    absorbed, e = (explainer.by(positions=p)(feeds, target=target) for p in ("absorb", "token"))
    assert e.conservation.relevance == pytest.approx(absorbed.conservation.relevance + 0.12592, abs=1e-4)
    assert "position embedding" not in e.conservation.constants
    same = explainer.by(positions="token", engine="onnx")(feeds, target=target)
    np.testing.assert_allclose(same.relevance["ids"], e.relevance["ids"], rtol=1e-4, atol=1e-6)


def test_where_nothing_is_credited_a_warning_says_why() -> None:
    assert any(
        "gives constants no relevance" in w for w in explained(PLAIN, IDS, method="gradient_x_input").warnings
    )
    assert any("gives constants no relevance" in w for w in explained(PLAIN, IDS, method="dtd").warnings)
    source = model("(int64[N, 2] ids) => (float[N, 2, 2] y) { e = Gather(table, ids) y = Relu(e) }", table=E)
    warnings = Explainer(source, "attnlrp", positions="token").plan().warnings
    assert any("no position embedding is added" in warning for warning in warnings)


def test_no_other_policy_is_taken() -> None:
    with pytest.raises(UsageError, match="no positions 'sum'; choose among absorb, token"):
        explained(PLAIN, IDS, positions="sum")
