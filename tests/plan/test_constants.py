"""What the constant of each site is called, by its place and its shape, and what each kind takes of a number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxdtd.explainer import Explainer
from onnxdtd.reading import owed, shares
from tests.support.model_text import model
from tests.support.paths import GOLDENS

SEQUENCE = "(float[N, 4, 3] x) => (float[N, 2] y)"
HEAD = "p = ReduceMean<axes = [1], keepdims = 0>(h) y = MatMul(p, w)"
W = np.array([[1.0, -1], [2, 0.5], [0.5, 1]], np.float32)
X = np.arange(1, 13, dtype=np.float32).reshape(1, 4, 3)


def constants(text: str, x: Any = X, method: str = "epsilon_plus", **initializers: Any) -> dict[str, float]:
    source = model(f"{SEQUENCE} {{ {text} {HEAD} }}", 13, w=W, **initializers)
    return Explainer(source, method)(x, 0).conservation.constants


@pytest.mark.parametrize(
    ("shape", "name"),
    [((3,), "bias"), ((1, 1, 3), "bias"), ((4, 1), "bias"), ((4, 3), "position embedding"),
     ((1, 4, 3), "position embedding")],
)  # fmt: skip
def test_a_summand_that_differs_by_place_is_a_position_embedding(shape: tuple[int, ...], name: str) -> None:
    """y0 is linear, so the summand of 1 in the mean takes its own part of it: 1 (1 + 2 + .5)."""
    part = np.ones(shape, np.float32)
    if 4 in shape:
        part *= np.array([[0], [2], [1], [1]], np.float32)
    assert constants("r = Relu(x) h = Add(r, c)", c=part) == {name: pytest.approx(3.5)}


def test_rows_before_a_sequence_are_a_class_token() -> None:
    """A fifth of the mean is the row's: 2 (1 + 2 + .5) / 5."""
    row = np.full((1, 1, 3), 2, np.float32)
    assert constants("h = Concat<axis = 1>(c, x)", c=row) == {"class token": pytest.approx(1.4)}


def test_rows_as_many_as_the_sequence_s_are_a_joined_constant() -> None:
    rows = np.full((1, 4, 3), 2, np.float32)
    assert constants("h = Concat<axis = 1>(c, x)", c=rows) == {"joined constant": pytest.approx(3.5)}


def test_what_falls_on_borders_is_padding() -> None:
    """A pad of ones, two rows of six."""
    pads, one = np.array([0, 1, 0, 0, 1, 0]), np.ones((), np.float32)
    assert constants("h = Pad(x, ends, c)", ends=pads, c=one) == {"padding": pytest.approx(3.5 / 3)}


def test_a_norm_in_parts_has_a_shift() -> None:
    text = """m = ReduceMean<axes = [-1]>(x) d = Sub(x, m) q = Mul(d, d) v = ReduceMean<axes = [-1]>(q)
              s = Sqrt(v) n = Div(d, s) g = Mul(n, scale) t = Add(g, shift) h = Relu(t)"""
    made = constants(text, method="attnlrp", scale=np.ones(3, np.float32), shift=np.full(3, 9, np.float32))
    assert made == {"norm shift": pytest.approx(9 * 3.5)}


def test_a_curve_that_is_not_zero_at_zero_has_a_constant() -> None:
    """1/2 of each Sigmoid."""
    assert constants("h = Sigmoid(x)") == {"curve constant": pytest.approx(0.5 * 3.5, rel=1e-5)}


@pytest.mark.parametrize("export", ["script", "dynamo", "attention"])
def test_a_transformer_s_kinds_add_up_to_what_was_lost(export: str) -> None:
    """However it was exported: what Softmax and the positions take is the same; what is composed into a layer counts
    as its bias."""
    golden = dict(np.load(GOLDENS / "transformer" / "relevance.npz"))
    explainer = Explainer(GOLDENS / "transformer" / f"{export}.onnx", "attnlrp")
    e = explainer({"ids": golden["ids"], "mask": golden["mask"]}, target=golden["target"].tolist())
    kinds = e.conservation.constants
    assert set(kinds) - {"attention bias"} == {"bias", "norm shift", "softmax constant", "position embedding"}
    assert sum(kinds.values()) == pytest.approx(e.conservation.causes["bias"], rel=1e-6)
    assert kinds["softmax constant"] == pytest.approx(2.49997, abs=1e-4)
    assert kinds["position embedding"] == pytest.approx(0.12592, abs=1e-4)
    assert {n.constant for n in e.nodes if n.op == "Softmax"} == {"softmax constant"}
    details = " ".join(owed(e, 1))
    assert "0.975 the constant part of Softmax" in details
    assert "-0.197 position embeddings" in details
    assert shares(e, 1) == "1.17 = 0.33 input + 0.84 constants"
