"""A shard, written by a thread beside, while the next rows are explained."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from onnxdtd.arrow import arrow
from onnxdtd.durable import whole
from onnxdtd.errors import OnnxdtdError

POSITION = b"onnxdtd.position"
AHEAD = 2
"""Groups of rows that wait until they are written."""
WAIT = 0.05


class Shard:
    """A Parquet file that is there whole or not at all. position: of its first row in the data. beside: where it is
    written. orphaned: whether nobody waits for it any more; then it is not written.

    Groups, which are Arrow tables, are added one by one; then it is ended, or given up. written: how many rows, and
    how many bytes, once that is known.
    """

    def __init__(self, path: Path, position: int, beside: Executor, orphaned: Callable[[], bool]) -> None:
        self._path, self._position, self._orphaned = path, position, orphaned
        self._groups: queue.Queue[Any] = queue.Queue(AHEAD)
        self.written: Future[tuple[int, int]] = beside.submit(self._write)

    def add(self, group: Any) -> None:
        """Raises what stands against the writing."""
        while True:
            if self.written.done():
                self.written.result()
            try:
                self._groups.put(group, timeout=WAIT)
                return
            except queue.Full:
                continue

    def end(self) -> Future[tuple[int, int]]:
        """No group follows."""
        self.add(None)
        return self.written

    def give_up(self) -> None:
        """Nothing is left of it."""
        while not self.written.done():
            try:
                self._groups.put(OnnxdtdError("the shard was given up"), timeout=WAIT)
            except queue.Full:
                continue
            self.written.exception()

    def _taken(self) -> Iterator[Any]:
        while (group := self._groups.get()) is not None:
            if isinstance(group, BaseException):
                raise group
            yield group

    def _write(self) -> tuple[int, int]:
        groups = self._taken()
        first = next(groups)
        kept = {**(first.schema.metadata or {}), POSITION: str(self._position)}
        schema = first.schema.with_metadata(kept)
        with whole(self._path) as file:
            # Numbers of relevance hardly repeat: a dictionary of them takes five times the time, and more room.
            with arrow().parquet.ParquetWriter(
                file, schema, compression="zstd", use_dictionary=False
            ) as writer:
                count = 0
                for group in (g for part in ([first], groups) for g in part):
                    writer.write_table(group.replace_schema_metadata(schema.metadata))
                    count += group.num_rows
            size = file.tell()
            if self._orphaned():
                raise OnnxdtdError("the process that handed out the rows is gone")
        return count, size
