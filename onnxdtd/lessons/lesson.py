"""What a job's rows have in common: how much relevance each part of the input gets, by class, and what fired."""

from __future__ import annotations

import csv
import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from onnxdtd.datasets import Results
from onnxdtd.errors import InputError

CELLS = 7
"""Regions along each side of a picture."""
CHANNEL, REGION, FEATURE, POSITION = "channel", "region", "feature", "position"


@dataclass(frozen=True)
class Lesson:
    """rows: by class, how many. findings: by class, the share of its rows in which each finding fired. parts: one
    mapping for each class, input and part: `class`, `input`, `kind` (feature, channel, region or position), `part`,
    `mean` of the absolute relevance that a row gives it, and its `share` of all of that row's, on average."""

    rows: dict[str, int]
    findings: dict[str, dict[str, float]]
    parts: tuple[dict[str, Any], ...]

    def save(self, path: str | Path) -> Path:
        """The parts as CSV."""
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["class", "input", "kind", "part", "mean", "share"])
            writer.writeheader()
            writer.writerows(self.parts)
        return Path(path)


def summarise(results: Results | str | Path) -> Lesson:
    """The lesson of a job. A row's class is its label, else what was predicted, else what was explained.

    With r the relevance of a row, part p gets sum over p of |r|, averaged over the rows of a class. Of (C, H, W) the
    parts are channels and the cells of a grid of 7 by 7; of two axes the last is that of features, the first that of
    positions or tokens; of one, features. Raises InputError where no relevance is stored.
    """
    results = results if isinstance(results, Results) else Results(results)
    if not any(name.startswith("relevance.") for name in results.columns):
        raise InputError(f"'{results.folder}' holds no relevance: run batch with --store relevance")
    rows: Counter[str] = Counter()
    fired: dict[str, Counter[str]] = defaultdict(Counter)
    sums: dict[tuple[str, str, str], Any] = {}
    for row in results:
        name = class_of(row)
        rows[name] += 1
        fired[name].update(row["findings"])
        total = math.fsum(float(np.abs(r).sum(dtype=np.float64)) for r in row["relevance"].values())
        for input_name, r in row["relevance"].items():
            for kind, amounts in parts_of(np.abs(r.astype(np.float64))).items():
                both = np.stack([amounts, amounts / total if total else np.zeros_like(amounts)])
                key = (name, input_name, kind)
                before = sums.get(key, np.zeros((2, 0)))
                size = max(before.shape[1], both.shape[1])
                sums[key] = sum(np.pad(a, [(0, 0), (0, size - a.shape[1])]) for a in (before, both))
    names = results.manifest.get("features")
    return Lesson(
        dict(sorted(rows.items())),
        {name: {f: n / rows[name] for f, n in sorted(counts.items())} for name, counts in sorted(fired.items())},
        tuple(
            {"class": name, "input": of, "kind": kind, "part": _named(kind, i, names, means.shape[1]),
             "mean": float(means[0, i]) / rows[name], "share": float(means[1, i]) / rows[name]}
            for (name, of, kind), means in sorted(sums.items())
            for i in range(means.shape[1])
        ),
    )  # fmt: skip


def class_of(row: dict[str, Any], by: str | None = None) -> str:
    """The class that a row is counted with. by: the column that says it, by default the first that does."""
    keys = ("label", "prediction") if by is None else (by,)
    return str(next((row[key] for key in keys if row[key] is not None), row["target_name"]))


def parts_of(r: Any) -> dict[str, Any]:
    """The absolute relevance of one row, summed over each of its parts."""
    if r.ndim == 3:
        channels_last = r.shape[-1] < r.shape[0]
        plane = r.sum(axis=-1 if channels_last else 0)
        channels = r.sum(axis=(0, 1) if channels_last else (1, 2))
        down, across = (np.arange(size) * CELLS // size for size in plane.shape)
        cells = np.zeros((CELLS, CELLS))
        np.add.at(cells, (down[:, None], across[None, :]), plane)
        return {CHANNEL: channels, REGION: cells.reshape(-1)}
    if r.ndim == 2:
        return {FEATURE: r.sum(axis=0), POSITION: r.sum(axis=1)}
    return {FEATURE: r.reshape(-1)}


def _named(kind: str, i: int, names: list[str] | None, count: int) -> str:
    if kind == REGION:
        return f"{i // CELLS},{i % CELLS}"
    return names[i] if kind == FEATURE and names is not None and len(names) == count else str(i)
