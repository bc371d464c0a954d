"""What was found, as one picture: the cluster, the rest of its class, and the reference rows of the channel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import onnxdtd
from onnxdtd.render.contact import Thumb, cell, sheet

ACROSS = 6


def draw(work: Path, planted: dict[str, Any], path: Path) -> None:
    """Three lines of six rows."""
    results, pictures = onnxdtd.Results(work / "job"), np.load(work / "rows.npz")["image"]
    cluster, concept = planted["cluster"], planted["concepts"]
    thumbs: list[Thumb | None] = []
    for word, ids in (("in the cluster", cluster["ids"]), ("others of its class", cluster["others"])):
        thumbs += [
            cell(
                (word, f"row {name}, class {cluster['class']}"),
                results[name]["relevance"]["image"],
                pictures[int(name)],
            )
            for name in ids[:ACROSS]
        ]
    parts = onnxdtd.concepts(results, relmax="max").parts(concept["channel"])
    thumbs += [
        cell((f"channel {concept['channel']}, RelMax {rank}", f"row {name}"), parts[name][1].relevance["image"][0],
             pictures[int(name)])
        for rank, name in enumerate(concept["ids"], 1)
    ]  # fmt: skip
    title = "What a network took for an eight: a mark in the corner"
    caption = "the cluster and the channel that stood out among all classes; nothing was told of the mark"
    sheet([thumb for thumb in thumbs if thumb], title, caption, across=ACROSS).savefig(path, dpi=100)
