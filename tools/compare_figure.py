"""docs/compare.jpg: the cat by eleven methods, for the class that the model names and for espresso.

    python -m tools.compare_figure           # with the extra `compare`; some minutes

The times in it are those of docs/figures/method_times.json, not of this run.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path

from PIL import Image

import onnxdtd
from onnxdtd.comparison.picture import Sheet, draw
from onnxdtd.inputs import Preprocess
from tools.paths import DOCS, FIGURES, MODELS

MODEL, PHOTO = MODELS / "efficientnet_lite0.onnx", MODELS / "chelsea.png"
METHODS = [
    "gradient", "gradient_x_input", "epsilon_plus", "dtd", "composite", "guided_backprop", "grad_cam",
    "integrated_gradients", "occlusion", "lime", "kernel_shap",
]  # fmt: skip
TARGETS = [None, 967]
WIDTH = 1500


def times() -> dict[str, str]:
    """Each method's caption."""
    told = json.loads((FIGURES / "method_times.json").read_text("utf-8"))
    (case,) = [c for c in told["cases"] if c["model"] == MODEL.stem and c["batch"] == 1]
    ratios = {
        m: (engines.get("onnx") or engines.get("numpy") or engines["other"])["forwards"]
        for m, engines in case["methods"].items()
    }
    return {m: f"{r:,.0f} × forward" if r >= 10 else f"{r:.1f} × forward" for m, r in ratios.items()}


def save(sheet: Sheet) -> None:
    """As a JPEG of modest size."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "compare.png"
        draw(dataclasses.replace(sheet, captions=times()), path)
        with Image.open(path) as picture:
            small = picture.convert("RGB").resize(
                (WIDTH, round(WIDTH * picture.height / picture.width)), Image.LANCZOS
            )
        small.save(DOCS / "compare.jpg", quality=82, optimize=True)


def main() -> None:
    explainer = onnxdtd.Explainer(MODEL, "gradient")
    prepare = Preprocess.from_metadata(explainer.graph.metadata)
    assert prepare is not None
    found = onnxdtd.compare(
        MODEL, prepare(PHOTO), METHODS, TARGETS, input_range=prepare.input_range, repeats=0
    )
    save(found.sheet(prepare.picture(PHOTO)))


if __name__ == "__main__":
    main()
