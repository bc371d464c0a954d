"""The command line as a test calls it: in process, in an empty folder, on a screen of 80 columns."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from onnxdtd.cli import main
from tests.support.model_text import model
from tests.support.paths import MODELS

DIGIT_MODEL, DIGIT = MODELS / "mnist_cnn.onnx", MODELS / "mnist_digit.npy"
PHOTO_MODEL, PHOTO = MODELS / "efficientnet_lite0.onnx", MODELS / "chelsea.png"

Told = tuple[int, str, str]
Cli = Callable[..., Told]


def command_line(capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """`cli(*arguments)` returns exit code, stdout and stderr."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "80")

    def call(*arguments: Any) -> Told:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return call


# Methods that a dense network on floats without a range has no use for.
REFUSED = {"epsilon_gamma_box", "grad_cam", "grad_cam_plus_plus", "saabas", "tree_shap"}


def dense(path: Path, *, labels: list[str] | None = None, scale: float = 1.0) -> Path:
    """y = x w + b with x (N, 2) and three outputs: x = (1, 2) gives (4, 2, -3), of which the biases are (1, 0, 0)."""
    w = scale * np.array([[1, 0, -1], [1, 1, -1]], np.float32)
    b = scale * np.array([1, 0, 0], np.float32)
    proto = model("(float[N, 2] x) => (float[N, 3] y) { [dense] y = Gemm(x, w, b) }", w=w, b=b)
    if labels is not None:
        onnx.helper.set_model_props(proto, {"onnxdtd.labels": json.dumps(labels)})
    onnx.save(proto, path)
    return path


def array(path: Path, values: Any) -> Path:
    """The values as float32 .npy."""
    np.save(path, np.asarray(values, np.float32))
    return path


def lines(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file, by column."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
