"""What a job's rows have in common: how much relevance each part of the input gets, by class, and what fired."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from onnxdtd.datasets import Results
from onnxdtd.folder import plain, write_folder
from onnxdtd.inputs import DataSet
from onnxdtd.lessons.parts import CELLS, REGION
from onnxdtd.lessons.swarms import draw_swarms
from onnxdtd.render.canvas import DPI
from onnxdtd.render.regions import regions

SCHEMA = "onnxdtd.lesson/1"


@dataclass(frozen=True)
class Lesson:
    """rows: by class, how many. findings: by class, the share of its rows in which each finding fired. parts: one
    mapping for each class, input and part: `class`, `input`, `kind` (feature, channel, region, position or token),
    `part`, `mean` of the absolute relevance that a row gives it, and its `share` of all of that row's, on average.
    left_out: rows whose relevance is not finite, which count in `rows` and `findings` only. folder: of the job."""

    rows: Mapping[str, int]
    findings: Mapping[str, Mapping[str, float]]
    parts: tuple[dict[str, Any], ...]
    left_out: int = 0
    folder: Path = field(default=Path(), repr=False, compare=False)

    def save(self, path: str | Path) -> Path:
        """The parts as CSV."""
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["class", "input", "kind", "part", "mean", "share"])
            writer.writeheader()
            writer.writerows(self.parts)
        return Path(path)

    def draw(self, directory: str | Path, data: DataSet | None = None) -> Path:
        """Write lesson.json and parts.csv; of a table a beeswarm for each class, coloured by the values in `data`
        where they are given; of pictures the relevance of their regions. UsageError where the folder holds something
        else."""

        def fill(folder: Path) -> dict[str, Any]:
            self.save(folder / "parts.csv")
            draw_swarms(Results(self.folder), folder, data)
            self._draw_regions(folder)
            return self.document()

        return write_folder(directory, SCHEMA, fill)

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return dict(
            plain(
                {"rows": self.rows, "findings": self.findings, "parts": self.parts, "left_out": self.left_out}
            )
        )

    def _draw_regions(self, folder: Path) -> None:
        shares: dict[str, dict[str, list[float]]] = {}
        for part in self.parts:
            if part["kind"] == REGION:
                shares.setdefault(part["input"], {}).setdefault(part["class"], []).append(part["share"])
        for i, (name, classes) in enumerate(shares.items(), 1):
            maps = {of: np.reshape(cells, (CELLS, CELLS)) for of, cells in classes.items()}
            title = f"share of |relevance| in the regions of '{name}', by class"
            regions(maps, title).savefig(folder / f"regions-{i}.png", dpi=DPI)
