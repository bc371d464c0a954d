"""Of a job over a table, the rows that its beeswarms show: relevance and values, a sample of each class."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from onnxdtd.datasets import Results
from onnxdtd.datasets.task import spelled
from onnxdtd.inputs import DataSet
from onnxdtd.lessons.classes import class_of
from onnxdtd.render.beeswarm import beeswarm
from onnxdtd.render.canvas import DPI
from onnxdtd.types import Array
from onnxdtd.workers import check_ids, reread

ROWS = 1000
"""Points of a column, at most."""


def draw_swarms(results: Results, folder: Path, data: DataSet | None, seed: int = 0) -> list[Path]:
    """beeswarm-CLASS.png for each class of a table, none for other data. data: whose values give the colours; without
    them points are grey. Of a class with more than 1,000 rows a random sample is shown."""
    first = next(iter(results), None)
    if first is None or any(r.ndim > 1 for r in first["relevance"].values()):
        return []
    names = _names(results, first)
    drawn = []
    for name, places in sorted(_sampled(results, seed).items()):
        rows, values = _gathered(results, places, data)
        shown = rows[np.isfinite(rows).all(axis=1)]
        if not len(shown):
            continue
        title = f"class {name}: {len(shown)} rows"
        path = folder / f"beeswarm-{spelled(name)}.png"
        seen = None if values is None else values[np.isfinite(rows).all(axis=1)]
        beeswarm(shown, seen, names, title).savefig(path, dpi=DPI)
        drawn.append(path)
    return drawn


def _names(results: Results, row: dict[str, Any]) -> list[str]:
    sizes = {name: r.size for name, r in row["relevance"].items()}
    features = results.manifest.get("features")
    if features is not None and len(features) == sum(sizes.values()):
        return list(features)
    if len(sizes) == 1:
        return [f"[{i}]" for i in range(next(iter(sizes.values())))]
    return [name if size == 1 else f"{name}[{i}]" for name, size in sizes.items() for i in range(size)]


def _sampled(results: Results, seed: int) -> dict[str, list[int]]:
    """By class, at which places of the results its rows are; no more than are shown."""
    rng = np.random.default_rng(seed)
    members: dict[str, list[int]] = {}
    counts: dict[str, int] = {}
    for at, row in enumerate(results.rows(["label", "prediction", "target", "target_name"])):
        name = class_of(row)
        kept = members.setdefault(name, [])
        counts[name] = counts.get(name, 0) + 1
        if len(kept) < ROWS:
            kept.append(at)
        elif (place := int(rng.integers(0, counts[name]))) < ROWS:
            kept[place] = at
    return {name: sorted(kept) for name, kept in members.items()}


def _gathered(results: Results, places: list[int], data: DataSet | None) -> tuple[Array, Array | None]:
    """Relevance (N, F) of these rows, and their values where the data have them as numbers."""
    chosen, columns = set(places), [n for n in results.columns if n.startswith("relevance.")]
    rows, where = [], []
    for at, row in enumerate(results.rows(["id", "row", *columns])):
        if at in chosen:
            rows.append(np.concatenate([r.reshape(-1) for r in row["relevance"].values()]))
            where.append((row["row"], row["id"], tuple(row["relevance"])))
    values = None
    if data is not None:
        check_ids(data, ((place, name) for place, name, _ in where))
        values = np.stack([*_values(data, where)])
    return np.stack(rows).astype(np.float64), values


def _values(data: DataSet, where: list[tuple[int, str, tuple[str, ...]]]) -> Iterator[Array]:
    for (_, row), (_, _, inputs) in zip(reread(data, ((p, n) for p, n, _ in where)), where, strict=True):
        parts = [np.asarray(row.inputs[name]).reshape(-1) for name in inputs]
        yield np.concatenate([_numbers(part) for part in parts])


def _numbers(part: Array) -> Array:
    """As numbers; words are none."""
    return part.astype(np.float64) if part.dtype.kind in "biuf" else np.full(part.shape, np.nan)
