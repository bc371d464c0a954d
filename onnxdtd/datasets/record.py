"""The folder of a job: what is explained and how, which rows are done, which failed.

manifest.json   the settled things, from the start; another job is refused by them
shards/         Parquet files, named by their first row
failed.jsonl    id and reason of each row that could not be explained
overlays/       a picture of each row, on request
contact.png     the first of them on one page
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from onnxdtd.arrow import arrow
from onnxdtd.datasets.shard import POSITION
from onnxdtd.datasets.work import OVERLAYS, SHARDS
from onnxdtd.disk import RESULT, open_regular, parsed_json, read_bytes, read_json
from onnxdtd.durable import APPEND, LOCK, opened, sweep, whole
from onnxdtd.errors import InputError, UsageError, one_line
from onnxdtd.folder import JOB, plain
from onnxdtd.hints import fits

SCHEMA = "onnxdtd.batch/1"
MANIFEST, FAILED, SOURCE = JOB, "failed.jsonl", "source"
_TYPES: dict[str, Any] = {
    "model": dict[str, Any], "method": str, "options": dict[str, Any], "bias": str | None,
    "preprocess": dict[str, Any] | None, "features": list[str] | None, "engine": str, "providers": list[str],
    "versions": dict[str, Any],
    "store": dict[str, Any], "shard_rows": int, "whole_labels": bool, "mask": list[str], "positions": str,
    SOURCE: dict[str, Any],
}  # fmt: skip
_TYPES_OF_SOURCE: dict[str, Any] = {
    "model": str | None, "data": list[str] | None, "limit": int | None, "options": dict[str, Any] | None,
    "rules": list[Any] | None, "strict_rules": bool, "fixed": dict[str, Any] | None, "max_steps": int | None,
    "labels": list[str] | None, "lost": list[str],
}  # fmt: skip


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a job's folder. InputError where there is none, or one of another kind."""
    try:
        document = read_json(folder / MANIFEST)
    except FileNotFoundError:
        raise InputError(f"'{folder}' holds no {MANIFEST}: it is no folder of `onnxdtd batch`") from None
    except (OSError, ValueError) as error:
        raise InputError(f"'{folder / MANIFEST}' cannot be read: {one_line(error)}") from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise InputError(f"'{folder / MANIFEST}' is not of the schema {SCHEMA}")
    for part, types in ((document, _TYPES), (document.get(SOURCE), _TYPES_OF_SOURCE)):
        for name, hint in types.items():
            if part and name in part and not fits(part[name], hint):
                raise InputError(f"'{folder / MANIFEST}' is damaged: '{name}' is of another type")
    return document


def check_place(folder: Path) -> None:
    """UsageError where a folder holds something else than an earlier part of a job, or a link out of it."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"'{folder}' is a file: name a folder")
    for path in (folder / name for name in (MANIFEST, FAILED, LOCK, SHARDS, OVERLAYS)):
        if path.is_symlink():
            raise UsageError(f"'{path}' is a link, not written by onnxdtd batch: choose another folder")
    if folder.is_dir() and not (folder / MANIFEST).exists():
        others = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
        if others:
            raise UsageError(
                f"'{folder}' holds '{others[0]}', not written by onnxdtd batch: choose another folder"
            )
    elif folder.is_dir():
        read_manifest(folder)


class Record:
    """A job's folder, locked by its writer. source: of what the job is made, which may move. Raises UsageError for
    another job's."""

    def __init__(self, folder: Path, settled: Mapping[str, Any], source: Mapping[str, Any]) -> None:
        self.folder, self._source = folder, source
        for name in (SHARDS, OVERLAYS) if settled["store"]["overlays"] else (SHARDS,):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self.sweep()
        self._settled = plain(settled)
        if (folder / MANIFEST).exists():
            self._refuse_another()
        else:
            self.write({"state": "running"})
        self.done = set(done_ids(folder))
        self.failed = {name: why for name, why in read_failed(folder).items() if name not in self.done}

    def write(self, facts: Mapping[str, Any]) -> None:
        """The manifest, with how far the job is."""
        document = {"schema": SCHEMA, **self._settled, SOURCE: self._source, **facts}
        with whole(self.folder / MANIFEST) as file:
            file.write((json.dumps(plain(document), indent=1, allow_nan=False) + "\n").encode())

    def sweep(self) -> None:
        """Delete what processes that are no more have left unfinished."""
        for place in (self.folder, *(path for path in self.folder.iterdir() if path.is_dir())):
            sweep(place)

    def fail(self, failed: Mapping[str, str]) -> None:
        """Add rows that could not be explained; they are on the disk when this returns."""
        if not failed:
            return
        self.failed |= failed
        with os.fdopen(opened(self.folder / FAILED, APPEND), "ab") as file:
            for name, reason in failed.items():
                file.write((json.dumps({"id": name, "reason": reason}) + "\n").encode())
            file.flush()
            os.fsync(file.fileno())

    def forget(self) -> None:
        """Write failed.jsonl anew: rows that were explained since are no longer in it."""
        if read_failed(self.folder) == self.failed:
            return
        with whole(self.folder / FAILED) as file:
            for name, reason in self.failed.items():
                file.write((json.dumps({"id": name, "reason": reason}) + "\n").encode())

    def _refuse_another(self) -> None:
        earlier = read_manifest(self.folder)
        for name, now in self._settled.items():
            if (before := earlier.get(name)) != now:
                raise UsageError(
                    f"'{self.folder}' holds another job: {difference(name, before, now)}; choose another folder, or "
                    "ask the same to go on with it"
                )


def done_ids(folder: Path) -> Iterator[str]:
    """The ids of all rows in shards."""
    for path in shards(folder):
        with open_regular(path) as file:
            for batch in arrow().parquet.ParquetFile(file).iter_batches(columns=["id"]):
                yield from batch.column(0).to_pylist()


def shards(folder: Path) -> list[Path]:
    """The shards in the order of their rows. InputError for one that is damaged."""
    places: list[tuple[int, Path]] = []
    for path in (folder / SHARDS).glob("[!.]*.parquet"):
        try:
            with open_regular(path) as file:
                metadata = arrow().parquet.read_schema(file).metadata
            places.append((int(metadata[POSITION]), path))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"'{path}' is damaged: {one_line(error)}; delete it, and run the job again"
            ) from None
    return [path for _, path in sorted(places)]


def read_failed(folder: Path) -> dict[str, str]:
    """The reason of each row that failed; a line that a crash cut short is left out."""
    failed: dict[str, str] = {}
    try:
        lines = read_bytes(folder / FAILED, RESULT).splitlines()
    except FileNotFoundError:
        return failed
    except OSError as error:
        raise InputError(f"'{folder / FAILED}' cannot be read: {one_line(error)}") from None
    for line in lines:
        try:
            entry = parsed_json(line)
            failed[str(entry["id"])] = str(entry["reason"])
        except (ValueError, KeyError, TypeError):
            continue
    return failed


def difference(name: str, before: Any, now: Any) -> str:
    """In words, of two settled things."""
    if isinstance(before, dict) and isinstance(now, dict):
        key = next(k for k in (*now, *before) if before.get(k) != now.get(k))
        return difference(f"{name}.{key}", before.get(key), now.get(key))
    return f"its {name} is {json.dumps(before)}, here it is {json.dumps(now)}"
