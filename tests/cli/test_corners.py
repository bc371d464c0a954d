"""Models at the edge of what ONNX allows: outputs that are constants or inputs, without axes or elements, and faults
that only a run shows. Each command answers, or says in a line what is wrong, with the exit code of its kind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from onnxdtd.cli import main
from tests.support.model_text import model

W = np.array([[1, -2], [3, 0.5], [-1, 1]], np.float32)
NONE = np.zeros((3, 0), np.float32)
ROW = (1, 3)
MODELS: dict[str, tuple[str, dict[str, Any], Any]] = {
    "a constant as an output": ("(float[N,3] x) => (float[N,2] y, float[3,2] w) { y = MatMul(x, w) }", {"w": W}, ROW),
    "a constant alone": ("(float[N,3] x) => (float[3,2] w) { y = MatMul(x, w) }", {"w": W}, ROW),
    "an input alone": ("(float[N,3] x) => (float[N,3] x) { y = MatMul(x, w) }", {"w": W}, ROW),
    "a number": ("(float x) => (float y) { h = Mul(x, c) y = Relu(h) }", {"c": np.float32(3)}, ()),
    "one number for all": (
        "(float[N,3] x) => (float y) { h = MatMul(x, w) y = ReduceSum<keepdims = 0>(h) }", {"w": W}, ROW
    ),
    "no output": ("(float[N,3] x) => (float[N,0] y) { y = MatMul(x, w) }", {"w": NONE}, ROW),
    "nothing inside": ("(float[N,3] x) => (float[N,2] y) { h = MatMul(x, w) y = MatMul(h, v) }",
                       {"w": NONE, "v": NONE.T[:, :2]}, ROW),
    "no input": ("(float[N,0] x) => (float[N,2] y) { y = MatMul(x, w) }", {"w": NONE.T[:, :2]}, (1, 0)),
    "an empty axis": ("(float[N,0,3] x) => (float[N,0,2] y) { y = MatMul(x, w) }", {"w": W}, (1, 0, 3)),
    "a wrong index": ("(float[N,3] x) => (float[N,1] y) { y = Gather<axis = 1>(x, i) }", {"i": np.array([7])}, ROW),
    "no group": ("(float[N,3,4,4] x) => (float[N,2,3,3] y) { y = Conv<group = 0>(x, w) }",
                 {"w": np.ones((2, 3, 2, 2), np.float32)}, (1, 3, 4, 4)),
    "a class": ("(float[N,3] x) => (int64[N] y) { h = MatMul(x, w) y = ArgMax<axis = 1, keepdims = 0>(h) }", {"w": W},
                ROW),
}  # fmt: skip
INPUT, ENGINE = ["m.onnx", "x.npy"], ["--engine", "onnx"]
COMMANDS = {
    "run": ["run", *INPUT, "--no-audit"], "compiled": ["run", *INPUT, *ENGINE, "--no-audit"],
    "audit": ["audit", *INPUT],
    "compare": ["compare", *INPUT, "-m", "gradient"], "evaluate": ["evaluate", *INPUT, "-m", "gradient"],
    "compile": ["compile", "m.onnx", "-o", "e.onnx"], "batch": ["batch", *INPUT], "report": ["report", *INPUT],
    "roots": ["roots", *INPUT, "--node", "MatMul_0"], "check": ["check", "m.onnx"],
}  # fmt: skip
EXPECTED = {
    "a constant as an output": {"run": 0, "compare": 0, "evaluate": 0},
    "a constant alone": {"run": 2, "compiled": 2, "evaluate": 2, "check": 4},
    "an input alone": {"run": 0, "batch": 0, "report": 0},
    "a number": {"run": 0, "compiled": 0, "compare": 2, "evaluate": 2},
    "one number for all": {"compiled": 0, "evaluate": 2},
    "no output": {"run": 2, "compiled": 2, "compile": 2, "evaluate": 2, "roots": 2, "batch": 6},
    "nothing inside": {"run": 0, "audit": 0, "roots": 0},
    "no input": {"run": 0, "audit": 0, "compare": 2, "evaluate": 2},
    "an empty axis": {"compiled": 2, "compile": 2, "evaluate": 2},
    "a wrong index": {"run": 3, "compiled": 3, "audit": 3, "compile": 3, "report": 3, "check": 0},
    "no group": {"run": 3, "compiled": 3, "compare": 3},
    "a class": {"run": 4, "evaluate": 2, "compile": 4},
}


@pytest.mark.parametrize(
    ("name", "command", "code"), [(n, c, code) for n, codes in EXPECTED.items() for c, code in codes.items()]
)
def test_a_corner(
    name: str, command: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ONNXDTD_CACHE", os.fspath(tmp_path / "cache"))
    text, arrays, shape = MODELS[name]
    onnx.save(model(text, **arrays), "m.onnx")
    np.save("x.npy", np.linspace(0.5, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape))
    if command == "batch":
        pytest.importorskip("pyarrow", reason="shards are Parquet")
    assert main(COMMANDS[command]) == code, capsys.readouterr().err
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert code == 0 or all(line.startswith("onnxdtd: ") for line in told.splitlines())
