"""The work of `cluster`, loaded when it runs."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from onnxdtd import lessons
from onnxdtd.cli.text import message, screen, table
from onnxdtd.datasets.recipe import reopened
from onnxdtd.errors import InputError
from onnxdtd.folder import check_folder
from onnxdtd.lessons.clusters import SCHEMA
from onnxdtd.lessons.tokens import writer_of
from onnxdtd.lessons.virelay import check_project, write_project

SHOWN = 20
"""Clusters that are shown, those of the highest scores."""


def cluster(
    directory: Path,
    output: Path,
    data: Sequence[Path] | None,
    virelay: Path | None,
    tokenizer: Path | None,
    *,
    pictures: bool,
    as_json: bool,
    **settings: Any,
) -> str:
    """A table of the clusters, the highest scores first, or one JSON object; the rest is in `output`."""
    check_folder(output, SCHEMA)
    if virelay is not None:
        check_project(virelay)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scikit-learn and matplotlib
        clusters = lessons.cluster(directory, **settings)
        made = None
        if pictures or virelay is not None:
            try:
                made = reopened(directory, data=data)
            except InputError as error:
                if data is not None or virelay is not None:
                    raise
                message(f"contact sheets show relevance alone: {error}")
        writer = writer_of(made.explainer, tokenizer) if made else None
        place = clusters.save(output, pictures, made.data if made else None, writer)
        if pictures and clusters.groups and not [*place.rglob("cluster-*.png")]:
            message("no contact sheets: neither pictures nor texts that can be read again were explained")
        if virelay is not None and made is not None:
            write_project(virelay, clusters, made)
    if as_json:
        return json.dumps({**clusters.document(), "directory": str(place)})
    lines = [
        [line["class"], str(line["cluster"]), str(line["rows"]), f"{100 * line['share']:.3g} %",
         f"{line['score']:.3f}", line["typical"]]
        for line in clusters.lines
    ]  # fmt: skip
    head = ["class", "cluster", "rows", "of its class", "outlier score", "typical row"]
    pages = [table(head, lines[:SHOWN], screen())]
    if len(lines) > SHOWN:
        pages.append(f"{len(lines) - SHOWN} clusters more")
    pages += [f"left out: {name}: {why}" for name, why in [*clusters.left_out.items()][:SHOWN]]
    return "\n".join([*pages, f"written: {place}"])
