"""A sample of onnx's own tests, explained; `python tools/conformance --all` takes the whole."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

TOOL = Path(__file__).parents[2] / "tools" / "conformance"
EVERY = 8


@pytest.fixture(scope="module")
def results() -> list:
    sys.path.insert(0, str(TOOL))
    try:
        import cases
        import examine
    finally:
        sys.path.remove(str(TOOL))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return [examine.examine(case) for case in list(cases.cases())[::EVERY]]


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
