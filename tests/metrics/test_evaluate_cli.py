"""`onnxdtd evaluate` as a person and a script use it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxdtd.metrics.journal import Journal
from tests.support.command_line import DIGIT_MODEL, PHOTO, PHOTO_MODEL, Cli, command_line
from tests.support.metric_cases import TABLE, WEIGHTS, linear
from tests.support.paths import MODELS

FAST = ("--steps", 5, "--draws", 2)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    held_out = np.load(MODELS / "mnist_heldout.npz")
    np.savez(tmp_path / "digits.npz", image=(held_out["images"][:4, None] / 255).astype(np.float32),
             labels=held_out["labels"][:4])  # fmt: skip
    np.save(tmp_path / "table.npy", TABLE)
    onnx.save(linear(WEIGHTS), tmp_path / "linear.onnx")
    return command_line(capsys, tmp_path, monkeypatch)


def test_tables_and_files(cli: Cli, tmp_path: Path) -> None:
    arguments = (DIGIT_MODEL, "digits.npz", "--methods", "dtd,random", "--target", "label", *FAST)
    code, out, err = cli("evaluate", *arguments)
    assert (code, err) == (0, "")
    *tables, facts = out.strip().split("\n\n")
    assert [t.split()[1] for t in tables] == [
        "pixel_flipping.mean", "region_perturbation.mean", "deletion", "stability",
    ]  # fmt: skip
    assert "inputs   4" in facts
    assert "written  onnxdtd-evaluation: curves.png, evaluation.json, results.jsonl" in facts
    assert sorted(p.name for p in (tmp_path / "onnxdtd-evaluation").iterdir()) == [
        "curves.png", "evaluation.json", "results.jsonl",
    ]  # fmt: skip
    assert cli("evaluate", *arguments) == (0, out, "")


def test_json_is_the_manifest_and_nothing_else(cli: Cli, tmp_path: Path) -> None:
    code, out, err = cli(
        "evaluate", "linear.onnx", "table.npy", "-m", "gradient_x_input", "--metrics", "sparseness,deletion",
        "--target", 0, "--json", "-o", "here",
    )  # fmt: skip
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert document.pop("directory") == str(tmp_path / "here")
    written = json.loads((tmp_path / "here" / "evaluation.json").read_text())
    assert document == {k: v for k, v in written.items() if k != "files"}
    assert document["metrics"] == ["deletion", "sparseness"]


def test_interrupted(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ("evaluate", "linear.onnx", "table.npy", "-m", "gradient,random", "--metrics", "sparseness")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", stop)
        code, out, err = cli(*arguments)
    assert (code, out) == (130, "")
    assert "the same command goes on from there" in err
    assert cli(*arguments)[0] == 0


def test_photos_are_prepared_as_for_run(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / PHOTO.name).write_bytes(PHOTO.read_bytes())
    arguments = ("-m", "gradient", "--metrics", "deletion", "--steps", 2)
    code, out, err = cli("evaluate", PHOTO_MODEL, "photos", *arguments)
    assert (code, err) == (0, "")
    assert "one input: a mean over one has no interval" in out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("linear.onnx", "table.npy", "--methods", "magic"), 2, "no method 'magic'"),
        (("linear.onnx", "table.npy", "--metrics", "magic"), 2, "no metric magic"),
        (
            ("linear.onnx", "table.npy", "--scale", "2"),
            2,
            "'table.npy' is not an image, nor pixels of uint8, which --scale would prepare",
        ),
        (("linear.onnx", "nothing.npz"), 2, "'nothing.npz' is not there"),
        (("table.npy", "table.npy"), 3, "table.npy"),
        (("linear.onnx", "table.npy", "--fills", "red"), 2, "fills are some of mean, blur, constant"),
    ],
)
def test_refuses(cli: Cli, tmp_path: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    returned, out, err = cli("evaluate", *arguments)
    assert (returned, out) == (code, "")
    assert message in err
    assert "Traceback" not in err
    assert not (tmp_path / "onnxdtd-evaluation" / "results.jsonl").exists() or "magic" in message
