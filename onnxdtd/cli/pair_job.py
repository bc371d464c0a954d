"""The work of `compare --with`, loaded when it runs."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from onnxdtd.cli.compare_job import WORDS
from onnxdtd.cli.job import ask, explainer_for
from onnxdtd.cli.text import numbers, page, screen, sections, table
from onnxdtd.comparison.neighbour import NEIGHBOURS
from onnxdtd.comparison.pair import MANIFEST, PICTURE, SCHEMA, SHOWN, Pair, compare_models
from onnxdtd.errors import Faults, UsageError
from onnxdtd.explanation import Explanation
from onnxdtd.folder import check_folder
from onnxdtd.inputs import IMAGE_SUFFIXES

HEAD = ("model", "explained", "arrived", "largest outputs")


def compare_with(
    model: Path,
    other: Path,
    input: Path,
    output: Path,
    methods: Sequence[str],
    targets: Sequence[str],
    options: Mapping[str, Any],
    preprocess: Path | None,
    image: Mapping[str, Any],
    sample: int,
    as_json: bool,
) -> str:
    """Explain one input by two models, write the folder, and tell of it: a table, or one JSON object."""
    faults, second = Faults(), None
    with faults:
        method = _one(methods)
    if not faults.errors:
        second = explainer_for(faults, other, **{**options, "method": method})
    faults.stop()
    assert second is not None  # or there was a fault
    asked = ask(
        model,
        input,
        targets,
        {**options, "method": method},
        preprocess,
        image,
        partial(check_folder, output, SCHEMA),
    )
    pictured = asked.prepare is not None and input.suffix.lower() in IMAGE_SUFFIXES
    picture = asked.prepare.picture(input) if asked.prepare and pictured else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy and matplotlib
        pair = compare_models(asked.explainer, second, asked.x, asked.targets, sample=sample)
        folder = pair.save(output, picture=picture)
    written = json.loads((folder / MANIFEST).read_text("utf-8"))
    if as_json:
        return json.dumps({**written, "directory": str(folder)}, allow_nan=False)
    return told(pair, output, written["files"])


def _one(methods: Sequence[str]) -> str:
    """The method for both models: `auto` where none was asked for."""
    method, *more = ["auto"] if list(methods) == ["all"] else methods
    if more or method == "all":
        raise UsageError("two models are compared by one method: --methods NAME")
    if method in NEIGHBOURS:
        raise UsageError(f"two models are compared by a method of onnxdtd, not by {method}")
    return method


def told(pair: Pair, directory: Path, files: Sequence[str]) -> str:
    """For each target both models' answers, and how alike their maps are."""
    parts = []
    for both, likeness, off in zip(pair.explanations, pair.similarity, pair.distance, strict=True):
        first, second = both
        reason = f" ({first.reason})" if first.reason else ""
        parts.append(f"{first.label(pair.row)}, by {first.method}{reason}")
        rows = [_row(name, e, pair.row) for name, e in zip(pair.names, both, strict=True)]
        parts.append(table(HEAD, rows, screen()))
        measured = [
            f"{WORDS[name]} {'-' if math.isnan(value) else f'{value:.3f}'}"
            for name, value in likeness.items()
        ]
        notes = [f"{name}: {text}" for name, e in zip(pair.names, both, strict=True) for text in e.warnings]
        lines = [("maps", [", ".join(measured)]), ("warning", notes)]
        if off is not None:
            lines.insert(1, ("outputs", [f"{off:.4g} apart, at most"]))
        if first.top(1, pair.row)[0][0] != second.top(1, pair.row)[0][0]:
            lines.insert(1, ("class", ["the models do not agree on it"]))
        parts.append(sections([line for line in lines if line[1]], page()))
    rest = [("written", [f"{directory}: {', '.join(files)}"])]
    if PICTURE not in files:
        rest.append(("picture", ["none: the input is no image, sequence or table"]))
    return "\n\n".join([*parts, sections(rest, page())])


def _row(name: str, e: Explanation, row: int) -> tuple[str, ...]:
    best = e.top(SHOWN, row)
    values = numbers([value for *_, value in best])
    words = [
        f"{','.join(map(str, index))}{f' {label}' if label and label != str(index[-1]) else ''} = {value.strip()}"
        for (index, label, _), value in zip(best, values, strict=True)
    ]
    arrived = sum(float(r[row].sum(dtype="float64")) for r in e.relevance.values())
    return name, f"{e.target_value[row]:.4g}", f"{arrived:.4g}", "; ".join(words)
