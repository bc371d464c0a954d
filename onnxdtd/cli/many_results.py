"""What `run` leaves of many inputs: a folder for each, in it one for each of several targets, and pages of all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from onnxdtd.cli.faults import Fault
from onnxdtd.cli.places import Places, places_of
from onnxdtd.cli.text import page, screen, sections, table
from onnxdtd.explanation import Explanation
from onnxdtd.folder import plain
from onnxdtd.inputs import Row
from onnxdtd.reading import by_sample, column_names, columns
from onnxdtd.render.canvas import DPI
from onnxdtd.render.contact import MOST, Thumb, beside, sheet, thumb
from onnxdtd.render.waterfall import ranking
from onnxdtd.sheets import relevance_lines, summary_line, write_csv, write_parquet
from onnxdtd.types import Array

SHOWN = 20


class ManyResults:
    """What is kept of each explanation, which is written at once: a line, a small picture, sums over columns."""

    def __init__(self, ids: Sequence[str], targets: Sequence[str], as_json: bool) -> None:
        self.lines: list[dict[str, Any]] = []
        self._places, self._json = Places(ids), as_json
        self._targets = targets
        self._several = len(targets) > 1
        self._folders = places_of(targets) if self._several else [""]
        self._relevance: list[dict[str, Any]] = []
        self._thumbs: list[list[Thumb]] = []
        self._most = max(MOST // len(targets), 1)
        self._left_out = False
        self._columns: list[dict[tuple[str, ...], list[Array]]] = [{} for _ in targets]
        self._inputs: set[str] = set()
        self._method, self._warned = "", 0

    def add(self, folder: Path, row: Row, each: Mapping[int, Explanation]) -> None:
        """Write the results of a row, by the number of their target, and keep what the pages of all need."""
        label = "" if row.label is None else row.label
        shown = row.picture() if row.picture else None
        self.keep(folder, row.id, self._places(row.id), each, shown, label=label)

    def keep(
        self, folder: Path, name: str, place: str, each: Mapping[int, Explanation], shown: Any, *,
        label: int | str = "", extras: Callable[[Explanation, Path], object] | None = None,
    ) -> None:  # fmt: skip
        """The same of an input of any number of samples. place: its folder. shown: the picture of the first sample.
        extras: writes further files of each explanation."""
        for number, e in each.items():
            inside = "/".join(filter(None, (place, self._folders[number])))
            (folder / inside).parent.mkdir(parents=True, exist_ok=True)
            e.save(folder / inside, picture=shown, extras=partial(extras, e) if extras else None)
            asked = {"asked": self._targets[number]} if self._several else {}
            rows = [{"row": i} for i in range(len(e.target))] if len(e.target) > 1 else [{}]
            more = {"folder": inside, "label": label}
            self.lines += [
                summary_line(e, i, {"input": name, **asked, **r, **more}) for i, r in enumerate(rows)
            ]
            first = {"input": name, **asked}
            lines = relevance_lines(e) if len(rows) > 1 else relevance_lines(e, first)
            self._relevance += [{**first, **line} for line in lines]
            if names := tuple(column_names(e)):
                relevance = by_sample(e).relevance
                parts = [relevance[part] for part in columns(e) or list(relevance)[:1]]
                whole = np.concatenate([r.reshape(len(rows), -1) for r in parts], axis=1)
                self._columns[number].setdefault(names, []).append(whole)
            self._method = e.method
            self._warned += bool(e.warnings)
        if each:
            self._inputs.add(name)
        for sample in range(max((len(e.target) for e in each.values()), default=0)):
            self._left_out = len(self._thumbs) == self._most
            if not self._left_out:
                self._thumbs += self._cells(name, each, shown if sample == 0 else None, sample)

    def _cells(
        self, name: str, each: Mapping[int, Explanation], shown: Any, sample: int
    ) -> list[list[Thumb]]:
        """The cells of a sample, if any target has a picture: the first shows and names the input, too."""
        cells = list[Thumb]()
        for number, text in enumerate(self._targets):
            e = each.get(number)
            which = f"{name}[{sample}]" if e is not None and len(e.target) > 1 else name
            cell = None if e is None or column_names(e) else thumb(e, which, sample, shown)
            if cell is None:
                cell = Thumb((which, f"{text}: {'not explained' if e is None else 'no picture'}"), ())
            elif any(earlier.pictures for earlier in cells):
                _, words, *fired = cell.lines
                cell = Thumb((*words.rsplit(", ", 1), *fired), cell.pictures[-1:])
            cells.append(cell)
        return [cells] if any(cell.pictures for cell in cells) else []

    def finish(self, folder: Path, wrong: Sequence[Fault], parquet: bool) -> dict[str, Any]:
        """The pages of all; returns the manifest."""
        write_csv(folder / "summary.csv", self.lines)
        if parquet:
            write_parquet(folder / "summary.parquet", self.lines)
        if self._relevance:
            write_csv(folder / "relevance.csv", self._relevance)
        for number, tables in enumerate(self._columns):
            self._rank(folder, number, tables)
        if self._thumbs:
            words = f"{self._count}{self._times}  ·  {self._method}"
            more = f"the first {self._most} are shown" if self._left_out else ""
            cells, across = beside(self._thumbs)
            sheet(cells, words, more, across).savefig(folder / "contact.png", dpi=DPI)
        return {"results": plain(self.lines), "faults": [fault.document() for fault in wrong]}

    def _rank(self, folder: Path, number: int, tables: Mapping[tuple[str, ...], list[Array]]) -> None:
        """The columns of a table by their mean |relevance| for a target."""
        of = f", {self._targets[number]}" if self._several else ""
        name = "-".join(filter(None, ("columns", self._folders[number])))
        for names, rows in [*tables.items()][:1]:
            whole = np.concatenate(rows)
            if len(whole) > 1 and np.isfinite(whole).all():
                words = f"{self._count}{of}  ·  {self._method}"
                ranking(whole, names, words).savefig(folder / f"{name}.png", dpi=DPI)

    def told(self, output: Path, saved: Path, wrong: Sequence[Fault]) -> str:
        """A table of the first, or one JSON object."""
        if self._json:
            faults = [fault.document() for fault in wrong]
            return json.dumps({"results": plain(self.lines), "faults": faults, "directory": str(saved)})
        names = ("input", "target", "logit", "probability", "value", "largest", "fired")
        head = [name for name in names if any(line.get(name, "") != "" for line in self.lines)]
        rows = [[_cell(line.get(name, "")) for name in head] for line in self.lines[:SHOWN]]
        rest = len(self.lines) - len(rows)
        files = sorted(path.name for path in saved.iterdir() if path.is_file())
        inside = f" with one for each of {len(self._targets)} targets" if self._several else ""
        facts = [
            ("", [f"and {rest} more"] if rest else []),
            ("method", [self._method]),
            (
                "warning",
                [f"{self._warned} of {len(self.lines)} results have warnings"] if self._warned else [],
            ),
            ("written", [f"{output}: {', '.join(files)}, and a folder for each input{inside}"]),
        ]
        return "\n\n".join(
            [table(head, rows, screen()), sections([fact for fact in facts if fact[1]], page())]
        )

    @property
    def _count(self) -> str:
        return f"{len(self._inputs)} input{'s' * (len(self._inputs) != 1)}"

    @property
    def _times(self) -> str:
        return f", {len(self._targets)} targets each" if self._several else ""


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
