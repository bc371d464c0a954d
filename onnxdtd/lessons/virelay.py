"""A project of ViRelAy (Anders et al. 2021), in which clusters of heatmaps are browsed: a YAML file, and beside it

    -dataset.h5      data (N, 3, H, W) in 0..1, label (N,)
    -attribution.h5  attribution (N, C, H, W), prediction (N, classes), label (N,)
    -analysis.h5     for each class: index (n,), embedding/spectral, embedding/tsne, cluster/spectral
    -labels.json     a name for each label

Only their format is known here: nothing of ViRelAy is imported.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from onnxdtd.datasets import Results
from onnxdtd.datasets.recipe import Reopened
from onnxdtd.disk import open_regular
from onnxdtd.durable import whole
from onnxdtd.errors import InputError, UsageError
from onnxdtd.inputs import Row
from onnxdtd.inputs.layout import layout_of
from onnxdtd.lessons.classes import class_of
from onnxdtd.lessons.clustering import RELEVANCE, relevance_columns
from onnxdtd.lessons.clusters import Clusters
from onnxdtd.lessons.library import h5py
from onnxdtd.printing import is_whole
from onnxdtd.render.images import channels_last, picture_of
from onnxdtd.types import Array
from onnxdtd.workers import check_ids, reread

FIRST_LINE = "# A project of ViRelAy, written by onnxdtd cluster\n"
PARTS = ("dataset.h5", "attribution.h5", "analysis.h5", "labels.json")
MOST_LABELS = 1 << 16


def check_project(path: Path) -> None:
    """UsageError where a project cannot be written to a path, or would replace what is none of ours."""
    h5py()
    if path.suffix.lower() not in (".yaml", ".yml"):
        raise UsageError(f"'{path}': a project of ViRelAy is a .yaml file")
    try:
        with open_regular(path) as file:
            ours = file.read(len(FIRST_LINE)) == FIRST_LINE.encode()
    except OSError:
        ours = False
    others = [place for place in (path, *(_part(path, name) for name in PARTS)) if place.exists()]
    if others and not ours:
        raise UsageError(f"'{others[0]}' was not written by onnxdtd: choose another name")


def write_project(path: Path, clusters: Clusters, made: Reopened) -> Path:
    """Write the project of a job of pictures. made: its explainer and data. Raises UsageError where h5py is missing
    or something else would be replaced, InputError where rows are no pictures or the data are not at hand."""
    check_project(path)
    results = Results(clusters.folder)
    if made.data is None:
        raise InputError(f"'{clusters.folder}' was explained from data in memory: name them (--data, data=)")
    name = relevance_columns(results, clusters.settings["inputs"])[0].removeprefix(RELEVANCE)
    path.parent.mkdir(parents=True, exist_ok=True)
    indices = _indices(results, made)
    with _h5(path, "dataset.h5") as dataset, _h5(path, "attribution.h5") as attribution:
        shape = _fill(results, name, made, indices, dataset, attribution)
    with _h5(path, "analysis.h5") as analysis:
        _analyses(results, clusters, indices, analysis)
    names = made.explainer.loaded.labels or ()
    labels = [
        {"index": i, "word_net_id": _category(i), "name": names[i] if i < len(names) else name}
        for name, i in sorted(indices.items(), key=lambda item: item[1])
    ]
    _part(path, "labels.json").write_text(json.dumps(labels, indent=1) + "\n", "utf-8")
    top = results.manifest["target"] == "top"
    with whole(path) as file:
        file.write(_yaml(path, results, shape, "predicted_label" if top else "true_label").encode())
    return path


def _fill(
    results: Results, name: str, made: Reopened, indices: dict[str, int], dataset: Any, attribution: Any
) -> tuple[int, ...]:
    """Pictures, relevance and scores of all rows, one after the other; returns a picture's (3, H, W)."""
    rows = [(row["row"], row["id"]) for row in results.rows(["row", "id"])]
    assert made.data is not None
    check_ids(made.data, rows)
    output = made.explainer.plan(made.explainer.loaded.question(made.target).output).output
    scores = made.explainer.forward([output])
    pairs = zip(results, reread(made.data, rows), strict=True)
    for i, (result, (_, row)) in enumerate(pairs):
        r = _channels_first(result["relevance"][name], result["id"])
        picture = _picture(row, name)
        score = np.asarray(scores(row.inputs)[output], np.float32).reshape(-1)
        label = indices[class_of(result)]
        if i == 0:
            n = len(rows)
            for file, part, one in ((dataset, "data", picture), (attribution, "attribution", r),
                                    (attribution, "prediction", score)):  # fmt: skip
                file.create_dataset(part, (n, *one.shape), np.float32)
            for file in (dataset, attribution):
                file.create_dataset("label", (n,), np.uint16)
        try:
            dataset["data"][i], attribution["attribution"][i], attribution["prediction"][i] = (
                picture,
                r,
                score,
            )
        except TypeError:
            raise InputError(f"'{result['id']}' differs in shape from the rows before it") from None
        dataset["label"][i] = attribution["label"][i] = label
    return tuple(int(size) for size in dataset["data"].shape[1:])


