"""The folder of an evaluation: one line of results.jsonl for each input and method, as it is measured.

evaluation.json says from the start what is evaluated, and how; the same evaluation goes on where it stopped, another
one is refused. A line that a crash cut short is measured anew.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from onnxdtd.disk import RESULT, open_regular, parsed_json, read_json
from onnxdtd.durable import APPEND, locked, opened, writing
from onnxdtd.errors import InputError, UsageError, one_line
from onnxdtd.folder import check_folder, plain
from onnxdtd.registry import METRICS

SCHEMA = "onnxdtd.evaluation/1"
MANIFEST, RESULTS, PICTURE = "evaluation.json", "results.jsonl", "curves.png"
FILES = [PICTURE, MANIFEST, RESULTS]
PAUSE = 0.5
"""Seconds between two moments in which lines are brought to the disk, which takes longer than many a line."""
STATES = ("finite", "zero", "not finite")
"""What relevance may be; where it is not finite, nothing is measured."""


class Journal:
    """Records by input and method. settled: what the numbers depend on, which an earlier run must share. durable:
    whether a record must outlast a crash of the machine. done: by method and input, where the record begins.

    Raises UsageError where the folder holds something else, or another evaluation; InputError if it is damaged.
    """

    def __init__(self, directory: str | Path, settled: Mapping[str, Any], *, durable: bool = True) -> None:
        check_folder(directory, SCHEMA)
        self.folder = Path(directory).resolve()
        self._settled, self._durable, self._synced = plain(settled), durable, 0.0
        try:
            earlier = self._earlier(directory)
            self.folder.mkdir(parents=True, exist_ok=True)
            with ExitStack() as stack:
                stack.enter_context(locked(self.folder))
                if earlier is None:
                    self.finish({"state": "running", **self._settled})
                    (self.folder / RESULTS).write_bytes(b"")
                self._cut()
                self._file = stack.enter_context(os.fdopen(opened(self.folder / RESULTS, APPEND), "ab"))
                self.done = self._places()
                self._open = stack.pop_all()
        except OSError as error:
            raise UsageError(f"'{directory}' cannot be written: {error.strerror or error}") from error

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a line, which outlasts the process; a crash of the machine may take the last lines, which are brought
        to the disk twice a second."""
        place = self._file.seek(0, os.SEEK_END)
        with writing(self.folder):
            self._file.write((json.dumps(plain(record), allow_nan=False) + "\n").encode())
            self._file.flush()
            if time.monotonic() - self._synced > PAUSE:
                self._sync()
        self.done.setdefault((record["method"], record["input"]), place)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Every record once, method by method, in the order of the inputs, whoever wrote it when. InputError for a
        line that `append` has not written."""
        try:
            with open_regular(self.folder / RESULTS, RESULT) as file:
                for _, place in sorted(self.done.items()):
                    file.seek(place)
                    yield self._read(file.readline())
        except OSError as error:
            raise InputError(f"'{self.folder / RESULTS}' cannot be read: {one_line(error)}") from None

    def _places(self) -> dict[tuple[str, int], int]:
        """Where the line of each record begins, of several the first."""
        places: dict[tuple[str, int], int] = {}
        at = 0
        with open_regular(self.folder / RESULTS, RESULT) as file:
            for number, line in enumerate(file, 1):
                record = self._read(line, number)
                places.setdefault((record["method"], record["input"]), at)
                at += len(line)
        return places

    def _read(self, line: bytes, number: int = 0) -> dict[str, Any]:
        try:
            return checked(parsed_json(line), self._settled["data"]["count"], self._settled["metrics"])
        except ValueError:
            where = f"'{self.folder / RESULTS}'" + (f", line {number}" if number else "")
            raise InputError(f"{where} is damaged: choose another folder") from None

    def finish(self, document: Mapping[str, Any]) -> None:
        """Write evaluation.json, whole or not at all."""
        unfinished = self.folder.with_name(f".{self.folder.name}.{os.getpid()}.json")
        try:
            text = json.dumps(
                plain({"schema": SCHEMA, "files": FILES, **document}), indent=1, allow_nan=False
            )
            unfinished.write_text(text + "\n", "utf-8")
            unfinished.replace(self.folder / MANIFEST)
        finally:
            unfinished.unlink(missing_ok=True)

    def close(self) -> None:
        """Nothing more is written."""
        with writing(self.folder), self._open:
            self._sync()

    def _sync(self) -> None:
        if self._durable:
            os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    def _earlier(self, directory: str | Path) -> dict[str, Any] | None:
        """The manifest of an earlier run; UsageError where it was another evaluation."""
        if not (self.folder / MANIFEST).exists():
            return None
        try:
            earlier = read_json(self.folder / MANIFEST)
        except ValueError as error:
            raise InputError(f"'{self.folder / MANIFEST}' is damaged: {one_line(error)}") from None
        if not isinstance(earlier, dict):
            raise InputError(f"'{self.folder / MANIFEST}' is damaged: it is no object")
        for name, now in {"schema": SCHEMA, **self._settled}.items():
            if (before := earlier.get(name)) != now:
                raise UsageError(
                    f"'{directory}' holds another evaluation: {_difference(name, before, now)}; choose another "
                    "folder, or ask the same to go on with it"
                )
        return earlier

    def _cut(self) -> None:
        """Drop what was not written to its end."""
        with os.fdopen(opened(self.folder / RESULTS, os.O_RDWR), "r+b") as file:
            whole = sum(len(line) for line in file if line.endswith(b"\n"))
            file.truncate(whole)


def checked(record: Any, count: int, metrics: Sequence[str]) -> dict[str, Any]:
    """A record as `Work` makes it: numbers for the scores, of metrics that are measured, at least one of each that
    was to be. ValueError for anything else. count: of inputs."""
    if not isinstance(record, dict):
        raise ValueError("no object")
    method, number, relevance = (record.get(name) for name in ("method", "input", "relevance"))
    if not isinstance(method, str) or type(number) is not int or not 0 <= number < count:
        raise ValueError("no method and input")
    scores, curves = record.get("scores"), record.get("curves")
    if relevance not in STATES or not isinstance(scores, dict) or not isinstance(curves, dict):
        raise ValueError("no scores")
    numbers = {name: _number(value) for name, value in scores.items()}
    points = {name: _numbers(values) for name, values in curves.items()}
    of = {name.partition(".")[0] for name in (*numbers, *points)}
    due = {
        name for name in metrics if relevance != STATES[-1] and not METRICS[name].needs.startswith("another")
    }
    if not due <= of <= {*metrics}:
        raise ValueError("scores of other metrics")
    return {**record, "scores": numbers, "curves": points}


def _number(value: Any) -> float:
    """A number, or one of the words that JSON has instead of some."""
    if type(value) not in (int, float) and value not in ("nan", "inf", "-inf"):
        raise ValueError("no number")
    try:
        return float(value)
    except OverflowError:
        raise ValueError("too large") from None


def _numbers(values: Any) -> list[float]:
    if not isinstance(values, list) or not values:
        raise ValueError("no list of numbers")
    return [_number(value) for value in values]


def _difference(name: str, before: Any, now: Any) -> str:
    if isinstance(before, dict) and isinstance(now, dict):
        key = next(k for k in (*now, *before) if before.get(k) != now.get(k))
        return _difference(f"{name}.{key}", before.get(key), now.get(key))
    return f"its {name} is {json.dumps(before)}, here it is {json.dumps(now)}"
