"""Photographs and a detector that packages ship, found where they are installed.

    pip install --no-deps scikit-image==0.26.0 foolbox==3.3.4 ultralytics==8.4.190 nudenet==3.4.2

(--no-deps: their files are wanted, not their programs.)
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Array = npt.NDArray[Any]

FOLDERS = {"skimage": "data", "foolbox": "data", "ultralytics": "assets"}
NAMES = (
    "astronaut", "camera", "chelsea", "coffee", "rocket", "motorcycle_left", "imagenet_*", "bus", "zidane",
)  # fmt: skip
"""Of scikit-image all that show something that ImageNet names; its other pictures are textures, cells, pages."""
PEOPLE = {"astronaut": "skimage", "zidane": "ultralytics", "bus": "ultralytics"}


class MissingError(Exception):
    """A package is not installed; the message says how to get it."""


def package_file(package: str, path: str) -> Path:
    """A file of an installed package, which need not be imported. Raises MissingError."""
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (file := Path(folder) / path).exists():
            return file
    raise MissingError(f"{package}/{path} is not there: pip install --no-deps what photographs.py names")


def photographs() -> list[Path]:
    """Those of all packages. Raises MissingError."""
    folders = [package_file(package, folder) for package, folder in FOLDERS.items()]
    files = [path for folder in folders for name in NAMES for path in sorted(folder.glob(f"{name}.*"))]
    return [path for path in files if path.suffix in (".png", ".jpg")]


def people() -> list[Path]:
    """Photographs with faces. Raises MissingError."""
    return [
        path
        for name, package in PEOPLE.items()
        for path in sorted(package_file(package, FOLDERS[package]).glob(f"{name}.*"))
    ]


def square(path: Path, side: int, along: float = 0.5) -> Array:
    """(3, side, side) float32, 0 to 255: a square of the photograph as long as its shorter side.

    along: where on the longer side it lies, from 0 to 1.
    """
    image = Image.open(path).convert("RGB")
    shorter = min(image.size)
    left, upper = (round((length - shorter) * along) for length in image.size)
    crop = image.crop((left, upper, left + shorter, upper + shorter))
    pixels = np.asarray(crop.resize((side, side), Image.Resampling.BICUBIC), np.float32)
    return pixels.transpose(2, 0, 1)
