"""The work of `compare`, loaded when it runs."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import onnxdtd
from onnxdtd.cli.job import ask
from onnxdtd.cli.progress import Progress
from onnxdtd.cli.settings import setting
from onnxdtd.cli.text import aligned, page, screen, sections, table
from onnxdtd.comparison.comparison import MANIFEST, PICTURE, SCHEMA, Comparison
from onnxdtd.comparison.runner import choose
from onnxdtd.errors import Faults, InputError, UsageError
from onnxdtd.folder import check_folder
from onnxdtd.inputs import IMAGE_SUFFIXES
from onnxdtd.inputs.files import ARRAYS
from onnxdtd.inputs.members import members

HEAD = ("method", "forward passes", "time", "started", "arrived", "share")
WORDS = {"cosine": "cosine", "spearman": "rank correlation (Spearman)", "top10": "overlap of the top 10 %"}


def compare(
    model: Path,
    input: Path,
    output: Path,
    methods: Sequence[str],
    targets: Sequence[str],
    options: Mapping[str, Any],
    preprocess: Path | None,
    image: Mapping[str, Any],
    more: Mapping[str, Any],
    *,
    settings: Sequence[str],
    background: Path | None,
    as_json: bool,
) -> str:
    """Explain by every method, write the folder, and tell of it: tables, or one JSON object."""
    chosen: dict[str, dict[str, Any]] = {}
    asked = ask(
        model, input, targets, {**options, "method": "gradient"}, preprocess, image,
        partial(check_folder, output, SCHEMA), partial(_chosen, methods, settings, chosen),
    )  # fmt: skip
    faults, explainer = Faults(), asked.explainer
    with faults:
        rows = None if background is None else _background(background)
    faults.stop()
    pictured = asked.prepare is not None and input.suffix.lower() in IMAGE_SUFFIXES
    picture = asked.prepare.picture(input) if asked.prepare and pictured else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy, matplotlib and the neighbours' packages
        with Progress(quiet=as_json) as progress:
            comparison = onnxdtd.compare(
                explainer, asked.x, methods, asked.targets, options=chosen, background=rows, progress=progress,
                **more,
            )  # fmt: skip
        folder = comparison.save(output, picture=picture)
    written = json.loads((folder / MANIFEST).read_text("utf-8"))
    if as_json:
        return json.dumps({**written, "directory": str(folder)}, allow_nan=False)
    return words_of(comparison, output, written["files"])


def _equals(comparison: Comparison) -> dict[str, list[str]]:
    """By method that is shown, those that it stands for."""
    names: dict[str, list[str]] = {}
    for method, shown in comparison.equal.items():
        names.setdefault(shown, []).append(method)
    return names


def words_of(comparison: Comparison, directory: Path, files: Sequence[str]) -> str:
    """Times and conservation, the similarities of each target, and what was refused."""
    parts = []
    for number, target in enumerate(comparison.targets):
        parts.append(f"{target}, {comparison.values[number]:.4g}")
        parts.append(table(HEAD, [_row(comparison, number, m) for m in comparison.methods], screen()))
        parts += [
            f"{WORDS[name]}\n{_matrix(comparison, m)}" for name, m in comparison.similarity[number].items()
        ]
    rows = [
        ("forward", [f"{_time(comparison.forward.seconds)}, median of {comparison.forward.repeats}"]),
        ("covered", [comparison.covers]),
        ("the same", [f"{', '.join(names)}: as {method}" for method, names in _equals(comparison).items()]),
        ("left out", [f"{method}: {reason}" for method, reason in comparison.refused.items()]),
        ("warning", _warnings(comparison)),
        ("written", [f"{directory}: {', '.join(files)}"]),
    ]
    if PICTURE not in files:
        rows.append(
            (
                "picture",
                [f"none: {next(iter(comparison.inputs.values())).shape} is no image, sequence or table"],
            )
        )
    return "\n\n".join([*parts, sections([row for row in rows if any(row[1])], page())])


def _row(comparison: Comparison, number: int, method: str) -> tuple[str, ...]:
    times = (f"{comparison.multiple(method):,.1f}", _time(comparison.timings[method].seconds))
    cell = comparison.cells.get((number, method))
    if cell is None:
        return (method, *times, "-", "-", "-")
    share = "" if cell.share is None else f"{cell.share:.1%}"
    return (method, *times, f"{cell.started:.4g}", f"{cell.arrived:.4g}", share)


def _matrix(comparison: Comparison, matrix: Any) -> str:
    """The lower half, the columns numbered as the rows are."""
    rows = [("", "", *map(str, range(1, len(matrix) + 1)))]
    for i, method in enumerate(comparison.methods):
        cells = [("-" if math.isnan(v) else f"{v:.2f}") if j <= i else "" for j, v in enumerate(matrix[i])]
        rows.append((str(i + 1), method, *cells))
    return "\n".join(aligned(rows, "><" + ">" * len(matrix)))


def _warnings(comparison: Comparison) -> list[str]:
    """Each warning once, with the methods that give it."""
    by_text: dict[str, dict[str, None]] = {}
    for (_, method), cell in comparison.cells.items():
        for text in cell.warnings:
            by_text.setdefault(text, {})[method] = None
    return [f"{', '.join(methods)}: {text}" for text, methods in by_text.items()]


def _time(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def _chosen(methods: Sequence[str], settings: Sequence[str], chosen: dict[str, dict[str, Any]]) -> None:
    """Reads the settings into `given`. Raises UsageError for a method or a setting that cannot be."""
    faults = Faults()
    for text in settings:
        with faults:
            method, dot, rest = text.partition(".")
            if not dot or "=" not in rest:
                raise UsageError(f"--set {text}: give METHOD.NAME=VALUE, such as smoothgrad.samples=50")
            entry = onnxdtd.NEIGHBOURS.get(method)
            read = setting(method, rest) if entry is None else _neighbour(text, *rest.partition("=")[::2])
            chosen.setdefault(method, {}).update(read)
    with faults:
        choose(methods, chosen)
    faults.stop()


def _neighbour(text: str, name: str, value: str) -> dict[str, Any]:
    if name == "l1_reg":
        return {name: value}
    try:
        number = json.loads(value)
    except ValueError:
        number = None
    if type(number) not in (int, float):
        raise UsageError(f"--set {text}: {name} is a number")
    return {name: number}


def _background(path: Path) -> Any:
    """Rows from a .npy, or the one array of a .npz that is called `background`, or the only one."""
    if path.suffix.lower() not in ARRAYS:
        raise InputError(f"'{path}' cannot be read as .npy or .npz")
    stored = members(path, ("background",))
    if "background" not in stored:
        raise InputError(f"'{path}' holds {', '.join(stored)}: call the one to take 'background'")
    return stored["background"].whole()
