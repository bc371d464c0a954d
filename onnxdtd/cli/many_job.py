"""The work of `run` on many inputs: a folder of results, one table and one contact sheet of all."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

import onnxdtd
from onnxdtd.arrow import arrow
from onnxdtd.audit import with_findings
from onnxdtd.cli.job import ask_many
from onnxdtd.cli.options import one
from onnxdtd.cli.progress import Progress
from onnxdtd.cli.settings import restrictions
from onnxdtd.cli.text import page, say, screen, sections, table
from onnxdtd.errors import CheckError, InputError, OnnxdtdError, PartialError, UsageError
from onnxdtd.explanation import Explanation
from onnxdtd.folder import check_folder, plain, write_folder
from onnxdtd.inputs import Row
from onnxdtd.inputs.files import ARCHIVE, ARRAYS, TABLES
from onnxdtd.inputs.parts import part_of
from onnxdtd.model.load import load
from onnxdtd.reading import column_names
from onnxdtd.render.canvas import DPI
from onnxdtd.render.contact import MOST, Thumb, sheet, thumb
from onnxdtd.render.waterfall import ranking
from onnxdtd.runs.batches import fixed_batch
from onnxdtd.sheets import relevance_lines, summary_line, write_csv, write_parquet

SCHEMA = "onnxdtd.results/1"
SHOWN = 20


def are_many(model: Path, inputs: Sequence[Path], sample: str | None) -> bool:
    """Whether there is more than one input to read: several paths, a folder, or rows of one file that a model takes
    only so many of at a time."""
    if len(inputs) > 1 or inputs[0].is_dir() or inputs[0].suffix.lower() == ARCHIVE:
        return True
    if inputs[0].suffix.lower() not in (*ARRAYS, *TABLES):
        return False
    try:
        graph = load(model)
        fixed = fixed_batch(graph)
        values = {name: graph.value(name) for name in graph.inputs}
        rows = 0 if fixed is None else part_of("", inputs[0], values, None, None).count
    except OnnxdtdError:
        return False  # which is told with all other faults
    return fixed is not None and rows > fixed


def explain(
    model: Path,
    inputs: Sequence[Path],
    output: Path,
    targets: Sequence[str],
    options: Mapping[str, Any],
    preprocess: Path | None,
    image: Mapping[str, Any],
    *,
    sample: str | None,
    keep: Sequence[str],
    only: Sequence[str],
    audit: bool,
    fail_on: Sequence[str],
    parquet: bool,
    as_json: bool,
) -> str:
    """Explain every row of every input, each into a folder of its own in `output`. Raises PartialError, when all the
    others are written, for those that could not be explained; the first of their faults where none could; CheckError
    where a finding of `fail_on` fired."""
    checks: list[Callable[[], object]] = [partial(check_folder, output, SCHEMA)]
    checks += [] if sample is None else [partial(rows_named, sample)]
    checks += [arrow] if parquet else []
    checks += [partial(one, [*targets])]
    asked = ask_many(model, inputs, targets[0], options, preprocess, image, *checks)
    explainer, data = asked.explainer, asked.data
    rows = None if sample is None else rows_named(sample)
    wrong: list[tuple[str, OnnxdtdError]] = []
    stream: Iterator[Row] = data.each(lambda name, error: wrong.append((name, error)))
    if rows is not None:
        stream = islice(stream, rows.start, rows.stop, rows.step)
    made = onnxdtd.explain_each(
        explainer, stream, asked.question,
        faulty=lambda name, error: wrong.append((name, error)), keep=keep, only=restrictions(only),
    )  # fmt: skip
    results = Results([part.id for part in data.parts], as_json)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy and matplotlib
        with Progress(quiet=as_json) as progress:

            def fill(folder: Path) -> dict[str, Any]:
                for done, (row, e) in enumerate(made, 1):
                    results.add(folder, row, with_findings(explainer, e) if audit else e)
                    progress(done, data.count if rows is None else len(rows))
                if not results.lines:
                    raise wrong[0][1] if wrong else InputError(f"--sample {sample}: there is no such row")
                return results.finish(folder, wrong, parquet)

            saved = write_folder(output, SCHEMA, fill)
    text = results.told(output, saved, wrong)
    if wrong:
        say(text)
        lines = [line for name, error in wrong for line in _named(name, error)]
        count = len(wrong) + len(results.lines)
        raise PartialError("\n".join([f"{len(wrong)} of {count} inputs could not be explained:", *lines]))
    fired = [
        w for line in results.lines for w in named_findings(fail_on, line["fired"].split(), line["input"])
    ]
    if fired:
        say(text)
        raise CheckError("\n".join(fired))
    return text


def named_findings(fail_on: Sequence[str], fired: Sequence[str], input: str) -> list[str]:
    """A line for each finding of an input that `--fail-on` names."""
    return [f"{name} fired for '{input}'" for name in fired if "any" in fail_on or name in fail_on]


class Results:
    """What is kept of each explanation, which is written at once: a line, a small picture, sums over columns."""

    def __init__(self, ids: Sequence[str], as_json: bool) -> None:
        self.lines: list[dict[str, Any]] = []
        self._ids, self._json = ids, as_json
        self._relevance: list[dict[str, Any]] = []
        self._thumbs: list[Thumb] = []
        self._columns: dict[tuple[str, ...], list[Any]] = {}
        self._method, self._warned = "", 0

    def add(self, folder: Path, row: Row, e: Explanation) -> None:
        """Write one result, and keep what the pages of all need."""
        place = self._place(row.id)
        shown = row.picture() if row.picture else None
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        e.save(folder / place, picture=shown)
        first = {"input": row.id, "folder": place, "label": "" if row.label is None else row.label}
        self.lines.append(summary_line(e, 0, first))
        self._relevance += relevance_lines(e, {"input": row.id})
        if names := tuple(column_names(e)):
            rows = [r.reshape(1, -1) for r in e.relevance.values()]
            self._columns.setdefault(names, []).append(np.concatenate(rows, axis=1))
        elif len(self._thumbs) < MOST and (cell := thumb(e, row.id, 0, shown)):
            self._thumbs.append(cell)
        self._method = e.method
        self._warned += bool(e.warnings)

    def finish(
        self, folder: Path, wrong: Sequence[tuple[str, OnnxdtdError]], parquet: bool
    ) -> dict[str, Any]:
        """The pages of all; returns the manifest."""
        write_csv(folder / "summary.csv", self.lines)
        if parquet:
            write_parquet(folder / "summary.parquet", self.lines)
        if self._relevance:
            write_csv(folder / "relevance.csv", self._relevance)
        words = f"{len(self.lines)} inputs  ·  {self._method}"
        for names, rows in [*self._columns.items()][:1]:
            if len(rows) > 1 and np.isfinite(rows).all():
                ranking(np.concatenate(rows), names, words).savefig(folder / "columns.png", dpi=DPI)
        if self._thumbs:
            more = f"the first {MOST} are shown" if len(self.lines) > len(self._thumbs) else ""
            sheet(self._thumbs, words, more).savefig(folder / "contact.png", dpi=DPI)
        faults = [{"input": name, "fault": str(error)} for name, error in wrong]
        return {"results": plain(self.lines), "faults": faults}

    def told(self, output: Path, saved: Path, wrong: Sequence[tuple[str, OnnxdtdError]]) -> str:
        """A table of the first, or one JSON object."""
        if self._json:
            faults = [{"input": name, "fault": str(error)} for name, error in wrong]
            return json.dumps({"results": plain(self.lines), "faults": faults, "directory": str(saved)})
        names = ("input", "target", "logit", "probability", "value", "largest", "fired")
        head = [name for name in names if any(line.get(name, "") != "" for line in self.lines)]
        rows = [[_cell(line.get(name, "")) for name in head] for line in self.lines[:SHOWN]]
        rest = len(self.lines) - len(rows)
        files = sorted(path.name for path in saved.iterdir() if path.is_file())
        facts = [
            ("", [f"and {rest} more"] if rest else []),
            ("method", [self._method]),
            (
                "warning",
                [f"{self._warned} of {len(self.lines)} results have warnings"] if self._warned else [],
            ),
            ("written", [f"{output}: {', '.join(files)}, and a folder for each input"]),
        ]
        return "\n\n".join(
            [table(head, rows, screen()), sections([fact for fact in facts if fact[1]], page())]
        )

    def _place(self, name: str) -> str:
        """The folder of a row: its file's path without the suffix, if no other file has it, and its number."""
        file, bracket, number = name.partition("[") if name not in self._ids else (name, "", "")
        bare = Path(file).with_suffix("").as_posix()
        alone = [Path(other).with_suffix("").as_posix() for other in self._ids].count(bare) == 1
        parts = [part for part in Path(bare if alone else file).parts if part not in ("/", "..", ".")]
        return "/".join([*parts, *([number.rstrip("]")] if bracket else [])])


def rows_named(text: str) -> range:
    """The rows of `3` or `0:10`. Raises UsageError."""
    first, colon, last = text.partition(":")
    ends = [int(part) if part.strip().isdecimal() else None for part in (first, last)]
    if (ends[0] is None and (first.strip() or not colon)) or (ends[1] is None and last.strip()):
        raise UsageError(
            f"--sample {text}: give the number of a row, counted from 0, or some of them as in 0:10"
        )
    if not colon:
        return range(ends[0] or 0, (ends[0] or 0) + 1)
    return range(ends[0] or 0, 1 << 62 if ends[1] is None else ends[1])


def parquet_of(e: Explanation, folder: Path) -> None:
    """summary.parquet of every sample."""
    write_parquet(folder / "summary.parquet", [summary_line(e, i, {"row": i}) for i in range(len(e.target))])


def _named(name: str, error: OnnxdtdError) -> list[str]:
    return [line if name in line else f"'{name}': {line}" for line in str(error).splitlines()]


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