def _analyses(results: Results, clusters: Clusters, indices: dict[str, int], file: Any) -> None:
    positions = {name: i for i, name in enumerate(results.ids)}
    for group in clusters.groups:
        place = file.require_group(_category(indices[group.name]))
        place["index"] = np.array([positions[name] for name in group.ids], np.uint32)
        spectral = place.create_dataset("embedding/spectral", data=group.vectors.astype(np.float32))
        spectral.attrs["eigenvalue"] = group.eigenvalues.astype(np.float32)
        for name, xy in group.maps.items():
            plane = place.create_dataset(f"embedding/{name}", data=xy.astype(np.float32))
            plane.attrs["embedding"], plane.attrs["index"] = "spectral", np.array([0, 1])
        count = len(group.scores)
        labels = place.create_dataset("cluster/spectral", data=group.labels.astype(np.int64))
        labels.attrs["embedding"], labels.attrs["index"], labels.attrs["k"] = (
            "spectral",
            np.arange(count),
            count,
        )


def _indices(results: Results, made: Reopened) -> dict[str, int]:
    """A number for each class that rows have: its own, that of its name, or the next one free."""
    columns = ["label", "prediction", "target", "target_name"]
    seen = sorted(
        {class_of(row, by) for row in results.rows(columns) for by in (None, "prediction", "target")}
    )
    names = {name: i for i, name in enumerate(made.explainer.loaded.labels or ())}
    indices = {
        name: int(name) if is_whole(name) else names[name] for name in seen if is_whole(name) or name in names
    }
    free = max([*indices.values(), len(names) - 1, -1]) + 1
    others = [name for name in seen if name not in indices]
    indices |= {name: free + i for i, name in enumerate(others)}
    if max(indices.values()) >= MOST_LABELS:
        raise InputError(f"ViRelAy counts labels up to {MOST_LABELS - 1}, and there are more")
    return indices


def _channels_first(r: Array, name: str) -> Array:
    layout = layout_of(r.shape)
    if layout not in ("NCHW", "NHWC", "NHW"):
        raise InputError(f"ViRelAy shows pictures, and the relevance of '{name}' is of shape {r.shape}")
    return np.moveaxis(channels_last(r, layout), -1, 0)


def _picture(row: Row, name: str) -> Array:
    """(3, H, W) in 0..1."""
    shown = picture_of(row.inputs[name][0]) if row.picture is None else np.asarray(row.picture())
    return np.moveaxis(shown, -1, 0).astype(np.float32) / 255


def _yaml(path: Path, results: Results, shape: tuple[int, ...], strategy: str) -> str:
    source = results.manifest.get("source", {})
    model = Path(source.get("model") or "model").stem
    place = {name: json.dumps(_part(path, name).name) for name in PARTS}
    return f"""{FIRST_LINE}project:
  name: {json.dumps(path.stem)}
  model: {json.dumps(model)}
  label_map: {place["labels.json"]}
  dataset:
    name: {json.dumps(path.stem)}
    type: hdf5
    path: {place["dataset.h5"]}
    input_width: {shape[2]}
    input_height: {shape[1]}
    down_sampling_method: none
    up_sampling_method: none
  attributions:
    attribution_method: {json.dumps(results.manifest["method"])}
    attribution_strategy: {strategy}
    sources:
      - {place["attribution.h5"]}
  analyses:
    - analysis_method: {json.dumps("Spectral relevance analysis")}
      sources:
        - {place["analysis.h5"]}
"""


def _category(index: int) -> str:
    return f"{index:08d}"


def _part(path: Path, name: str) -> Path:
    return path.with_name(f"{path.stem}-{name}")


@contextmanager
def _h5(path: Path, name: str) -> Iterator[Any]:
    """An HDF5 file that takes its name when it is whole."""
    place = _part(path, name)
    unfinished = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        with h5py().File(unfinished, "w") as file:
            yield file
        unfinished.replace(place)
    finally:
        unfinished.unlink(missing_ok=True)
