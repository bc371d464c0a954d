"""Draw docs/cat.jpg, the README's picture: the shipped photograph explained by three methods, and for another class.

python -m tools.figures
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

import onnxdtd
from tools.paths import DOCS, MODELS

PHOTO = MODELS / "chelsea.png"
ROWS = [("auto", "top"), ("auto", "espresso"), ("composite", "top"), ("dtd", "top")]
WIDTH = 1200


def main() -> None:
    rows = []
    for method, target in ROWS:
        explainer = onnxdtd.Explainer(MODELS / "efficientnet_lite0.onnx", method)
        prepare = onnxdtd.Preprocess.from_metadata(explainer.graph.metadata)
        explanation = explainer(prepare(PHOTO), target)
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "row.png"
            onnxdtd.save_heatmap(explanation, page, picture=prepare.picture(PHOTO))
            rows.append(Image.open(page).convert("RGB"))
    height = sum(row.height for row in rows)
    sheet = Image.new("RGB", (rows[0].width, height), "white")
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    sheet = sheet.resize((WIDTH, round(height * WIDTH / sheet.width)), Image.Resampling.LANCZOS)
    sheet.save(DOCS / "cat.jpg", quality=88, optimize=True)


if __name__ == "__main__":
    main()
