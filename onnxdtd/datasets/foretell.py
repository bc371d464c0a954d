"""What a job would take: a few rows are explained, and nothing is written."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from onnxdtd.datasets.job import Job, tasks
from onnxdtd.datasets.record import MANIFEST, done_ids, read_failed
from onnxdtd.datasets.task import Task
from onnxdtd.datasets.work import SHARDS, Work
from onnxdtd.errors import InputError

FEW = 16


@dataclass(frozen=True)
class Forecast:
    """rows: of the data, None where nobody knows; left: of them still to do. row_bytes, row_seconds: of one row in
    one process. bytes, hours: of those that are left."""

    rows: int | None
    left: int | None
    row_bytes: int
    row_seconds: float
    bytes: int | None
    hours: float | None


def foretell(job: Job, workers: int = 1) -> Forecast:
    """The forecast. Raises InputError where nothing is left, or none of a few rows can be explained."""
    begun = (job.folder / MANIFEST).exists()
    ids = {*done_ids(job.folder), *read_failed(job.folder)} if begun else set[str]()
    rows = None if job.data is None else job.data.count
    left = None if job.data is None else sum(name not in ids for name in job.data.ids())
    first = next(tasks(job, ids), None)
    if first is None:
        raise InputError(f"nothing is left to do in '{job.folder}'")
    count = min(FEW, len(first.ids))
    few = Task(first.places[:count], first.ids[:count], first.rows and first.rows[:count])
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / SHARDS).mkdir()
        store = dataclasses.replace(job.store, overlays=False)
        work = Work(job.explainer, job.target, store, Path(directory), job.source, job.work.whole_labels)
        work(few).result()  # starts sessions
        began = time.monotonic()
        outcome = work(few).result()
        seconds = (time.monotonic() - began) / count
    if not outcome.rows:
        raise InputError(f"none of the first {count} rows can be explained: {outcome.failed[0][1]}")
    size = outcome.bytes // outcome.rows
    if left is None:
        return Forecast(rows, left, size, seconds, None, None)
    return Forecast(rows, left, size, seconds, size * left, seconds * left / workers / 3600)
