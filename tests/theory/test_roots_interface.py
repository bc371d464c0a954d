"""`onnxdtd.roots` and `onnxdtd roots` as they are used: choosing neurons, refusals, what is printed."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pytest

import onnxdtd
from onnxdtd.cli import main
from onnxdtd.errors import InputError, UsageError
from onnxdtd.theory import line as line_module
from onnxdtd.theory import regions as regions_module
from onnxdtd.theory import roots as module
from tests.support.model_text import model
from tests.support.paths import MODELS

DIGIT = np.load(MODELS / "mnist_digit.npy")


def test_drawing_neurons() -> None:
    explainer = onnxdtd.Explainer(MODELS / "mnist_cnn.onnx", "dtd")
    every = onnxdtd.roots(explainer, DIGIT, "/6/Conv", scope=None)
    drawn, again, other = (
        onnxdtd.roots(explainer, DIGIT, "/6/Conv", neurons=15, seed=seed, scope=None) for seed in (3, 3, 4)
    )
    assert every.active == every.asked > 100
    assert len({root.neuron for root in drawn}) == 15
    assert {root.neuron for root in drawn} <= {root.neuron for root in every}
    assert [root.neuron for root in drawn] == [root.neuron for root in again]
    assert [root.neuron for root in drawn] != [root.neuron for root in other]
    assert onnxdtd.roots(explainer, DIGIT, "/11/Gemm", neurons=15).asked == 1
    batch = np.concatenate([DIGIT[:, :, ::-1], DIGIT])
    second = onnxdtd.roots(explainer, batch, "/6/Conv", neurons=15, seed=3, sample=1, scope=None)
    np.testing.assert_array_equal([r.z for r in second], [r.z for r in drawn])


def test_neurons_by_index_need_no_relevance() -> None:
    text = "(double[N, 3] x) => (double[N, 3] z) { z = Gemm(x, W) }"
    explainer = onnxdtd.Explainer(model(text, W=np.eye(3)), "epsilon_plus")
    x = np.array([[1.0, -2.0, 3.0]])
    found = onnxdtd.roots(explainer, x, "Gemm_0", neurons=[0, 1], target=0)
    np.testing.assert_allclose([r.relevance for r in found], [1, 0], rtol=1e-6)
    assert [r.neuron for r in found] == [(0,), (1,)]


def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    explainer = onnxdtd.Explainer(MODELS / "mnist_cnn.onnx", "dtd")
    one = onnxdtd.roots(explainer, DIGIT, "/3/Conv", neurons=30)
    for place in (module, line_module, regions_module):
        monkeypatch.setattr(place, "BATCH_BYTES", 200_000)
    other = onnxdtd.roots(explainer, DIGIT, "/3/Conv", neurons=30)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a.point[0], b.point[0], rtol=1e-12, atol=1e-15)
        assert str(a.region) == str(b.region)


@pytest.mark.parametrize(
    ("node", "options", "message"),
    [
        ("nothing", {}, "no node 'nothing'.*choose one of /0/Conv, /3/Conv"),
        (
            "/1/Relu",
            {},
            "'/1/Relu' Relu has rule pass, which shares nothing and has no root; choose one of /0/Conv",
        ),
        ("/9/Gemm", {"neurons": [64]}, r"no neuron 64: the node's output has shape \(64,\)"),
        ("/9/Gemm", {"neurons": [(1, 2)]}, "no neuron"),
        ("/9/Gemm", {"neurons": 0}, "neurons is a number of 1 or more"),
        ("/9/Gemm", {"sample": 1}, "has no sample 1"),
    ],
)
def test_refusals(node: str, options: dict[str, Any], message: str) -> None:
    explainer = onnxdtd.Explainer(MODELS / "mnist_cnn.onnx", "dtd")
    with pytest.raises(UsageError, match=message):
        onnxdtd.roots(explainer, DIGIT, node, **options)


def test_refuses_what_does_not_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST", 50_000)
    explainer = onnxdtd.Explainer(MODELS / "mnist_cnn.onnx", "dtd")
    with pytest.raises(UsageError, match=r"need 0.0 GiB; draw some of them with neurons=\d+"):
        onnxdtd.roots(explainer, DIGIT, "/6/Conv", scope=None)
    with pytest.raises(InputError):
        onnxdtd.roots(explainer, DIGIT[0], "/6/Conv")


def test_result_prints_pickles_and_writes_json() -> None:
    explainer = onnxdtd.Explainer(MODELS / "mnist_cnn.onnx", "dtd")
    found = onnxdtd.roots(explainer, DIGIT, "/9/Gemm", neurons=[0, 4, 10])
    assert str(pickle.loads(pickle.dumps(found))) == str(found)
    lines = str(found).splitlines()
    assert lines[0].startswith("/9/Gemm (Gemm), signed_zplus: 3 roots of 18 active neurons")
    assert all("in domain  leaves at t=" in line for line in lines[1:])
    told = json.loads(json.dumps(found.document(), allow_nan=False))
    assert [root["neuron"] for root in told["roots"]] == [[0], [4], [10]]
    assert {root["region"]["status"] for root in told["roots"]} == {"leaves"}
    assert told["in_region"] == 0


def test_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["roots", str(MODELS / "mnist_cnn.onnx"), str(MODELS / "mnist_digit.npy")]
    assert main([*given, "--node", "/9/Gemm", "--neurons", "5", "--target", "3", "-m", "dtd"]) == 0
    text, errors = capsys.readouterr()
    lines = text.splitlines()
    assert lines[0].split() == ["NEURON", "Z", "T", "RESIDUAL", "DISTANCE", "DOMAIN", "REGION"]
    assert [line.split()[5:7] for line in lines[1:6]].count(["inside", "leaves"]) >= 3
    assert "5 looked at, of 18 with relevance" in text
    assert errors == ""
    assert (
        main([*given, "--node", "/9/Gemm", "--neurons", "5", "--json", "--scope", "layer", "-m", "dtd"]) == 0
    )
    told = json.loads(capsys.readouterr().out)
    assert (told["node"], told["asked"], told["in_domain"]) == ("/9/Gemm", 5, 1.0)
    assert {root["region"]["node"] for root in told["roots"] if root["region"]["status"] == "leaves"} == {
        "/10/Relu"
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--node", "/9/Gem"], "onnxdtd: no node '/9/Gem' on the way to 'logits'; choose one of /0/Conv"),
        (["--node", "/9/Gemm", "--scope", "all"], "onnxdtd: no scope 'all'; choose among network, layer"),
        (["--node", "/9/Gemm", "--neurons", "0"], "onnxdtd: neurons is a number of 1 or more"),
        (
            ["--node", "/9/Gemm", "--method", "gradient"],
            "rule gradient, which shares nothing and has no root",
        ),
        ([], "onnxdtd: Missing option '--node'"),
    ],
)
def test_command_line_refuses(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["roots", str(MODELS / "mnist_cnn.onnx"), str(MODELS / "mnist_digit.npy")]
    assert main([*given, *options]) == 2
    text, errors = capsys.readouterr()
    assert text == ""
    assert message in errors
    assert len(errors.splitlines()) == 1
