"""What is explained: held-out digits, and photographs that scikit-image's wheel ships, each in three views."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from onnxdtd.inputs import Preprocess
from onnxdtd.model.load import load
from tools.paths import MODELS

Array = npt.NDArray[Any]

PHOTOGRAPHS = (
    "astronaut.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "motorcycle_left.png", "retina.jpg",
    "rocket.jpg",
)  # fmt: skip
VIEWS = ("whole", "mirrored", "zoomed")
ZOOM = 0.6
"""Of the shorter side: the square in the middle that `zoomed` shows."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """x: (N, ...). names: of each input. groups: (N,), the number of what each input is a view of: views of one
    photograph are not independent."""

    model: str
    x: Array
    names: tuple[str, ...]
    groups: npt.NDArray[np.intp]
    input_range: Any


def digits(each: int) -> Inputs:
    """The first so many held-out digits of each class."""
    with np.load(MODELS / "mnist_heldout.npz") as held:
        images, labels = held["images"], held["labels"]
    chosen = np.concatenate([np.flatnonzero(labels == c)[:each] for c in range(10)])
    x = (images[chosen, None] / 255).astype(np.float32)
    names = tuple(f"{labels[i]}, held-out digit {i}" for i in chosen)
    return Inputs("mnist_cnn", x, names, np.arange(len(x)), (0.0, 1.0))


def photographs(limit: int | None = None) -> Inputs:
    """Every photograph whole, mirrored, and zoomed, prepared as the model's metadata say."""
    prepare = Preprocess.from_metadata(load(str(MODELS / "efficientnet_lite0.onnx")).metadata)
    assert prepare is not None
    package = importlib.util.find_spec("skimage")
    if package is None or package.origin is None:
        raise SystemExit('the photographs are those of scikit-image: pip install "onnxdtd[compare]"')
    folder = Path(package.origin).parent / "data"
    files = PHOTOGRAPHS[:limit]
    x = [prepare(view) for file in files for view in _views(Image.open(folder / file).convert("RGB"))]
    names = tuple(f"{file}, {view}" for file in files for view in VIEWS)
    groups = np.repeat(np.arange(len(files)), len(VIEWS))
    return Inputs("efficientnet_lite0", np.concatenate(x), names, groups, prepare.input_range)


def _views(photo: Image.Image) -> list[Image.Image]:
    side = round(ZOOM * min(photo.size))
    left, top = (photo.width - side) // 2, (photo.height - side) // 2
    return [photo, ImageOps.mirror(photo), photo.crop((left, top, left + side, top + side))]
