"""The shipped models are what models/README.md and models/manifest.json say."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper
from PIL import Image

from tests.support.paths import MODELS

MANIFEST = json.loads((MODELS / "manifest.json").read_text(encoding="utf-8"))
FILES = {entry["file"]: entry for entry in MANIFEST["models"] + MANIFEST["others"]}
NAMES = [entry["file"] for entry in MANIFEST["models"]]
MNIST = [name for name in NAMES if name.startswith("mnist")]
CATS = {281, 282, 283, 284, 285}


def metadata(name: str) -> dict[str, Any]:
    return {p.key: json.loads(p.value) for p in onnx.load(MODELS / name).metadata_props}


def run(name: str, x: np.ndarray) -> np.ndarray:
    """The last output: logits or probabilities."""
    session = ort.InferenceSession(str(MODELS / name), providers=["CPUExecutionProvider"])
    (single,) = session.get_inputs()
    return np.asarray(session.run(None, {single.name: x})[-1])


def photo(path: Path, recipe: dict[str, Any]) -> np.ndarray:
    image = Image.open(path).convert(recipe["color"])
    ratio = recipe["resize"] / min(image.size)
    filtered = Image.Resampling[recipe["interpolation"].upper()]
    image = image.resize((round(image.width * ratio), round(image.height * ratio)), filtered)
    crop = recipe["crop"]
    x, y = (image.width - crop) // 2, (image.height - crop) // 2
    pixels = np.asarray(image.crop((x, y, x + crop, y + crop)), dtype=np.float32)
    value = (pixels * recipe["scale"] - np.float32(recipe["mean"])) / np.float32(recipe["std"])
    return np.ascontiguousarray(value.transpose(2, 0, 1)[None])


def sample(name: str) -> np.ndarray:
    path = MODELS / FILES[name]["sample"]["input"]
    x = photo(path, metadata(name)["onnxdtd.preprocess"]) if path.suffix == ".png" else np.load(path)
    assert x.dtype == np.float32
    return x


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Held-out images float32 (1000, 1, 28, 28) in [0, 1] and their labels."""
    with np.load(MODELS / "mnist_heldout.npz") as data:
        assert data["images"].dtype == np.uint8
        assert data["labels"].dtype == np.int64
        return data["images"][:, None].astype(np.float32) / 255, data["labels"]


def scores(name: str, images: np.ndarray) -> np.ndarray:
    return run(name, images.transpose(0, 2, 3, 1) if "keras" in name else images)


def test_folder_holds_the_manifest_and_nothing_else() -> None:
    assert {path.name for path in MODELS.iterdir()} == {*FILES, "README.md", "manifest.json"}
    assert sum(path.stat().st_size for path in MODELS.iterdir()) < 24_000_000


@pytest.mark.parametrize("name", FILES)
def test_size_and_sha256(name: str) -> None:
    content = (MODELS / name).read_bytes()
    assert len(content) == FILES[name]["size"]
    assert hashlib.sha256(content).hexdigest() == FILES[name]["sha256"]


@pytest.mark.parametrize("name", FILES)
def test_readme_agrees_with_the_manifest(name: str) -> None:
    lines = (MODELS / "README.md").read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in lines if line.startswith(f"| `{name}` |")]
    cells, entry = [cell.strip() for cell in line.strip("|").split("|")], FILES[name]
    facts = [
        entry["what"],
        entry["origin"],
        entry["licence"],
        f"{entry['size']:,}",
        f"`{entry['sha256'][:12]}`",
    ]
    if name in NAMES:
        answer, share = entry["sample"], entry["accuracy"]
        facts[2:2] = [
            entry["data"],
            "not measured" if share is None else f"{share:.1%} of {entry['held_out']:,}",
            f"{answer['input']}: {answer['name']} ({answer['class']}), p = {answer['probability']:.3f}",
            f"{entry['exporter']}, opset {entry['opset']['ai.onnx']}",
        ]
    assert cells == [f"`{name}`", *facts]


@pytest.mark.parametrize("name", NAMES)
def test_scripts_and_stamps_are_as_stated(name: str) -> None:
    entry, model = FILES[name], onnx.load(MODELS / name)
    assert (MODELS.parent / "tools" / "models" / entry["script"]).is_file()
    assert {each.domain or "ai.onnx": each.version for each in model.opset_import} == entry["opset"]
    assert entry["opset"]["ai.onnx"] <= 18
    assert model.ir_version == entry["ir_version"] <= 10
    assert f"{model.producer_name} {model.producer_version}" == entry["producer"]
    assert len(model.graph.node) == entry["nodes"]
    assert not any(tensor.external_data for tensor in model.graph.initializer)


