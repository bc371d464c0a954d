"""`onnxdtd evaluate` as a person and a script use it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

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
        "pixel_flipping.mean", "region_perturbation.mean", "road", "sufficiency", "infidelity.mean", "sparseness",
    ]  # fmt: skip
    assert "inputs   4" in facts
    assert "written  onnxdtd-evaluation: curves.png, evaluation.json, results.jsonl" in facts
    assert sorted(p.name for p in (tmp_path / "onnxdtd-evaluation").iterdir()) == [
        "curves.png", "evaluation.json", "results.jsonl",
    ]  # fmt: skip
    assert cli("evaluate", *arguments) == (0, out, "")


def test_masks_are_pictures_with_the_names_of_the_data(cli: Cli, tmp_path: Path) -> None:
    """The left half of each digit, as a picture and as an array: one share of the relevance."""
    digits = (np.load("digits.npz")["image"][:, 0] * 255).astype(np.uint8)
    half = np.zeros((4, 28, 28), np.uint8)
    half[:, :, :14] = 255
    for folder, pictures in (("photos/a", digits), ("masks/a", half)):
        (tmp_path / folder).mkdir(parents=True)
        for i, picture in enumerate(pictures):
            Image.fromarray(picture).save(tmp_path / folder / f"{i}.png")
    np.savez("masks.npz", masks=half)
    by_way = []
    for data, masks, *more in (("photos", "masks", "--preset", "unit"), ("digits.npz", "masks.npz")):
        words = ("-m", "gradient_x_input", "--metrics", "localisation", "--masks", masks, "-o", f"to {masks}")
        code, out, err = cli("evaluate", DIGIT_MODEL, data, *words, *more, "--json")
        assert (code, err) == (0, "")
        by_way.append(json.loads(out)["scores"]["gradient_x_input"])
    assert by_way[0]["localisation.mass"]["mean"] == pytest.approx(by_way[1]["localisation.mass"]["mean"])
    code, _, err = cli(
        "evaluate", DIGIT_MODEL, "digits.npz", "--metrics", "localisation", "--masks", "photos"
    )
    assert (code, "give masks as an .npy" in err) == (2, True)


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
