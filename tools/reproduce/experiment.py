"""What the experiments share: their inputs, intervals, and the command that writes numbers, page and figure."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from PIL import Image

from onnxdtd.inputs import Preprocess
from onnxdtd.model.load import load
from tools.paths import FIGURES, MODELS
from tools.reproduce.curves import save

Array = npt.NDArray[Any]
RESAMPLES = 1000
PHOTO_NETWORK = "efficientnet_lite0"
PICTURES = "pictures"
"""Under this name a measurement keeps what the figure alone needs."""
SIDES = (1.0, 0.8, 0.6, 0.45)
"""Of the photo's shorter side: the crops that are explained."""


def bootstrap(
    values: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    statistic: Literal["mean", "median"] = "median",
    seed: int = 0,
) -> dict[str, float]:
    """The mean or median of the numbers among the values, with the 95 % percentile bootstrap over groups.

    groups: which of the values depend on each other (of one network, of one picture); None: each its own.
    """
    numbers = np.asarray(values, np.float64)
    owners = np.arange(len(numbers)) if groups is None else np.asarray(groups)
    order = np.argsort(numbers)[: np.count_nonzero(~np.isnan(numbers))]
    numbers, (_, owners) = numbers[order], np.unique(owners[order], return_inverse=True)
    count = int(owners.max()) + 1
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    whole, drawn = _statistics(numbers, np.vstack([np.ones(count, int), draws]), owners, statistic)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {"value": whole, "low": float(low), "high": float(high), "of": len(numbers)}


def _statistics(numbers: Array, draws: Array, owners: Array, statistic: str) -> tuple[float, Array]:
    """Of sorted numbers, each as often as its owner was drawn: the first draw's, and those of all others."""
    values = []
    for draw in np.array_split(draws, 1 + draws.shape[0] * len(numbers) // 2**22):
        often = draw[:, owners]
        total = often.sum(1)
        if statistic == "mean":
            values.append(often @ numbers / total)
            continue
        reached = np.cumsum(often, axis=1)
        middle = [(2 * reached >= total[:, None]).argmax(1), (2 * reached > total[:, None]).argmax(1)]
        values.append((numbers[middle[0]] + numbers[middle[1]]) / 2)
    first, *others = np.concatenate(values)
    return float(first), np.array(others)


def cell(row: Mapping[str, float], form: str = "{:.3f}", scale: float = 1.0) -> str:
    """0.412 [0.390, 0.431]."""
    value, low, high = (form.format(scale * row[key]) for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def digits(each: int) -> Array:
    """(10 each, 1, 28, 28) in 0..1: the first held-out digits of every class."""
    with np.load(MODELS / "mnist_heldout.npz") as held:
        images, labels = held["images"], held["labels"]
    chosen = np.concatenate([np.flatnonzero(labels == c)[:each] for c in range(10)])
    return np.asarray(images[chosen, None] / 255, np.float32)


def crops() -> tuple[Array, tuple[float, float]]:
    """The shipped photo in smaller and smaller squares, (4, ...), as EfficientNet-Lite0 reads it; and its range."""
    prepare = Preprocess.from_metadata(load(str(MODELS / f"{PHOTO_NETWORK}.onnx")).metadata)
    assert prepare is not None
    photo = Image.open(MODELS / "chelsea.png").convert("RGB")
    pictures = []
    for part in SIDES:
        side = round(part * min(photo.size))
        left, top = (photo.width - side) // 2, (photo.height - side) // 2
        pictures.append(prepare(photo.crop((left, top, left + side, top + side))))
    return np.concatenate(pictures), prepare.input_range


def subject(name: str, each: int) -> tuple[Path, Array, tuple[float, float]]:
    """A shipped image network, what is explained of it (`each` digits of every class, or the crops), the range."""
    path = MODELS / f"{name}.onnx"
    if name == PHOTO_NETWORK:
        return path, *crops()
    return path, digits(each), (0.0, 1.0)


def command(
    description: str | None,
    name: str,
    options: Mapping[str, int],
    measure: Callable[..., dict[str, Any]],
    page: Callable[[dict[str, Any]], str],
    figure: Callable[[dict[str, Any]], Figure],
) -> None:
    """Measure with the options, which are integers, and write NAME.json, NAME.md and NAME.png to --out."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for option, default in options.items():
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--out", type=Path, default=FIGURES)
    chosen = vars(parser.parse_args())
    out: Path = chosen.pop("out")
    measured = measure(**chosen)
    out.mkdir(parents=True, exist_ok=True)
    save(figure(measured), out / f"{name}.png")
    measured.pop(PICTURES, None)
    (out / f"{name}.json").write_text(json.dumps(measured, indent=1) + "\n")
    (out / f"{name}.md").write_text(page(measured))
    print(page(measured))
