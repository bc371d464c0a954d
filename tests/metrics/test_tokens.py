"""Scores of tokens by hand: words with a weight each, of which padding does not count."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from onnxdtd.cli import main
from onnxdtd.errors import UsageError
from onnxdtd.metrics import evaluate
from tests.support.metric_cases import text_scores
from tests.support.paths import GOLDENS


def p(z: float) -> float:
    return float(1 / (1 + np.exp(-z)))


def test_deletion_and_insertion_take_the_tokens_that_count() -> None:
    """Deleted, the most relevant first: 4, 1, -1, 0. Inserted: 0, 3, 5, 4."""
    deleted = (p(4) / 2 + p(1) + p(-1) + p(0) / 2) / 3
    inserted = (p(0) / 2 + p(3) + p(5) + p(4) / 2) / 3
    assert text_scores("deletion") == pytest.approx({"deletion.area": deleted}, rel=1e-5)
    assert text_scores("insertion") == pytest.approx({"insertion.area": inserted}, rel=1e-5)


def test_another_token_stands_in() -> None:
    """Token 3 is worth -1: 4, 0, -3, -3 deleted."""
    deleted = (p(4) / 2 + p(0) + p(-3) + p(-3) / 2) / 3
    assert text_scores("deletion", constant=3) == pytest.approx({"deletion.area": deleted}, rel=1e-5)
    with pytest.raises(UsageError, match="the number of a token here"):
        text_scores("deletion", constant=0.5)


def test_a_transformer_by_all_metrics_that_tokens_have() -> None:
    golden = dict(np.load(GOLDENS / "transformer" / "relevance.npz"))
    data = {"ids": golden["ids"], "mask": golden["mask"]}
    methods = ["attnlrp", "cp_lrp", "occlusion", "random"]
    result = evaluate(GOLDENS / "transformer" / "script.onnx", data, methods, resamples=100)
    assert set(result.left_out) == {"region_perturbation", "road", "irof", "stability"}
    assert result.methods == tuple(methods)
    assert {"comprehensiveness.mean", "sufficiency.mean", "deletion.area"} <= set(result.scores)
    assert not [name for name in result.scores if ".blur." in name or ".mean." in name]
    own = [name for name in result.headlines if not name.startswith("class_sensitivity")]
    assert all(np.isfinite(result.summary("cp_lrp", name).mean) for name in own)


def test_a_word_says_which_token_stands_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """[UNK] is token 3, as a vocabulary says: what --constant 3 gives."""
    golden = dict(np.load(GOLDENS / "transformer" / "relevance.npz"))
    np.savez(tmp_path / "x.npz", ids=golden["ids"], mask=golden["mask"])
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[CLS]", "[SEP]", "[UNK]", *"abcdefgh"]))
    model, data = GOLDENS / "transformer" / "script.onnx", tmp_path / "x.npz"
    words = ["evaluate", str(model), str(data), "-m", "attnlrp", "--metrics", "deletion", "--json", "-o"]
    made = []
    for constant in ("3", "unk"):
        more = ["--constant", constant, "--tokens", str(tmp_path / "vocab.txt")]
        assert main([*words, str(tmp_path / constant), *more]) == 0
        made.append(json.loads(capsys.readouterr().out)["scores"])
    assert made[0] == made[1]
    assert main([*words, str(tmp_path / "none"), "--constant", "unk"]) == 2
    assert "which token 'unk' is, a tokenizer or a vocabulary says" in capsys.readouterr().err
