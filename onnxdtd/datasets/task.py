"""What is handed out: some rows of the data, which become one shard."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from onnxdtd.inputs import Row


@dataclass(frozen=True)
class Task:
    """The rows of one shard: their places in the data and their ids. rows: themselves, where only the process that
    hands out tasks can read them."""

    places: tuple[int, ...]
    ids: tuple[str, ...]
    rows: tuple[Row, ...] | None = None

    @property
    def name(self) -> str:
        """Of the shard: by its first row."""
        return spelled(self.ids[0])

    @property
    def about(self) -> str:
        """Which rows, in words."""
        return f"the {len(self.ids)} rows from '{self.ids[0]}' on"

    def part(self, start: int, count: int) -> Task:
        """Some of the rows."""
        end = start + count
        return Task(self.places[start:end], self.ids[start:end], self.rows and self.rows[start:end])


@dataclass(frozen=True)
class Outcome:
    """What came of a task. rows: in the shard. failed: id and reason of the others. bytes: of the shard's file."""

    rows: int
    failed: tuple[tuple[str, str], ...]
    bytes: int


def spelled(name: str) -> str:
    """A file's name for an id: what of it may stand there, and a digest that tells it from all others."""
    bare = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[-48:]
    return f"{bare or 'row'}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
