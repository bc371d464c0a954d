"""The page of `run` on many inputs: one table of all, and the first explanations in full."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from onnxdtd.disk import resolved
from onnxdtd.errors import InputError
from onnxdtd.explanation import Explanation
from onnxdtd.folder import read_manifest
from onnxdtd.hints import converted
from onnxdtd.report.document import Page, Section
from onnxdtd.report.page import MOST, Entry, above, explained
from onnxdtd.report.tables import lines, table

SCHEMA = "onnxdtd.results/1"
NUMBERS = ("logit", "probability", "value")


def page(folder: Path) -> Page:
    """Of the folder of results. Raises InputError."""
    document = read_manifest(folder, SCHEMA)
    results = converted(document["results"], tuple[Mapping[str, Any], ...])
    faults = [
        f"{_name(f)}: {f['fault']}" for f in converted(document["faults"], tuple[Mapping[str, str], ...])
    ]
    names = {str(line["folder"]): _name(line) for line in results[:MOST]}  # of several samples one folder
    entries = [Entry(_read(folder, place), name) for place, name in names.items()]
    if not entries:
        raise InputError(f"'{folder}' holds no explanation")
    count = len(results)
    missing = (
        [Section("faults", "What could not be explained", [lines(faults)], "not explained")] if faults else []
    )
    return Page(
        f"{count} explanations",
        above(entries[0].explanation),
        f"{count} explanations",
        [Section("all", "All inputs", [*_all(results)], "all"), *missing, *explained(entries)],
        f"The first {MOST} of {count} explanations are shown in full." if count > MOST else "",
    )


def _all(results: tuple[Mapping[str, Any], ...]) -> Iterator[object]:
    """A line for each, those at which most fired first."""
    names = [name for name in NUMBERS if any(name in line for line in results)]
    ordered = sorted(results, key=lambda line: -len(str(line.get("fired", "")).split()))
    rows = ([*_cells(line, names)] for line in ordered)
    yield table(("input", "label", "explained", *names, "largest", "fired"), rows, len(results))


def _name(line: Mapping[str, Any]) -> str:
    """An input, with its target where there are several for each."""
    return f"{line['input']}, {line['asked']}" if line.get("asked") else str(line["input"])


def _cells(line: Mapping[str, Any], names: list[str]) -> Iterator[object]:
    yield from (line["input"], line.get("label", ""), line.get("target", ""))
    yield from (line.get(name) for name in names)
    yield from (line.get("largest", ""), ", ".join(str(line.get("fired", "")).split()))


def _read(folder: Path, place: str) -> Explanation:
    """One of the explanations. Raises InputError for a place outside the folder."""
    try:
        inside = resolved(folder / place).is_relative_to(resolved(folder))
    except OSError:
        inside = False
    if not inside:
        raise InputError(f"'{folder}' names results that lie elsewhere: '{place}'")
    return Explanation.load(folder / place)
