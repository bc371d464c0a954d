"""The explainers that the page loads: models/mnist_cnn.onnx compiled by four methods.

    python -m tools.browser.explainers [FOLDER]            # explainers/ beside this file; some seconds

Writes METHOD.onnx for each method and index.json, which tells the page what there is: the classes, the methods, the
names of inputs and outputs (JavaScript cannot read a model's metadata), and one held-out digit of each class.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import numpy as np

import onnxdtd
from tools.paths import MODELS

HERE = Path(__file__).parent
METHODS = {
    "dtd": (
        "Deep Taylor",
        "Traces the logit back to every pixel, empty ones too, as ink between 0 and 1 allows.",
    ),
    "epsilon_plus": ("Epsilon plus", "Traces the logit back to the ink alone, and tells for from against."),
    "composite": (
        "Composite",
        "A rule for each depth: z-box at the pixels, z+ above them, epsilon at the top.",
    ),
    "gradient_x_input": ("Gradient × input", "How steeply the logit rises with a pixel, times its ink."),
}
"""The title and the sentence that the page shows."""


def write(folder: Path, models: Path = MODELS) -> None:
    """Compile, and write the index last, so that a page never finds an index without its models."""
    folder.mkdir(parents=True, exist_ok=True)
    methods = []
    for method, (title, about) in METHODS.items():
        made = onnxdtd.compile(models / "mnist_cnn.onnx", folder / f"{method}.onnx", method=method)
        (relevance,) = made.relevance.items()
        methods.append(
            {
                "method": method, "title": title, "about": about, "file": f"{method}.onnx",
                "input": relevance[0], "target": made.inputs[-1], "output": made.output, "relevance": relevance[1],
                "bytes": made.nbytes,
            }
        )  # fmt: skip
    index = {"classes": [str(digit) for digit in range(10)], "methods": methods, "samples": samples(models)}
    (folder / "index.json").write_text(json.dumps(index, indent=1) + "\n", "utf-8")


def samples(models: Path) -> list[str]:
    """The first held-out digit of each class: 28 x 28 bytes of ink, row by row, in base64."""
    held = np.load(models / "mnist_heldout.npz")
    first = [int((held["labels"] == digit).argmax()) for digit in range(10)]
    return [base64.b64encode(held["images"][k].tobytes()).decode("ascii") for k in first]


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "explainers")
