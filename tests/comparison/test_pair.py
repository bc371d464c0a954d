"""Two models on one input: the same element, by the same method, side by side."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser
from PIL import Image

from onnxdtd import Explainer, compare_models
from onnxdtd.errors import UsageError
from tests.support.command_line import command_line
from tests.support.integer_models import f32

TEXT = """<ir_version: 8, opset_import: ["" : 17]> g (float[N,2] {x}) => (float[N,2] y) {{ y = MatMul({x}, w) }}"""
X = f32([[1.0, 2.0], [3.0, 1.0]])


def linear(w: list[list[float]], name: str = "x") -> onnx.ModelProto:
    model = parser.parse_model(TEXT.format(x=name))
    model.graph.initializer.append(numpy_helper.from_array(f32(w), "w"))
    return model


def test_both_explain_the_element_of_the_first() -> None:
    """x = 1, 2: y = 3, 1 and 1, 6; of element 0 the maps are 1, 2 and 3, -2."""
    first, other = (Explainer(linear(w), "attnlrp") for w in ([[1, 1], [1, 0]], [[3, 0], [-1, 3]]))
    pair = compare_models(first, other, X)
    a, b = pair.explanations[0]
    np.testing.assert_allclose(a.relevance["x"], [[1, 2]], atol=1e-5)
    np.testing.assert_allclose(b.relevance["x"], [[3, -2]], atol=1e-4)
    assert pair.similarity[0]["cosine"] == pytest.approx(-1 / np.sqrt(5 * 13), abs=1e-4)
    assert pair.distance == (5.0,)
    (told,) = pair.document()["targets"]
    assert told["values"] == pytest.approx([3, 1])
    assert not told["same_class"]
    assert [row[0]["index"] for row in told["top"]] == [[0], [1]]
    second = compare_models(first, other, X, sample=1).explanations[0]
    np.testing.assert_allclose(second[1].relevance["x"], [[9, -1]], atol=1e-4)


def test_inputs_go_by_name_or_there_is_one() -> None:
    first, other = (
        Explainer(linear([[1, 0], [0, 1]]), "gradient"),
        Explainer(linear([[2, 0], [0, 1]], "image")),
    )
    pair = compare_models(first, other, X[:1], targets=[1, 0])
    assert [e.method for e in pair.explanations[0]] == ["gradient", "gradient"]
    np.testing.assert_allclose(pair.explanations[1][1].relevance["image"], [[2, 0]])
    assert set(pair.arrays()) == {"0/0/x", "0/1/image", "1/0/x", "1/1/image"}
    two = parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[N,2] a, float[N,2] b) => (float[N,2] y) { y = Add(a, b) }'
    )
    with pytest.raises(UsageError, match="other inputs, x and a, b"):
        compare_models(first, Explainer(two), X)


def test_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = command_line(capsys, tmp_path, monkeypatch)
    for name, w in (("one", [[1, 1], [1, 0]]), ("other", [[3, 0], [-1, 3]])):
        onnx.save(linear(w), tmp_path / f"{name}.onnx")
    np.save(tmp_path / "x.npy", X[:1])
    words = ["compare", tmp_path / "one.onnx", tmp_path / "x.npy", "--with", tmp_path / "other.onnx"]
    words += ["--methods", "attnlrp", "-o", tmp_path / "out"]
    code, out, _ = run(*words)
    assert code == 0
    assert "do not agree" in out
    assert "cosine -0.124" in out
    code, out, _ = run(*words, "--json")
    document = json.loads(out)
    assert document["files"] == ["inputs.npz", "pair.json", "pair.png", "relevance.npz"]
    assert [model["name"] for model in document["models"]] == ["one", "other"]
    assert document["targets"][0]["similarity"]["cosine"] == pytest.approx(-0.124, abs=1e-3)
    with Image.open(tmp_path / "out" / "pair.png") as picture:
        assert picture.width > 300
    code, _, err = run(*words[:6], "dtd,gradient", *words[7:])
    assert code == 2
    assert "one method" in err
