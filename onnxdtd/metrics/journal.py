"""The folder of an evaluation: one line of results.jsonl for each input and method, on the disk as it is found.

evaluation.json says from the start what is evaluated, and how; the same evaluation goes on where it stopped, another
one is refused. A line that a crash cut short is measured anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from onnxdtd.durable import locked
from onnxdtd.errors import InputError, UsageError
from onnxdtd.folder import check_folder, plain

SCHEMA = "onnxdtd.evaluation/1"
MANIFEST, RESULTS, PICTURE = "evaluation.json", "results.jsonl", "curves.png"
FILES = [PICTURE, MANIFEST, RESULTS]


class Journal:
    """Records by input and method. settled: what the numbers depend on, which an earlier run must share. durable:
    whether a record must outlast a crash of the machine.

    Raises UsageError where the folder holds something else, or another evaluation; InputError if it is damaged.
    """

    def __init__(self, directory: str | Path, settled: Mapping[str, Any], *, durable: bool = True) -> None:
        check_folder(directory, SCHEMA)
        self.folder = Path(directory).resolve()
        self._settled, self._durable = plain(settled), durable
        try:
            earlier = self._earlier(directory)
            self.folder.mkdir(parents=True, exist_ok=True)
            with ExitStack() as stack:
                stack.enter_context(locked(self.folder))
                if earlier is None:
                    self.finish({"state": "running", **self._settled})
                    (self.folder / RESULTS).write_bytes(b"")
                self._cut()
                self._file = (self.folder / RESULTS).open("a", encoding="utf-8")
                stack.callback(self._file.close)
                self.done = {(record["method"], record["input"]) for record in self}
                self._open = stack.pop_all()
        except OSError as error:
            raise UsageError(f"'{directory}' cannot be written: {error.strerror or error}") from error

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a line; it is on the disk when this returns."""
        self._file.write(json.dumps(plain(record), allow_nan=False) + "\n")
        self._file.flush()
        if self._durable:
            os.fsync(self._file.fileno())
        self.done.add((record["method"], record["input"]))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Every record, in the order of writing."""
        with (self.folder / RESULTS).open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    record = json.loads(line)
                    record["scores"] = {name: float(value) for name, value in record["scores"].items()}
                    record["method"], record["input"], record["curves"]
                except (ValueError, KeyError, TypeError, AttributeError):
                    where = f"'{self.folder / RESULTS}', line {number}"
                    raise InputError(f"{where} is damaged: choose another folder") from None
                yield record

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
        self._open.close()

    def _earlier(self, directory: str | Path) -> dict[str, Any] | None:
        """The manifest of an earlier run; UsageError where it was another evaluation."""
        if not (self.folder / MANIFEST).exists():
            return None
        earlier: dict[str, Any] = json.loads((self.folder / MANIFEST).read_text("utf-8"))
        for name, now in {"schema": SCHEMA, **self._settled}.items():
            if (before := earlier.get(name)) != now:
                raise UsageError(
                    f"'{directory}' holds another evaluation: {_difference(name, before, now)}; choose another "
                    "folder, or ask the same to go on with it"
                )
        return earlier

    def _cut(self) -> None:
        """Drop what was not written to its end."""
        with (self.folder / RESULTS).open("a+b") as file:
            file.seek(0)
            whole = sum(len(line) for line in file if line.endswith(b"\n"))
            file.truncate(whole)


def _difference(name: str, before: Any, now: Any) -> str:
    if isinstance(before, dict) and isinstance(now, dict):
        key = next(k for k in (*now, *before) if before.get(k) != now.get(k))
        return _difference(f"{name}.{key}", before.get(key), now.get(key))
    return f"its {name} is {json.dumps(before)}, here it is {json.dumps(now)}"
