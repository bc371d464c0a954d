"""docs/methods.md tells what docs/figures/methods.json holds, and what it says in words is true of it."""

from __future__ import annotations

import copy
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest

import onnxdtd
from tests.support.paths import DOCS, FIGURES, MODELS
from tools.methods_page import claims, data, rows, summary, words

TOLD = json.loads((FIGURES / "methods.json").read_text("utf-8"))
PAGE = (DOCS / "methods.md").read_text("utf-8")
STUDIES = ("digits", "photos")


def test_the_page_is_what_the_json_says() -> None:
    assert words.page(TOLD) == PAGE, "run python -m tools.methods_page --words"
    assert rows.tables(TOLD) == (FIGURES / "methods.md").read_text("utf-8")


def test_no_interval_is_written_by_hand() -> None:
    """With every number in the JSON another one, every interval on the page is another one."""
    other = copy.deepcopy(TOLD)
    tables = [other[study][table] for study in STUDIES for table in ("table", "from_best")]
    for one in [
        *(one for t in tables for by in t.values() for one in by.values()),
        *other["chance"]["regions"],
    ]:
        one.update(mean=777.0, low=777.0, high=777.0)
    intervals = re.findall(r"[\d.]+ \[[^\]]*\]", words.page(other))
    assert len(intervals) > 50
    assert {number for cell in intervals for number in re.findall(r"[\d.]+", cell)} <= {"777.00", "777.000"}


def test_every_claim_holds() -> None:
    held = claims.claims(TOLD)
    assert len(held) >= 10
    assert [claim for claim, holds in held if not holds] == []


def test_a_claim_can_fail() -> None:
    """With two methods' numbers exchanged, or the controls', some claim is no longer true."""
    for study, a, b in (("digits", "dtd", "gradient"), ("photos", "random", "composite")):
        wrong = copy.deepcopy(TOLD)
        for table in ("table", "from_best", "from_random"):
            wrong[study][table][a], wrong[study][table][b] = (TOLD[study][table][m] for m in (b, a))
        assert not all(holds for _, holds in claims.claims(wrong))


@pytest.mark.parametrize("study", STUDIES)
def test_the_json_agrees_with_itself(study: str) -> None:
    numbers = TOLD[study]
    for score in numbers["scores"]:
        sign = -1 if numbers["better"][score] == "higher" else 1
        means = {m: sign * numbers["table"][m][score]["mean"] for m in numbers["place"]}
        ranked = sorted(means, key=means.__getitem__)
        assert ranked[0] == numbers["best"][score]
        assert sorted(numbers["place"], key=lambda m: numbers["place"][m][score])[-1] == ranked[-1]
        best = numbers["table"][ranked[0]][score]
        for method, by in numbers["table"].items():
            one, apart = by[score], numbers["from_best"][method][score]
            if one["count"] == best["count"] == numbers["groups"]:
                assert apart["mean"] == pytest.approx(one["mean"] - best["mean"], rel=1e-3, abs=1e-4)
            if one["count"] > 1:
                assert one["low"] <= one["mean"] <= one["high"]


def test_sizes_are_what_the_page_promises() -> None:
    assert TOLD["digits"]["inputs"] >= 200
    assert TOLD["photos"]["inputs"] >= 20
    assert TOLD["photos"]["inputs"] == len(TOLD["photos"]["names"])
    native, page = {*onnxdtd.METHODS, *onnxdtd.PASSES}, (DOCS / "methods.md").read_text("utf-8")
    for study in STUDIES:
        numbers = TOLD[study]
        measured = {*numbers["methods"], *numbers["left_out"]}
        assert measured <= native | {"random", "constant"}
        assert all(f"`{method}`" in page for method in native - measured)
    assert TOLD["alike"]["digits"]["inputs"] == 10


def test_numbers_are_those_of_the_library() -> None:
    """What is cheap to measure again: sparseness, on the same 200 digits."""
    inputs = data.digits(20)
    assert len(inputs.x) == TOLD["digits"]["inputs"]
    methods = ["gradient", "dtd", "epsilon_plus"]
    path = MODELS / "mnist_cnn.onnx"
    evaluation = onnxdtd.evaluate(
        path, inputs.x, methods, metrics="sparseness", input_range=(0.0, 1.0), resamples=100
    )
    for method in methods:
        mean = TOLD["digits"]["table"][method]["sparseness.gini"]["mean"]
        assert evaluation.summary(method, "sparseness.gini").mean == pytest.approx(mean, rel=1e-4)


def test_views_of_one_photograph_count_once() -> None:
    inputs = SimpleNamespace(groups=np.array([0, 0, 1]))
    values = np.array([[1.0, np.nan, np.nan], [3.0, np.nan, 4.0], [5.0, 2.0, 6.0]])
    expected = [[2.0, np.nan, 4.0], [5.0, 2.0, 6.0]]
    np.testing.assert_array_equal(summary._grouped(values, inputs), expected)


def test_places_by_hand() -> None:
    assert summary._places(np.array([0.3, 0.1, 0.3, 0.2])).tolist() == [3.5, 1.0, 3.5, 2.0]


def test_links_lead_somewhere_and_figures_are_small() -> None:
    links = set(re.findall(r"\]\(([^)#]+)\)", PAGE))
    # The table of times is written on a quiet machine, by a tool of its own.
    missing = {link for link in links if not (DOCS / link).exists()} - {"figures/method_times.md"}
    assert missing == set()
    for link in links:
        if link.endswith(".png"):
            assert (DOCS / link).stat().st_size < 400_000
