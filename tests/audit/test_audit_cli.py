"""`onnxdtd audit` as a person and a script use it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from onnxdtd.audit import AUDITS
from onnxdtd.cli.audit_job import engine_for
from onnxdtd.explanation import Explanation
from tests.support.command_line import DIGIT, DIGIT_MODEL, PHOTO, PHOTO_MODEL, Cli

RANGE = ("--input-range", 0, 1)
QUICK = [entry.name for entry in AUDITS.values() if entry.cost == "quick"]


def test_quick_runs_the_quick_audits_and_tells_everything(cli: Cli, tmp_path: Path) -> None:
    code, out, err = cli("audit", DIGIT_MODEL, DIGIT, *RANGE, "--quick", "--method", "dtd")
    assert (code, err) == (0, "")
    table, sentences, facts, last = out.strip().split("\n\n")
    assert sorted(row.split()[0] for row in table.splitlines()[1:]) == sorted(QUICK)
    assert next(row for row in table.splitlines() if row.endswith("fired")).startswith("class_similarity")
    assert sentences.count("\n") >= len(QUICK)
    assert "written  onnxdtd-audit: audit.json" in facts
    assert last.startswith("This heatmap is 0.99 similar for class 6 '6', a far one: it shows what the lower")
    assert (tmp_path / "onnxdtd-audit" / "audit.json").is_file()


def test_json_is_the_manifest_and_nothing_else(cli: Cli, tmp_path: Path) -> None:
    code, out, err = cli(
        "audit",
        DIGIT_MODEL,
        DIGIT,
        *RANGE,
        "--only",
        "conservation,rank",
        "--json",
        "-o",
        "here",
        "--method",
        "dtd",
    )
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert document.pop("directory") == str(tmp_path / "here")
    assert document == json.loads((tmp_path / "here" / "audit.json").read_text())
    assert [finding["name"] for finding in document["findings"]] == ["conservation", "rank"]
    assert document["fired"] == ["rank"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--method", "dtd", "--fail-on", "class_similarity"), 5),
        (("--method", "dtd", "--fail-on", "any"), 5),
        (("--method", "dtd", "--fail-on", "positivity", "--fail-on", "conservation"), 0),
        (("--method", "epsilon_plus", "--fail-on", "conservation"), 0),
        (("--method", "excitation_backprop", "--fail-on", "consistency"), 5),
        (("--method", "epsilon_plus", "--fail-on", "class_similarity"), 0),
    ],
)
def test_fail_on(cli: Cli, arguments: tuple[str, ...], code: int) -> None:
    returned, out, err = cli("audit", DIGIT_MODEL, DIGIT, *RANGE, "--quick", *arguments)
    assert returned == code
    assert out.startswith("finding")
    assert ("fired:" in err) == (code == 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--only", "magic"), "no audit magic; the audits are"),
        (
            ("--quick", "--fail-on", "rank"),
            "--fail-on rank: no such finding here; there are class_similarity",
        ),
        (("--method", "magic", "--fail-on", "nothing"), "--fail-on nothing"),
        (("--target", "99"), "out of range"),
        (("--method", "smoothgrad"), "method 'smoothgrad' gives no node a rule"),
    ],
)
def test_refuses(cli: Cli, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    code, out, err = cli("audit", DIGIT_MODEL, DIGIT, *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert not (tmp_path / "onnxdtd-audit").exists()


def test_a_photo_is_prepared_as_for_run(cli: Cli) -> None:
    code, out, err = cli("audit", PHOTO_MODEL, PHOTO, "--only", "class_similarity,conservation")
    assert (code, err) == (0, "")
    assert "tiger cat" in out


def test_run_tells_the_cheapest_findings_unless_told_not_to(cli: Cli, tmp_path: Path) -> None:
    sentence = "This heatmap is 0.99 similar for class 6 '6', a far one: it shows what the lower layers see"
    code, out, err = cli("run", DIGIT_MODEL, DIGIT, *RANGE, "-o", "with", "-m", "dtd")
    assert (code, err) == (0, "")
    assert sentence in " ".join(out.split())
    document = json.loads((tmp_path / "with" / "explanation.json").read_text())
    assert document["sentence"].startswith(sentence)
    names = ["conservation", "class_similarity", "input_blind", "gradient_x_input"]
    assert [(f["name"], f["fired"]) for f in document["findings"]] == list(
        zip(names, [False, True, False, False], strict=True)
    )
    loaded = Explanation.load(tmp_path / "with")
    assert loaded.findings == tuple(document["findings"])
    code, out, err = cli("run", DIGIT_MODEL, DIGIT, *RANGE, "-o", "without", "--no-audit", "-m", "dtd")
    assert (code, err) == (0, "")
    assert "class_similarity" not in out
    document = json.loads((tmp_path / "without" / "explanation.json").read_text())
    assert (document["findings"], document["sentence"]) == ([], "")
    np.testing.assert_array_equal(loaded.relevance["image"], Explanation.load("without").relevance["image"])


def test_run_tells_nothing_where_no_rule_stands_behind(cli: Cli) -> None:
    code, out, err = cli("run", DIGIT_MODEL, DIGIT, "--method", "smoothgrad")
    assert (code, err) == (0, "")
    assert "class_similarity" not in out


def test_the_engine_changes_no_finding(cli: Cli, tmp_path: Path) -> None:
    """By itself it is the one that keeps books, where an audit looks into them."""
    tables = []
    for engine in ("auto", "numpy", "onnx"):
        arguments = ("--only", "class_similarity", "--engine", engine, "--no-cache")
        code, out, _ = cli("audit", DIGIT_MODEL, DIGIT, *RANGE, *arguments)
        assert code == 0
        tables.append(out)
    assert tables[0] == tables[1] == tables[2]
    assert [engine_for("auto", only) for only in (None, ["conservation"], ["rank"])] == [
        "numpy",
        "numpy",
        "auto",
    ]
    assert engine_for("onnx", ["conservation"]) == "onnx"
