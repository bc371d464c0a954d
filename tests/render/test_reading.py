"""What summary and picture say, with numbers by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxdtd.explanation import Explanation
from onnxdtd.node_report import NodeReport
from onnxdtd.reading import blown_up, caption, shares, shows, title, unit
from onnxdtd.reading.shows import in_pixels
from onnxdtd.render import save_heatmap

pytestmark = pytest.mark.quick


def result(r: Any, value: float, lost: Any = None, size: float = 0.0, **changes: Any) -> Explanation:
    """One sample of relevance r whose only node starts with `value` and leaves |relevance| of `size`."""
    relevance = np.asarray(r, np.float64)[None]
    left = float(relevance.sum())
    node = NodeReport("fc", "Gemm", "linear", "epsilon", value, left, lost or {}, 0, None, abs(value), size)
    e = Explanation(
        inputs={"x": np.zeros_like(relevance)}, outputs={"y": np.array([[value, -1.0, 0.5]])},
        relevance={"x": relevance}, output="y", target=(((0,),),), target_value=np.array([value]),
        seed=np.array([value]), method="epsilon_plus", reason="", engine="numpy", provider="CPU", nodes=(node,),
        model={}, labels=("cat", "dog", "eel"),
    )  # fmt: skip
    return dataclasses.replace(e, **changes)


@pytest.mark.parametrize(
    ("arrived", "value", "lost", "line"),
    [
        (0.27, 9.25, {"bias": 8.90, "epsilon": 0.08}, "9.25 = 0.27 input + 8.90 constants + 0.08 stabiliser"),
        (10.1, 9.25, {"bias": -0.85}, "9.25 = 10.10 input - 0.85 constants"),
        (-1.2, -0.2, {"bias": 1.0}, "-0.200 = -1.200 input + 1.000 constants"),
        (1.0, 4.0, {"dead": 3.0}, "4.00 = 1.00 input + 3.00 dead neurons"),
        (0.006155, 9.245, {"bias": 9.238845}, "9.245 = 0.006 input + 9.239 constants"),
        (3.0, 4.0, {}, "4.00 = 3.00 input + 1.00 unaccounted"),
        (1.0 / 3, 1.0, {"bias": 1 / 3, "dead": 1 / 3}, "1.00 = 0.33 input + 0.34 constants + 0.33 dead neurons"),
        (27.77, 28.42, {"bias": 0.65}, "28.4 = 27.8 input + 0.6 constants"),
    ],
)  # fmt: skip
def test_the_line_adds_up(arrived: float, value: float, lost: Any, line: str) -> None:
    made = shares(result([arrived, 0.0], value, lost))
    assert made == line
    whole, _, rest = made.partition(" = ")
    terms = rest.replace(" - ", " + -").split(" + ")
    assert sum(float(term.split()[0]) for term in terms) == pytest.approx(float(whole), abs=1e-9)


def test_a_table_names_what_speaks_for_and_against() -> None:
    e = result([0.5, -2.0, 3.0, 0.01], 4.0)
    assert shows(e, names=["a", "b", "c", "d"]) == [
        "What speaks for class 0 'cat' most: c = 0 (+3), a = 0 (+0.5); what speaks against it most: b = 0 (-2)."
    ]
    tokens = result([0.5, -2.0, 3.0, 0.01], 4.0, inputs={"x": np.array([[7, 8, 9, 0]])})
    assert "token 9 at position 2 (+3)" in shows(tokens)[0]
    (against, _) = shows(result([-1.0, -2.0], -3.0))
    assert against == "The logit of class 0 'cat' is negative (-3): this is evidence against it."


def test_an_image_says_where() -> None:
    r = np.zeros((1, 9, 9))
    r[0, 1, 1], r[0, 8, 4] = 3.0, -1.0
    assert shows(result(r, 2.0)) == [
        "Red speaks for class 0 'cat', blue against it: 75% of |relevance| is red, 25% blue.",
        "The strongest red lies in the upper left (100% of the red); the strongest blue lies at the bottom "
        "(100% of the blue).",
    ]
    assert shows(result(np.ones((1, 9, 9)), 81.0))[1] == "The red is spread over the whole picture."
    boxed = result(r, 2.0, corners=((0.0, 0.0, 3.0, 3.0),), question="the best box's class score")
    assert shows(boxed)[-1] == "100% of the red lies in the box, which is 11% of the picture."
    assert title(boxed).startswith("the best box's class score (class 0 'cat'), logit 2")


def test_a_sequence_names_its_steps() -> None:
    r = np.zeros((2, 12))
    r[:, 3], r[0, 7] = 1.0, -1.0
    assert shows(result(r, 1.0)) == [
        "What speaks for class 0 'cat' most: step 3 (+2); what speaks against it most: step 7 (-1)."
    ]


def test_the_unit_is_that_of_the_number() -> None:
    assert unit(result([1.0], 4.0)) == "logit"
    likely = np.array([[0.7, 0.2, 0.1]])
    assert unit(result([1.0], 0.7, outputs={"y": likely})) == "probability"
    assert unit(result([1.0], 0.85, outputs={"y": likely})) == "logit"  # a Softmax was set aside
    alone = result([1.0], 4.0, outputs={"y": np.array([4.0])}, target=(((),),), labels=None)
    assert unit(alone) == "value"


def test_a_blow_up_stands_in_the_caption() -> None:
    e = result([60.0, -59.0], 1.0, size=119.0)
    account = blown_up(e)
    assert account is not None
    assert (account.growth.factor, account.growth.node) == (119.0, "fc")
    assert "|relevance| grows 119-fold on the way: signs are not reliable" in caption(e)
    assert blown_up(result([1.0, -0.5], 0.5, size=1.5)) is None
    assert blown_up(dataclasses.replace(e, method="gradient")) is None


def test_the_picture_carries_the_caption_and_the_box(tmp_path: Path) -> None:
    r = np.zeros((1, 20, 20))
    r[0, 5, 5] = 3.0
    fired = ({"name": "input_blind", "fired": True}, {"name": "conservation", "fired": False})
    e = result(r, 4.0, {"bias": 1.0}, findings=fired, corners=((2.0, 3.0, 12.0, 9.0),), question="the box")
    save_heatmap(e, tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text("utf-8")
    assert "<!-- logit 4.00 = 3.00 input + 1.00 constants  ·  fired: input_blind -->" in text
    assert in_pixels((2.0, 3.0, 12.0, 9.0), (20, 20)) == (2, 3, 12, 9)
    assert in_pixels((0.1, 0.2, 0.5, 1.0), (10, 20)) == (2, 2, 10, 10)
    assert in_pixels((-5.0, 3.0, 99.0, 9.0), (20, 20)) == (0, 3, 20, 9)
