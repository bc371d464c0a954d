"""Masks are known by what is done with them, and how they count by what the model makes of 0 and of 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxdtd.errors import UsageError
from onnxdtd.explainer import Explainer
from onnxdtd.plan.masks import masks, places
from tests.support.model_text import model

RNG = np.random.default_rng(0)
ENGINES = ("numpy", "onnx")
WEIGHTS = {
    "table": RNG.standard_normal((6, 4)).astype(np.float32),
    **{name: RNG.standard_normal((4, 4)).astype(np.float32) for name in ("wq", "wk", "wv")},
    "w": RNG.standard_normal((4, 6)).astype(np.float32),
    "half": np.float32(0.5), "one": np.float32(1), "low": np.float32(-1e9), "zero": np.float32(0),
    "at": np.array([1]), "last": np.array([2]), "nothing": np.int64(0),
    "causal": np.triu(np.full((4, 4), -1e9, np.float32), 1),
}  # fmt: skip
# The kind of input, its shape, what is made of it, how that meets the scores s.
FORMS = {
    "added": ("int64[N, T]", "u = Unsqueeze(m, at) c = Cast<to=1>(u) i = Sub(one, c) b = Mul(i, low)",
              "z = Add(s, b)"),
    "with a triangle": ("int64[N, 4]", "u = Unsqueeze(m, at) c = Cast<to=1>(u) i = Sub(one, c) j = Mul(i, low)"
                        " b = Add(j, causal)", "z = Add(s, b)"),
    "chosen": ("bool[N, T]", "u = Unsqueeze(m, at) c = Not(u)", "z = Where(c, low, s)"),
    "compared": ("int64[N, T]", "u = Unsqueeze(m, at) c = Equal(u, nothing)", "z = Where(c, low, s)"),
    "multiplied": ("int64[N, T]", "u = Unsqueeze(m, at) c = Cast<to=1>(u)", "z = Mul(s, c)"),
    "of floats": ("float[N, T]", "u = Unsqueeze(m, at) i = Sub(one, u) b = Mul(i, low)", "z = Add(s, b)"),
    "of scores": ("int64[N, 1, T]", "c = Cast<to=1>(m) i = Sub(one, c) b = Mul(i, low)", "z = Add(s, b)"),
    "of another axis": ("int64[N, S]", "u = Unsqueeze(m, at) c = Cast<to=1>(u) i = Sub(one, c) b = Mul(i, low)",
                        "z = Add(s, b)"),
}  # fmt: skip
PADDING = {
    "padding chosen": ("bool[N, T]", "u = Unsqueeze(m, at)", "z = Where(u, low, s)"),
    "padding as floats": ("int64[N, T]", "g = Cast<to=9>(m) u = Unsqueeze(g, at) b = Where(u, low, zero)",
                          "z = Add(s, b)"),
    "padding subtracted": ("float[N, T]", "u = Unsqueeze(m, at) b = Mul(u, low)", "z = Add(s, b)"),
}  # fmt: skip
IDS = np.array([[1, 2, 3, 0], [3, 4, 0, 0]])
COUNTED = np.array([[1, 1, 1, 0], [1, 1, 0, 0]])


def attention(form: tuple[str, str, str]) -> Any:
    """Tokens, one attention that a mask m changes, a logit of each of the 6 tokens at each position."""
    kind, made, meets = form
    elem, shape = kind.split("[")
    source = model(
        f"(int64[N, T] ids, {elem}[{shape} m) => (float[N, T, 6] y) {{ e = Gather(table, ids) q = MatMul(e, wq) "
        "k = MatMul(e, wk) v = MatMul(e, wv) t = Transpose<perm = [0, 2, 1]>(k) p = MatMul(q, t) s = Mul(p, half) "
        f"{made} {meets} a = Softmax<axis = -1>(z) o = MatMul(a, v) y = MatMul(o, w) }}"
    )
    used = {name for node in source.graph.node for name in node.input}
    for name, array in WEIGHTS.items():
        if name in used:
            source.graph.initializer.append(model("(float x) => (float y) { y = Relu(x) }", **{name: array})
                                            .graph.initializer[0])  # fmt: skip
    return source


def feeds(form: tuple[str, str, str], counted: Any) -> dict[str, Any]:
    kinds = {"int64": np.int64, "bool": np.bool_, "float": np.float32}
    m = counted.astype(kinds[form[0].split("[")[0]])
    return {"ids": IDS, "m": m[:, None] if "1, T" in form[0] else m}


@pytest.mark.parametrize("form", FORMS)
def test_a_mask_is_known_by_its_use(form: str) -> None:
    e = Explainer(attention(FORMS[form]), "attnlrp")(feeds(FORMS[form], COUNTED))
    assert e.masks == ("m",)
    assert list(e.relevance) == ["ids"]
    assert "'m' says what counts" in str(e)
    assert [token.padding for token in e.tokens(sample=1)] == [False, False, True, True]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("form", [*FORMS, *PADDING])
def test_the_next_token_is_told_at_the_last_that_counts(form: str, engine: str) -> None:
    """However the mask counts: 1 for what is there, or 1 for padding."""
    shape = {**FORMS, **PADDING}[form]
    counted = 1 - COUNTED if form in PADDING else COUNTED
    e = Explainer(attention(shape), "gradient_x_input", engine)(feeds(shape, counted))
    assert e.masks == ("m",)
    assert [index[0][0] for index in e.target] == [2, 1]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_summand_of_floats_is_a_mask_if_the_user_says_so(engine: str) -> None:
    """Relative positions are such summands, too; so what counts is what is not far below 0."""
    form = ("float[N, 1, T]", "", "z = Add(s, m)")
    given = {"ids": IDS, "m": np.where(COUNTED, 0, -1e9).astype(np.float32)[:, None]}
    source = attention(form)
    assert list(Explainer(source, "attnlrp")(given).relevance) == ["ids", "m"]
    e = Explainer(source, "attnlrp", engine, mask="m")(given)
    assert (list(e.relevance), e.masks) == (["ids"], ("m",))
    assert [index[0][0] for index in e.target] == [2, 1]
    assert not e.warnings


def test_the_user_may_say_that_nothing_is_a_mask() -> None:
    """Then it is explained as what it is: integers that are cast."""
    explainer = Explainer(attention(FORMS["added"]), "attnlrp", mask=[])
    assert explainer.plan().inputs == ("ids", "m")
    assert explainer.by("gradient_x_input").plan().inputs == ("ids", "m")
    assert explainer.by(mask="m").plan().inputs == ("ids",)


def test_a_mask_that_is_no_input_is_refused() -> None:
    with pytest.raises(UsageError, match="mask names 'nothing'; the model's inputs are ids, m"):
        Explainer(attention(FORMS["added"]), mask="nothing")


def test_what_is_added_to_a_final_softmax_is_no_mask() -> None:
    """A linear model of a count, whose Softmax makes the output and weighs nothing."""
    source = model(
        "(float[N, 3] x, int64[N, 3] n) => (float[N, 3] y) { c = Cast<to = 1>(n) s = Add(x, c) y = Softmax(s) }"
    )
    explainer = Explainer(source, "attnlrp")
    assert masks(explainer.graph) == ()
    assert explainer.plan().inputs == ("x", "n")


def test_numbers_beside_tokens_that_are_made_into_features_are_explained() -> None:
    """They are shaped as the tokens, but a layer reads them: y = sum over positions of e w + n v."""
    source = model(
        "(int64[N, T] ids, int64[N, T] n) => (float[N, 1] y) { e = Gather(table, ids) a = MatMul(e, w) "
        "c = Cast<to = 1>(n) u = Unsqueeze(c, last) b = MatMul(u, v) h = Add(a, b) "
        "y = ReduceSum<keepdims = 0>(h, at) }",
        table=np.eye(4, dtype=np.float32), w=np.array([[1.0], [2], [3], [4]], np.float32),
        v=np.array([[0.5]], np.float32), last=np.array([2]), at=np.array([1]),
    )  # fmt: skip
    e = Explainer(source, "epsilon_plus")({"ids": np.array([[0, 3]]), "n": np.array([[6, 2]])}, 0)
    np.testing.assert_allclose(e.relevance["n"], [[3, 1]], rtol=1e-5)
    np.testing.assert_allclose(e.relevance["ids"], [[1, 4]], rtol=1e-5)
    assert e.masks == ()


def test_rotary_positions_are_no_mask() -> None:
    source = model(
        "(int64[N, T] ids, int64[N, T] position_ids) => (float[N, T, 2] y) { e = Gather(table, ids) "
        "c = Cast<to = 1>(position_ids) u = Unsqueeze(c, last) f = Mul(u, speed) k = Cos(f) y = Mul(e, k) }",
        table=np.eye(4, 2, dtype=np.float32), speed=np.array([1.0, 0.1], np.float32), last=np.array([2]),
    )  # fmt: skip
    explainer = Explainer(source, "attnlrp")
    assert (masks(explainer.graph), places(explainer.graph)) == ((), ("position_ids",))
    assert explainer.plan().inputs == ("ids",)
    assert any("rotary positions" in warning for warning in explainer.plan().warnings)
