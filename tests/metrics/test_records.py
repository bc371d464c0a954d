"""A stranger's line in results.jsonl is told, and neither believed nor a traceback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxdtd.errors import InputError
from onnxdtd.metrics.journal import Journal, checked
from onnxdtd.metrics.runner import evaluate
from tests.support.metric_cases import linear

GOOD = {
    "method": "dtd", "input": 1, "relevance": "finite", "scores": {"deletion.auc": 0.5, "sparseness.gini": "nan"},
    "curves": {"deletion.curve": [1.0, 0]},
}  # fmt: skip
METRICS = ["deletion", "sparseness", "stability"]
WRONG: dict[str, Any] = {
    "a list": [], "no method": {"method": None}, "a method of lists": {"method": ["dtd"]},
    "an input too many": {"input": 2}, "an input below": {"input": -1}, "a truth": {"input": True},
    "a list of inputs": {"input": [0]}, "half an input": {"input": 0.5}, "another state": {"relevance": "fine"},
    "no scores": {"scores": None}, "scores of nothing": {"scores": {}}, "too few": {"scores": {"deletion.auc": 1}},
    "another metric's": {"scores": {**GOOD["scores"], "evil.auc": 1}}, "a word": {"scores": {"deletion.auc": "1"}},
    "a large score": {"scores": {**GOOD["scores"], "deletion.auc": 10**400}},
    "a truth of a score": {"scores": {**GOOD["scores"], "deletion.auc": True}},
    "a curve of letters": {"curves": {"deletion.curve": "0.1"}}, "no curves": {"curves": []},
    "an empty curve": {"curves": {"deletion.curve": []}}, "a deep curve": {"curves": {"deletion.curve": [[1.0]]}},
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_record_that_is_none(case: str) -> None:
    with pytest.raises(ValueError, match=r"no |too large|scores of"):
        checked({**GOOD, **WRONG[case]} if isinstance(WRONG[case], dict) else WRONG[case], 2, METRICS)


def test_a_record_that_is_one() -> None:
    """Stability is left out where a method cannot be asked again, and all is where relevance is not finite."""
    record = checked(GOOD, 2, METRICS)
    assert record["scores"]["deletion.auc"] == 0.5
    assert np.isnan(record["scores"]["sparseness.gini"])
    assert (
        checked({**GOOD, "relevance": "not finite", "scores": {}, "curves": {}}, 2, METRICS)["scores"] == {}
    )


X = np.array([[1, 2, 3], [0, 1, 0]], np.float32)
OPTIONS: dict[str, Any] = {"methods": "gradient", "metrics": "sparseness"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    evaluate(linear(np.ones((3, 2), np.float32)), X, **OPTIONS, out=tmp_path / "ev")
    return tmp_path / "ev"


@pytest.mark.parametrize("line", [b"\xff\xfe", b"[" * 100_000, b"\0", b"[]", b"{}", b'{"input": 1e999}'])
def test_a_damaged_line_is_named(folder: Path, line: bytes) -> None:
    content = (folder / "results.jsonl").read_bytes()
    (folder / "results.jsonl").write_bytes(content + line + b"\n")
    with pytest.raises(InputError, match=r"results.jsonl', line 3 is damaged"):
        evaluate(linear(np.ones((3, 2), np.float32)), X, **OPTIONS, out=folder)
    assert (folder / "results.jsonl").read_bytes() == content + line + b"\n"


@pytest.mark.parametrize("text", ["[]", "[" * 100_000, "{", "\udcff"])
def test_a_damaged_manifest_is_named(folder: Path, text: str) -> None:
    (folder / "evaluation.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(Exception, match=r"evaluation.json|not written by onnxdtd") as error:
        evaluate(linear(np.ones((3, 2), np.float32)), X, **OPTIONS, out=folder)
    assert "\n" not in str(error.value)


def test_a_line_that_stands_twice_counts_once(folder: Path) -> None:
    content = (folder / "results.jsonl").read_bytes()
    (folder / "results.jsonl").write_bytes(content * 2)
    settled = json.loads((folder / "evaluation.json").read_text())
    journal = Journal(folder, {name: settled[name] for name in ("metrics", "data")})
    assert len(list(journal)) == 2
    journal.close()
