"""`--target` on the command line: several at once, names, what is refused, and what no picture can show."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

import onnxdtd
from tests.support.command_line import DIGIT, DIGIT_MODEL, Cli, array, dense


def test_each_of_several_targets_has_a_folder(cli: Cli) -> None:
    code, out, _ = cli(
        "run",
        DIGIT_MODEL,
        DIGIT,
        "-o",
        "out",
        "-t",
        "3",
        "-t",
        "3 - 5",
        "-t",
        "top",
        "-m",
        "attnlrp",
        "--json",
    )
    assert code == 0
    results = json.loads(out)["results"]
    assert [Path(r["directory"]).name for r in results] == ["1-3", "2-3-5", "3-top"]
    assert all((Path(r["directory"]) / "heatmap.png").is_file() for r in results)
    assert [r["question"] for r in results] == ["", "3 - 5", ""]
    code, out, _ = cli("run", DIGIT_MODEL, DIGIT, "-o", "out", "-t", "3", "-t", "5")
    assert code == 0
    assert out.count("prediction") == 2


def test_a_command_that_takes_one_target_drops_none(cli: Cli) -> None:
    x, file = [DIGIT], ["-o", "c.onnx"]
    for command, more in {
        "audit": x, "batch": x, "evaluate": x, "roots": [DIGIT, "--node", "fc1"], "annotate": x + file,
        "inspect": [], "compile": file,
    }.items():  # fmt: skip
        code, _, err = cli(command, DIGIT_MODEL, *more, "-t", "3", "-t", "5")
        assert (code, "--target is given 2 times" in err) == (2, True)


def test_all_faults_of_targets_are_told(cli: Cli, tmp_path: Path) -> None:
    model = dense(tmp_path / "m.onnx", labels=["tabby", "tiger", "tiger"])
    x = array(tmp_path / "x.npy", [[1, 2]])
    code, _, err = cli("run", model, x, "-t", "Tabby", "-t", "tiger", "-t", "mask:none.npy", "-o", "out")
    assert code == 2
    assert [word for word in ("did you mean 'tabby'", "classes 1, 2", "none.npy") if word not in err] == []
    assert not Path("out").exists()


def test_nothing_to_explain_is_no_picture_and_no_error(cli: Cli, tmp_path: Path) -> None:
    model = dense(tmp_path / "m.onnx")
    x = array(tmp_path / "x.npy", [[1, 2]])  # y = (4, 2, -3)
    code, _, _ = cli("run", model, x, "-t", "2", "-m", "dtd", "-o", "out", "--input-range", "0", "2")
    assert code == 0
    assert not Path("out/heatmap.png").exists()
    e = onnxdtd.Explanation.load("out")
    assert not e.relevance["x"].any()
    assert len([w for w in e.warnings if "dtd_head" in w]) == 1
    code, _, _ = cli("run", model, x, "-t", "2", "-m", "attnlrp", "-o", "signed")
    signed = onnxdtd.Explanation.load("signed")
    np.testing.assert_allclose(signed.relevance["x"], [[-1, -2]], rtol=1e-5)
    assert any("evidence against" in w for w in signed.warnings)
