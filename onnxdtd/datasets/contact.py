"""The first pictures of a job's rows on one page."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from onnxdtd.datasets.results import Results
from onnxdtd.datasets.task import spelled
from onnxdtd.datasets.work import OVERLAYS
from onnxdtd.durable import whole
from onnxdtd.render.canvas import DPI
from onnxdtd.render.contact import MOST, SIDE, Thumb, sheet

CONTACT = "contact.png"


def draw_contact(folder: Path) -> Path | None:
    """contact.png: the pictures of the first 60 rows, in the order of the data, each with its id and what was
    explained; None where no row has a picture."""
    results = Results(folder)
    thumbs = []
    for row in islice(results.rows(["id", "target_name", "target_value"]), MOST):
        path = folder / OVERLAYS / f"{spelled(row['id'])}.png"
        if path.is_file():
            lines = (row["id"], f"{row['target_name']}, {row['target_value']:.4g}")
            thumbs.append(Thumb(lines, (_small(path),)))
    if not thumbs:
        return None
    more = f"the first {len(thumbs)} are shown" if len(results) > len(thumbs) else ""
    figure = sheet(thumbs, f"{len(results)} rows  ·  {results.manifest['method']}", more)
    with whole(folder / CONTACT) as file:
        figure.savefig(file, format="png", dpi=DPI)
    return folder / CONTACT


def _small(path: Path) -> np.ndarray:
    """RGB in 0..255, 240 pixels high."""
    with Image.open(path) as picture:
        wide = max(1, round(picture.width * SIDE / picture.height))
        return np.asarray(
            picture.convert("RGB").resize((wide, SIDE), Image.Resampling.LANCZOS, reducing_gap=2)
        )
