"""Is a planted artefact found without being told? A watermark on one class of digits, a network that learned it.

    pip install -e ".[cluster]"
    python -m tools.artefact [--work out/artefact]     # 8 minutes

The digits that ship with the repository are dimmed and made noisy, as bad photographs are; two of five digits of one
class bear a checkerboard in a corner. A small network is trained on them (in NumPy) and explained by `batch`; then
`cluster` and `concepts` are asked, of all ten classes, and no one tells them of mark or class:

    cluster    the cluster with the highest outlier score: how many of its rows are marked, and of the marked rows are
               in it
    concepts   of the channels that any class was explained by, the one whose RelMax heatmaps (of the largest
               relevance at one position) agree most in place: how much of its positive relevance lies in the mark
    control    the same without marks

This is done with five seeds, the control with the first.

Writes docs/figures/artefact.json and artefact.png, and the table of docs/lessons.md (--words: only that).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx

import onnxdtd
from tools.artefact.network import Array, scores, to_onnx, train
from tools.artefact.page import write
from tools.artefact.picture import draw
from tools.paths import FIGURES, MODELS

SEEDS = (0, 1, 2, 3, 4)
CLASS, MARKED, HELD_OUT = 8, 32, 20
DIM, NOISE = 0.5, 0.25
CORNER = slice(21, 27)
MARK = (np.indices((6, 6)).sum(axis=0) % 2 == 0).astype(np.float32)
SUMMARY, PICTURE = FIGURES / "artefact.json", FIGURES / "artefact.png"


def marked(pictures: Array) -> Array:
    """The pictures (N, 1, 28, 28) with the mark."""
    other = pictures.copy()
    other[:, :, CORNER, CORNER] = MARK
    return other


def digits(seed: int) -> tuple[Array, Array, Array]:
    """Dim and noisy digits (N, 1, 28, 28), their labels, and which are held out: 20 of each class."""
    data = np.load(MODELS / "mnist_heldout.npz")
    noise = np.random.default_rng(seed).normal(0, NOISE, (len(data["images"]), 1, 28, 28))
    pictures = np.clip(DIM * data["images"][:, None] / 255 + noise, 0, 1).astype(np.float32)
    return pictures, data["labels"], np.arange(len(pictures)) % 100 >= 100 - HELD_OUT


def experiment(work: Path, seed: int, plant: bool = True) -> dict[str, Any]:
    """The scores, and in the work folder the job and what was learned from it."""
    pictures, labels, held = digits(seed)
    x, y = pictures[~held], labels[~held]
    some = np.random.default_rng(seed).choice(np.flatnonzero(y == CLASS), MARKED, replace=False)
    if plant:
        x[some] = marked(x[some])
    weights = train(x, y, seed)
    others = pictures[held][labels[held] != CLASS]
    work.mkdir(parents=True, exist_ok=True)
    onnx.save(to_onnx(weights), work / "net.onnx")
    np.savez(work / "rows.npz", image=x, labels=y)
    results = onnxdtd.batch(work / "net.onnx", work / "rows.npz", work / "job")
    marks = {str(i) for i in some} if plant else set()
    return {
        "accuracy": float((scores(weights, pictures[held]).argmax(axis=1) == labels[held]).mean()),
        "called_by_mark": [
            float((scores(weights, p).argmax(axis=1) == CLASS).mean()) for p in (others, marked(others))
        ],
        "cluster": by_clusters(results, marks),
        "concepts": by_concepts(results, marks),
    }


def by_clusters(results: onnxdtd.Results, marks: set[str]) -> dict[str, Any]:
    """The cluster of the highest score, the next one of another class, and how it overlaps with the marked rows."""
    clusters = onnxdtd.cluster(results)
    first = clusters.lines[0]
    other = next(line for line in clusters.lines if line["class"] != first["class"])
    group = next(group for group in clusters.groups if group.name == first["class"])
    ids = [group.ids[i] for i in group.typical(first["cluster"])]
    others = [group.ids[i] for i in group.typical(0 if first["cluster"] else 1)]
    both = len(marks & set(ids))
    return {
        **first, "next": other["score"], "next_class": other["class"], "ids": ids, "others": others,
        "precision": both / len(ids), "recall": both / len(marks) if marks else None,
    }  # fmt: skip


def by_concepts(results: onnxdtd.Results, marks: set[str]) -> dict[str, Any]:
    """The channel whose reference rows agree most in place, and the next one."""
    concepts = onnxdtd.concepts(results, relmax="max")
    parts_of = {
        c: (concepts.agreement(c, parts := concepts.parts(c)) or 0.0, parts) for c in concepts.relevant
    }
    channel = max(parts_of, key=lambda c: parts_of[c][0])
    clean = [c for c in parts_of if c != channel and not marks & {r.id for r in concepts.relevant[c]}]
    ids = [reference.id for reference in concepts.relevant[channel]]
    heatmaps = [parts_of[channel][1][name][1].relevance["image"][0, 0] for name in ids]
    best = max(
        (entry["share"], name)
        for name, entries in concepts.classes.items()
        for entry in entries
        if entry["channel"] == channel
    )
    return {
        "layer": concepts.layer.name, "channel": channel, "class": best[1], "share": best[0],
        "agreement": parts_of[channel][0], "unmarked": max(parts_of[c][0] for c in clean), "ids": ids,
        "inside": float(np.mean([inside(r) for r in heatmaps])),
        "marked": float(np.mean([name in marks for name in ids])),
    }  # fmt: skip


def inside(relevance: Array) -> float:
    """The share of positive relevance (28, 28) within the corner of the mark."""
    positive = np.maximum(relevance.astype(np.float64), 0)
    return float(positive[CORNER, CORNER].sum() / positive.sum())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--work", type=Path, default=Path("out/artefact"), help="where network and jobs are kept"
    )
    parser.add_argument("--words", action="store_true", help="only write the table anew")
    asked = parser.parse_args()
    if not asked.words:
        planted = [experiment(asked.work / f"planted-{seed}", seed) for seed in SEEDS]
        control = experiment(asked.work / "control", SEEDS[0], plant=False)
        draw(asked.work / f"planted-{SEEDS[0]}", planted[0], PICTURE)
        document = {"class": CLASS, "marked": MARKED, "planted": planted, "control": control}
        SUMMARY.write_text(json.dumps(document, indent=1) + "\n")
    write(json.loads(SUMMARY.read_text()))


if __name__ == "__main__":
    main()
