"""What clustering gives: the clusters of all classes; as JSON, CSV and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxdtd.folder import plain, write_folder
from onnxdtd.inputs import DataSet
from onnxdtd.lessons.album import draw
from onnxdtd.lessons.groups import Group
from onnxdtd.lessons.tokens import Writer
from onnxdtd.sheets import write_csv

SCHEMA = "onnxdtd.clusters/1"


@dataclass(frozen=True)
class Clusters:
    """groups: one for each class. left_out: the classes, and the rows by their ids, that were not clustered, with the
    reason. settings: by which they were found."""

    folder: Path
    groups: tuple[Group, ...]
    left_out: Mapping[str, str]
    settings: Mapping[str, Any]

    def save(
        self,
        directory: str | Path,
        pictures: bool = True,
        data: DataSet | None = None,
        writer: Writer | None = None,
    ) -> Path:
        """Write clusters.json, rows.csv, and of each class a folder with a map and a contact sheet for each cluster.
        data: from which the sheets take what the model was shown; without them they show relevance alone. writer: of
        rows that are texts (`writer_of`), which are drawn in coloured words. Raises UsageError where the folder holds
        something else."""

        def fill(folder: Path) -> dict[str, Any]:
            write_csv(folder / "rows.csv", self.rows)
            if pictures:
                draw(self.folder, self.groups, self.settings["inputs"][0], folder, data, writer)
            return self.document()

        return write_folder(directory, SCHEMA, fill)

    def document(self) -> dict[str, Any]:
        """For JSON: the clusters, by class too, and what was left out."""
        classes = [
            {"class": group.name, "rows": group.total, "clustered": len(group.ids),
             "eigenvalues": group.eigenvalues.tolist(),
             "clusters": [line for line in self.lines if line["class"] == group.name]}
            for group in self.groups
        ]  # fmt: skip
        document = {"batch": str(self.folder), "settings": self.settings, "clusters": self.lines}
        return dict(plain({**document, "classes": classes, "left_out": self.left_out}))

    @property
    def lines(self) -> list[dict[str, Any]]:
        """A mapping for each cluster: `class`, `cluster`, `rows`, `share` of its class, `score`, and its most typical
        row; those of the highest score first."""
        lines = [
            {"class": group.name, "cluster": label, "rows": int((inside := group.labels == label).sum()),
             "share": float(inside.mean()), "score": score, "typical": group.ids[group.typical(label)[0]]}
            for group in self.groups
            for label, score in enumerate(group.scores)
        ]  # fmt: skip
        return sorted(lines, key=lambda line: (-line["score"], line["share"]))

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A mapping for each row: `id`, `class`, `cluster`, the cluster's `score`, and its places on the maps."""
        return [
            {"id": name, "class": group.name, "cluster": int(label), "score": group.scores[label]}
            | {
                f"{how}_{axis}": float(xy[i, k])
                for how, xy in group.maps.items()
                for k, axis in enumerate("xy")
            }
            for group in self.groups
            for i, (name, label) in enumerate(zip(group.ids, group.labels, strict=True))
        ]
