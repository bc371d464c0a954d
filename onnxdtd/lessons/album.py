"""Pictures of clusters: of each class a map, and of each cluster a contact sheet."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from onnxdtd.datasets import Results
from onnxdtd.datasets.task import spelled
from onnxdtd.inputs import DataSet, Row
from onnxdtd.lessons.groups import Group
from onnxdtd.lessons.tokens import Writer
from onnxdtd.render.canvas import DPI
from onnxdtd.render.contact import cell, sheet
from onnxdtd.render.passages import Passage, is_finite, passages
from onnxdtd.render.scatter import scatter
from onnxdtd.workers import check_ids, reread

SHOWN = 18
"""Rows on a contact sheet, the most typical ones."""


def draw(
    job: Path, groups: Iterable[Group], name: str, folder: Path, data: DataSet | None, writer: Writer | None
) -> None:
    """Into a folder for each class: map.png, and cluster-N.png where its rows have pictures, or are texts. job: of
    the rows. name: of the input whose relevance is drawn. writer: of texts."""
    results = Results(job)
    for group in groups:
        place = folder / spelled(group.name)
        place.mkdir()
        scatter(
            group.maps, group.labels, group.eigenvalues,
            f"class {group.name}: {len(group.scores)} clusters of {len(group.ids)} heatmaps",
        ).savefig(place / "map.png", dpi=DPI)  # fmt: skip
        for label, score in enumerate(group.scores):
            _sheet(results, group, label, score, name, data, writer, place)


def _sheet(
    results: Results, group: Group, label: int, score: float, name: str, data: DataSet | None,
    writer: Writer | None, folder: Path,
) -> None:  # fmt: skip
    typical = group.typical(label)
    shown = typical[:SHOWN]
    rows = dict(_shown(data, [(int(group.places[i]), group.ids[i]) for i in shown]))
    cells, texts = [], []
    for i in shown:
        row, result = rows.get(group.ids[i]), results[group.ids[i]]
        values = None if row is None else row.inputs[name][0]
        picture = row.picture() if row is not None and row.picture else None
        lines = (group.ids[i], f"{result['target_name']}  {result['target_value']:.4g}")
        listed = writer.words(name, row, result["relevance"][name]) if writer and row is not None else []
        if is_finite(listed):
            texts.append(Passage(lines, listed))
        elif (one := cell(lines, result["relevance"][name], values, picture)) is not None:
            cells.append(one)
    title = f"class {group.name}, cluster {label}: {len(typical)} of {len(group.ids)} heatmaps"
    caption = f"outlier score {score:.3g}; nearest to the mean of the cluster first"
    if texts:
        passages(texts, title, caption).savefig(folder / f"cluster-{label}.png", dpi=DPI)
    elif cells:
        sheet(cells, title, caption).savefig(folder / f"cluster-{label}.png", dpi=DPI)


def _shown(data: DataSet | None, rows: Iterable[tuple[int, str]]) -> Iterable[tuple[str, Row]]:
    if data is None:
        return ()
    ordered: list[Any] = sorted(rows)
    check_ids(data, ordered)
    return reread(data, ordered)