@pytest.mark.parametrize("name", NAMES)
def test_sample_is_answered_as_stated(name: str) -> None:
    facts, answer, output = metadata(name), FILES[name]["sample"], run(name, sample(name))[0]
    assert len(facts["onnxdtd.labels"]) == len(output)
    assert int(output.argmax()) == answer["class"]
    assert facts["onnxdtd.labels"][answer["class"]] == answer["name"]


@pytest.mark.parametrize("name", NAMES)
def test_batch_of_seven_equals_seven_of_one(name: str) -> None:
    x = sample(name)
    batch = np.concatenate([x * np.float32(1 - i / 10) for i in range(7)])
    one_by_one = np.concatenate([run(name, x[None]) for x in batch])
    np.testing.assert_allclose(run(name, batch), one_by_one, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_input_range_holds_for_the_sample(name: str) -> None:
    if name == "wine_mlp.onnx":
        assert len(metadata(name)["onnxdtd.features"]) == sample(name).shape[1]
        return
    low, high = metadata(name)["onnxdtd.input_range"]
    x = sample(name)
    assert low <= x.min() < x.max() <= high


@pytest.mark.parametrize("name", MNIST)
def test_mnist_accuracy_is_as_stated(name: str, digits: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = digits
    assert np.bincount(labels).tolist() == [100] * 10
    share = (scores(name, images).argmax(1) == labels).mean()
    assert share == pytest.approx(
        FILES[name]["accuracy"], abs=0.0011
    )  # one digit may tip on another processor
    assert share >= 0.97


def test_digit_is_held_out_in_both_layouts(digits: tuple[np.ndarray, np.ndarray]) -> None:
    digit = np.load(MODELS / "mnist_digit.npy")
    (where,) = np.flatnonzero((digits[0] == digit).all(axis=(1, 2, 3)))
    assert digits[1][where] == FILES["mnist_cnn.onnx"]["sample"]["class"]
    np.testing.assert_array_equal(np.load(MODELS / "mnist_digit_nhwc.npy"), digit.transpose(0, 2, 3, 1))


def test_two_exporters_agree(digits: tuple[np.ndarray, np.ndarray]) -> None:
    one, two = (run(name, digits[0]) for name in ("mnist_cnn.onnx", "mnist_cnn_dynamo.onnx"))
    np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-5)


def test_biases_are_nonpositive_and_top_logits_positive(digits: tuple[np.ndarray, np.ndarray]) -> None:
    name = "mnist_cnn_nonpositive_bias.onnx"
    graph = onnx.load(MODELS / name).graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    biases = [stored[node.input[2]] for node in graph.node if node.op_type in {"Conv", "Gemm"}]
    assert len(biases) == 5
    assert max(bias.max() for bias in biases) <= 0
    assert min(bias.min() for bias in biases) < 0
    logits = run(name, digits[0])
    assert logits.max(1)[logits.argmax(1) == digits[1]].min() > 0


def test_efficientnet_sees_a_cat() -> None:
    logits = run("efficientnet_lite0.onnx", sample("efficientnet_lite0.onnx"))[0]
    assert set(np.argsort(-logits)[:3].tolist()) <= CATS
    assert len(metadata("efficientnet_lite0.onnx")["onnxdtd.labels"]) == 1000


def test_efficientnet_is_unfolded_and_half_sized() -> None:
    graph = onnx.load(MODELS / "efficientnet_lite0.onnx").graph
    kinds = [node.op_type for node in graph.node]
    assert (kinds.count("BatchNormalization"), kinds.count("Conv"), kinds.count("Add")) == (49, 49, 9)
    half = {tensor.name for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT16}
    restored = {node.output[0] for node in graph.node if node.op_type == "Cast" and node.input[0] in half}
    weights = {node.input[1] for node in graph.node if node.op_type in {"Conv", "Gemm"}}
    assert len(half) == 50
    assert weights == restored


def test_resnet_has_skips_and_unfolded_normalisation() -> None:
    nodes = onnx.load(MODELS / "mnist_resnet.onnx").graph.node
    kinds = [node.op_type for node in nodes]
    assert (kinds.count("BatchNormalization"), kinds.count("Add")) == (9, 3)
    shapes = [
        {a.name: list(a.ints) for a in node.attribute if a.name in {"kernel_shape", "strides"}}
        for node in nodes
        if node.op_type == "Conv"
    ]
    assert shapes.count({"kernel_shape": [1, 1], "strides": [2, 2]}) == 2


def test_no_file_names_a_folder_of_the_machine_that_made_it() -> None:
    for name in NAMES:
        content = (MODELS / name).read_bytes()
        assert not any(mark in content for mark in (b"site-packages", b"/home/", b"/root/", b"/tmp/")), name
