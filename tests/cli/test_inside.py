"""`--keep`, `--only` and `--strict-rules` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import onnxdtd
from tests.support.command_line import DIGIT, DIGIT_MODEL, Cli


def test_keep_and_only(cli: Cli) -> None:
    """The node of a value stands for it; channels of one value add up over the options."""
    explainer = onnxdtd.Explainer(DIGIT_MODEL, "epsilon_plus")
    node = explainer.plan().steps[0].node
    run = ["run", DIGIT_MODEL, DIGIT, "-t", "3", "-m", "epsilon_plus", "--json", "-o"]
    more = [
        "--keep",
        node.name,
        "--keep",
        "image",
        "--only",
        f"{node.name}=0, 2",
        "--only",
        f"{node.output}=1",
    ]
    code, out, err = cli(*run, "out", *more)
    assert code == 0, err
    document = json.loads(out)
    assert document["only"] == {node.output: {"1": [0, 1, 2]}}
    assert "kept.npz" in document["files"]
    assert document["findings"] == []
    assert document["conservation"]["causes"]["masked"]
    x = np.load(DIGIT)
    expected = explainer(x, 3, keep=[node.name, "image"], only={node.name: [0, 1, 2]})
    saved = onnxdtd.Explanation.load("out")
    np.testing.assert_allclose(saved.kept[node.output], expected.kept[node.output], rtol=1e-6)
    np.testing.assert_allclose(saved.relevance["image"], expected.relevance["image"], rtol=1e-6)
    code, out, _ = cli(*run[:-2], "-o", "again", *more)
    assert code == 0
    assert "channels left out" in out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--keep", "nothing*"], "no value and no node is named 'nothing*'"),
        (["--only", "image=1"], "'image' is an input of the model"),
        (["--only", "conv5"], "--only conv5: give a value and channels"),
        (["--only", "conv5=a"], "--only conv5=a: give a value and channels"),
        (["--only", "conv5=1@x"], "--only conv5=1@x: give a value and channels"),
        (["--only", "conv5=1"], "no value and no node is named 'conv5'"),
    ],
)
def test_what_cannot_be_is_refused(cli: Cli, options: list[str], words: str) -> None:
    code, _, err = cli("run", DIGIT_MODEL, DIGIT, *options)
    assert (code, words in err) == (2, True)
    assert not Path("onnxdtd-out").exists()


def test_rules_that_match_nothing(cli: Cli, tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rule]]\nop = "Cnov"\nuse = "flat"\n', "utf-8")
    run = ["run", DIGIT_MODEL, DIGIT, "--rules", rules, "--no-audit", "--json"]
    code, out, _ = cli(*run)
    assert code == 0
    assert any("the rule for op = 'Cnov' matches no node" in w for w in json.loads(out)["warnings"])
    code, _, err = cli(*run, "--strict-rules")
    assert (code, "the rule for op = 'Cnov' matches no node" in err) == (2, True)
