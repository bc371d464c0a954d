"""`cluster`: which strategies a model has for a class, by what its heatmaps have in common.

Spectral relevance analysis (Lapuschkin et al. 2019, "Unmasking Clever Hans predictors and assessing what machines
really learn"): the heatmaps of a class are made small and clustered; a cluster that is small and far from the others
is looked at first, since it may show that the model goes by an artefact.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from onnxdtd.datasets import Results
from onnxdtd.errors import InputError, UsageError
from onnxdtd.lessons.classes import class_of
from onnxdtd.lessons.clusters import Clusters
from onnxdtd.lessons.features import features
from onnxdtd.lessons.groups import Group
from onnxdtd.lessons.library import sklearn, umap
from onnxdtd.lessons.spectral import Spectrum, flattened, outlying, spectral
from onnxdtd.settings import checked_seed
from onnxdtd.types import Array

LEAST = 8
"""Rows of a class that can be clustered."""
AT_ONCE = 1 << 25
"""Numbers of heatmaps, made small, that are held."""
BY = ("label", "prediction", "target")
RELEVANCE = "relevance."


def cluster(
    results: Results | str | Path,
    *,
    by: str | None = None,
    classes: Collection[str] = (),
    inputs: Sequence[str] = (),
    side: int = 20,
    neighbours: int = 10,
    most: int = 8,
    count: int | None = None,
    most_rows: int = 2000,
    seed: int = 0,
) -> Clusters:
    """The clusters of a job's heatmaps, class by class (spectral relevance analysis, Lapuschkin et al. 2019).

    by: what a row's class is, its `label`, its `prediction` or its `target`; by default the first that it has.
    classes: only these. inputs: the relevance of these inputs only. side: pictures are made that small, see
    `features`. neighbours, most, count: see `spectral`; most: clusters of a class. most_rows: of a class, a random
    sample where it has more. Deterministic for a seed.

    Classes with fewer than 8 rows, and rows whose relevance is zero or not finite, are left out and named. Raises
    UsageError where scikit-learn is missing, InputError where no relevance is stored or rows differ in shape.
    """
    sklearn("cluster")  # raises, before much is read
    results = results if isinstance(results, Results) else Results(results)
    _check(by, {"side": side, "neighbours": neighbours, "most": most, "most_rows": most_rows, "count": count})
    columns = relevance_columns(results, inputs)
    rng = np.random.default_rng(checked_seed(seed))
    members = _members(results, by, classes)
    left_out = {
        f"class {name}": f"it has {len(rows)} rows, and clusters take {LEAST}"
        for name, rows in members.items()
        if len(rows) < LEAST
    }
    chosen = {
        name: np.sort(rng.choice(rows, most_rows, replace=False)) if len(rows) > most_rows else np.array(rows)
        for name, rows in members.items()
        if len(rows) >= LEAST
    }
    groups: list[Group] = []
    for some in _portions(chosen, 3 * side * side):
        for name, (ids, places, rows) in _read(results, columns, some, side, left_out).items():
            if len(ids) < LEAST:
                left_out[f"class {name}"] = (
                    f"{len(ids)} of its rows have relevance, and clusters take {LEAST}"
                )
                continue
            spectrum = spectral(rows, neighbours, most, count, seed)
            groups.append(_group(name, ids, places, rows, spectrum, len(members[name]), seed))
    settings = {"by": by, "inputs": [c.removeprefix(RELEVANCE) for c in columns], "side": side,
                "neighbours": neighbours, "most": most, "count": count, "most_rows": most_rows,
                "seed": seed}  # fmt: skip
    return Clusters(results.folder, tuple(groups), left_out, settings)


def relevance_columns(results: Results, inputs: Sequence[str]) -> list[str]:
    """The columns that hold the relevance of these inputs, or of all. Raises InputError, UsageError."""
    stored = [n for n in results.columns if n.startswith(RELEVANCE) and not n.endswith(".shape")]
    if not stored:
        raise InputError(f"'{results.folder}' holds no relevance: run batch with --store relevance")
    if unknown := [name for name in inputs if RELEVANCE + name not in stored]:
        names = ", ".join(name.removeprefix(RELEVANCE) for name in stored)
        raise UsageError(f"no relevance of an input {', '.join(unknown)} is stored; there are {names}")
    return [RELEVANCE + name for name in inputs] or stored


def _check(by: str | None, numbers: Mapping[str, int | None]) -> None:
    if by is not None and by not in BY:
        raise UsageError(f"no class by {by!r}; choose among {', '.join(BY)}")
    for name, number in numbers.items():
        if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
            raise UsageError(f"{name} is a number of 1 or more, not {number!r}")


def _members(results: Results, by: str | None, classes: Collection[str]) -> dict[str, list[int]]:
    """By class, at which places of the results its rows are."""
    members: dict[str, list[int]] = {}
    for at, row in enumerate(results.rows(["label", "prediction", "target", "target_name"])):
        members.setdefault(class_of(row, by), []).append(at)
    if unknown := sorted(set(classes) - members.keys()):
        raise UsageError(
            f"no rows of class {', '.join(unknown)}; there are {', '.join(sorted(members)[:20])}"
        )
    return {name: rows for name, rows in sorted(members.items()) if not classes or name in classes}


def _portions(chosen: Mapping[str, Array], width: int) -> Iterator[dict[str, Array]]:
    """Classes that are held at a time, as many as have room."""
    some: dict[str, Array] = {}
    for name, rows in chosen.items():
        if some and (sum(map(len, some.values())) + len(rows)) * width > AT_ONCE:
            yield some
            some = {}
        some[name] = rows
    if some:
        yield some


def _read(
    results: Results, columns: Sequence[str], chosen: Mapping[str, Array], side: int, left_out: dict[str, str]
) -> dict[str, tuple[list[str], list[int], Array]]:
    """By class: ids, places in the data, and vectors (N, F) of the chosen rows."""
    owner = {int(at): name for name, rows in chosen.items() for at in rows}
    read: dict[str, list[tuple[str, int, Array]]] = {name: [] for name in chosen}
    shapes: dict[str, tuple[int, ...]] = {}
    for at, row in enumerate(results.rows(["id", "row", *columns])):
        if at not in owner:
            continue
        for name, r in row["relevance"].items():
            if shapes.setdefault(name, r.shape) != r.shape:
                raise InputError(
                    f"the relevance of '{name}' is of shape {shapes[name]} in some rows and {r.shape} in "
                    f"'{row['id']}': clusters need rows of one shape"
                )
        vector = features(row["relevance"], side)
        if vector is None:
            left_out[row["id"]] = "its relevance is zero or not finite"
        else:
            read[owner[at]].append((row["id"], row["row"], vector))
    return {
        name: ([r[0] for r in rows], [r[1] for r in rows], np.stack([r[2] for r in rows] or [np.zeros(0)]))
        for name, rows in read.items()
    }


def _group(
    name: str, ids: list[str], places: list[int], rows: Array, spectrum: Spectrum, total: int, seed: int
) -> Group:
    rows = np.asarray(rows, np.float64)
    means = np.stack(
        [rows[spectrum.labels == label].mean(axis=0) for label in range(int(spectrum.labels.max()) + 1)]
    )
    maps = {"tsne": flattened(spectrum.vectors, seed)}
    if (library := umap()) is not None:
        near = min(15, len(rows) - 1)
        way = library.UMAP(n_neighbors=near, random_state=seed, n_jobs=1)
        maps["umap"] = np.asarray(way.fit_transform(spectrum.vectors), np.float32)
    scores = tuple(outlying(rows, spectrum.labels, spectrum.cuts, spectrum.gap))
    return Group(
        name, tuple(ids), np.array(places), spectrum.labels, spectrum.eigenvalues, spectrum.vectors, maps,
        scores, np.linalg.norm(rows - means[spectrum.labels], axis=1), total,
    )  # fmt: skip
