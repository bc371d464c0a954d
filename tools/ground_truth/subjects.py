"""The networks that take part, each with its questions: digits, photographs in a grid, faces in a box."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort

from tools.ground_truth.games import Question, grid, strokes
from tools.ground_truth.photographs import package_file, people, photographs, square
from tools.ground_truth.scenes import Textured, mosaics, textured
from tools.models.common import softmax, unit
from tools.paths import MODELS

Array = npt.NDArray[Any]

MOSAICS, STROKES = 25, 60
PHOTO_MOSAICS, PHOTO_SIDE, SURE = 20, 160, 0.6
FACES = (5, 16)  # the rows of the detector's output that score a face; the first four are the box
FACE_SIDE, FACE_SCORE, SAME_BOX = 320, 0.25, 0.45
ENDS = (0.0, 0.5, 1.0)


class Subject(NamedTuple):
    """kind: of network. questions: by game."""

    name: str
    kind: str
    model: onnx.ModelProto
    input_range: tuple[float, float]
    questions: Mapping[str, Question]


def held_out() -> tuple[Array, Array]:
    """The digits that no network was trained on: uint8 (1000, 28, 28), and their labels."""
    digits = np.load(MODELS / "mnist_heldout.npz")
    return digits["images"], digits["labels"]


def trained(name: str, path: Path, seed: int) -> Subject:
    """A network of digits on texture: mosaics of them, and single ones. The same pictures for every network."""
    rng = np.random.default_rng([seed, *b"trained"])
    scene = textured(*held_out(), rng)
    squares = mosaics(scene.pictures, scene.labels, MOSAICS, rng)
    few = rng.choice(len(scene.labels), STROKES, replace=False)
    questions = {"grid": grid(squares), "stroke": strokes(Textured(*(part[few] for part in scene)))}
    return Subject(name, "digits", onnx.load(path), (0.0, 1.0), questions)


def shipped(seed: int) -> Iterator[Subject]:
    """mnist_resnet with mosaics of black ground; mnist_cnn, whose size is fixed, with the textured digits that it
    gets right though it has seen none."""
    rng = np.random.default_rng([seed, *b"shipped"])
    images, labels = held_out()
    yield Subject(
        "mnist_resnet", "digits", opened(MODELS / "mnist_resnet.onnx"), (0.0, 1.0),
        {"grid": grid(mosaics(unit(images), labels, MOSAICS, rng))},
    )  # fmt: skip
    model = onnx.load(MODELS / "mnist_cnn.onnx")
    scene = textured(images, labels, rng)
    right = np.flatnonzero(run(model, scene.pictures).argmax(axis=1) == labels)
    few = rng.choice(right, STROKES, replace=False)
    yield Subject(
        "mnist_cnn", "digits", model, (0.0, 1.0),
        {"stroke": strokes(Textured(*(part[few] for part in scene)))},
    )  # fmt: skip


def efficientnet(seed: int) -> Subject:
    """EfficientNet-Lite0 with four photographs in a grid, two of them asked for: of each photograph the square that
    the network is most sure of, if it is sure of any. Raises MissingError."""
    model = opened(MODELS / "efficientnet_lite0.onnx")
    facts = {entry.key: entry.value for entry in model.metadata_props}
    how = json.loads(facts["onnxdtd.preprocess"])
    low, high = json.loads(facts["onnxdtd.input_range"])
    mean, std = (np.float32(how[key]).reshape(-1, 1, 1) for key in ("mean", "std"))
    photos, labels = [], []
    for path in photographs():
        views = np.stack([(square(path, PHOTO_SIDE, along) * how["scale"] - mean) / std for along in ENDS])
        p = softmax(run(model, views.astype(np.float32)))
        best, label = np.unravel_index(p.argmax(), p.shape)
        if p[best, label] > SURE:
            photos.append(views[best].astype(np.float32))
            labels.append(int(label))
    rng = np.random.default_rng([seed, *b"photographs"])
    squares = mosaics(np.stack(photos), np.array(labels), PHOTO_MOSAICS, rng)
    return Subject(
        "efficientnet_lite0", "photographs", model, (low, high), {"grid": grid(squares, asked=(0, 3))}
    )


def detector() -> Subject:
    """A YOLOv8n of nudenet, asked for the faces that it detects. Raises MissingError."""
    model = onnx.load(package_file("nudenet", "320n.onnx"))
    views = np.stack([square(path, FACE_SIDE, along) / 255 for path in people() for along in ENDS])
    views = np.unique(views.astype(np.float32), axis=0)
    pictures, targets, masks = [], [], []
    for view, output in zip(views, run(model, views), strict=True):
        for row, anchor in faces(output):
            pictures.append(view)
            targets.append((row, anchor))
            masks.append(box_mask(output[:4, anchor], *view.shape[1:]))
    question = Question(np.stack(pictures), targets, np.stack(masks))
    return Subject("nudenet_320n", "detector", model, (0.0, 1.0), {"box": question})


def faces(output: Array) -> list[tuple[int, int]]:
    """(row, anchor) of each face in the output (22, A), without lesser boxes of the same face."""
    best = output[list(FACES)].max(axis=0)
    kept: list[tuple[int, int]] = []
    for anchor in np.argsort(-best):
        if best[anchor] < FACE_SCORE:
            break
        if all(overlap(output[:4, anchor], output[:4, other]) < SAME_BOX for _, other in kept):
            kept.append((FACES[int(output[list(FACES), anchor].argmax())], int(anchor)))
    return kept


def overlap(a: Array, b: Array) -> float:
    """Intersection over union of two boxes (centre x, centre y, width, height)."""
    low = np.maximum(a[:2] - a[2:] / 2, b[:2] - b[2:] / 2)
    high = np.minimum(a[:2] + a[2:] / 2, b[:2] + b[2:] / 2)
    both = float(np.prod(np.maximum(high - low, 0)))
    return both / (float(np.prod(a[2:])) + float(np.prod(b[2:])) - both)


def box_mask(box: Array, height: int, width: int) -> Array:
    """(H, W): the pixels whose centres lie in the box."""
    x, y, w, h = box
    inside_y = np.abs(np.arange(height) + 0.5 - y) <= h / 2
    inside_x = np.abs(np.arange(width) + 0.5 - x) <= w / 2
    return inside_y[:, None] & inside_x[None, :]


def opened(path: Path) -> onnx.ModelProto:
    """The model with open height and width, which a global average allows."""
    model = onnx.load(path)
    dims = model.graph.input[0].type.tensor_type.shape.dim
    dims[2].dim_param, dims[3].dim_param = "H", "W"
    del model.graph.value_info[:]
    return model


def run(model: onnx.ModelProto, x: Array) -> Array:
    """The model's first output."""
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: x})[0])
