"""A sample of onnx's own tests, explained; `python -m tools.conformance --all` takes the whole."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from tools.conformance.cases import cases
from tools.conformance.examine import examine

EVERY = 8


@pytest.fixture(scope="module")
def results() -> list:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return [examine(case) for case in list(cases())[::EVERY]]


def test_no_case_fails(results: list) -> None:
    assert [(r.name, r.detail) for r in results if r.verdict == "failed"] == []


def test_what_is_refused_has_its_reason(results: list) -> None:
    refused = [r for r in results if r.verdict == "refused"]
    assert refused
    assert all(r.detail for r in refused)


def test_at_least_95_percent_are_explained(results: list) -> None:
    inside = [r for r in results if not r.outside and r.verdict != "unrunnable"]
    assert len(inside) > 100
    assert sum(r.verdict == "explained" for r in inside) >= 0.95 * len(inside)
