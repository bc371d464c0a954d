"""The rows of a job, and whether two jobs have the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import onnxdtd


def read(folder: Path | str) -> list[dict[str, Any]]:
    return list(onnxdtd.Results(folder))


def same(ours: list[dict[str, Any]], others: list[dict[str, Any]]) -> None:
    assert [row["id"] for row in ours] == [row["id"] for row in others]
    for one, other in zip(ours, others, strict=True):
        assert {**one, "relevance": 0} == {**other, "relevance": 0}
        np.testing.assert_array_equal(one["relevance"]["x"], other["relevance"]["x"])
