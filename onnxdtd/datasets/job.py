"""`batch`: a data set explained in shards, which goes on where it stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from onnxdtd.arrow import arrow
from onnxdtd.datasets.actors import outcomes as outcomes_on
from onnxdtd.datasets.columns import Store
from onnxdtd.datasets.contact import draw_contact
from onnxdtd.datasets.ray import Ray
from onnxdtd.datasets.recipe import recipe
from onnxdtd.datasets.record import MANIFEST, Record, check_place, read_manifest
from onnxdtd.datasets.results import Results
from onnxdtd.datasets.settled import fingerprint, settled, with_engine
from onnxdtd.datasets.tally import Tally
from onnxdtd.datasets.task import Outcome, Task
from onnxdtd.datasets.work import Work
from onnxdtd.disk import resolved
from onnxdtd.durable import locked, writing
from onnxdtd.errors import InputError, UsageError
from onnxdtd.explainer import Explainer
from onnxdtd.inputs import DataSet, Row, is_stream, open_data
from onnxdtd.methods.entry import Method
from onnxdtd.settings import Model
from onnxdtd.shortcuts import explainer_of
from onnxdtd.workers import at_least_one, checked, outcomes

SHARD_ROWS = 256
OnTally = Callable[[Tally], object]


def batch(
    model: Model | Explainer,
    data: Any,
    out: str | Path,
    target: Any = None,
    method: Method | None = None,
    *,
    store: Store | None = None,
    shard_rows: int = SHARD_ROWS,
    workers: int | None = None,
    ray: Ray | str | bool | None = None,
    limit: int | None = None,
    retry_failed: bool = False,
    labels: Any = None,
    progress: OnTally | None = None,
    **settings: Any,
) -> Results:
    """Explain every row of a data set into Parquet shards under `out`, holding a few at a time; `Results` reads them.

    model: as for `Explainer`, which `settings` go to (engine `auto` if none is named), or an explainer. data: as for
    `open_data`, or an iterable of (id, inputs). target: the same for all rows. store: what is kept of a row.
    shard_rows: rows of a file. workers: processes, among which the cores are divided, by default one. ray: a cluster
    on which the job runs, a `Ray` or its address; workers are then its actors, by default as many as it has room for.
    limit: only the first rows. A job that was interrupted goes on by the same call, here or on a cluster: rows that
    are done are left out, by their ids, as are those that failed, unless `retry_failed`. progress: told a `Tally`
    after each shard.

    Rows that cannot be explained are in `Results.failed`, with their reason. Raises UsageError for another job's
    folder, one that is being written, a full disk, short memory; and what `Explainer` and `open_data` raise.
    """
    place = Ray.of(ray)
    job = plan_job(
        model, data, out, target, method, store=store, shard_rows=shard_rows, workers=workers, limit=limit,
        labels=labels, **settings,
    )  # fmt: skip
    run_job(job, workers, retry_failed, progress, place)
    return Results(job.folder)


@dataclass(frozen=True)
class Job:
    """What is to be done: checked, and nothing of it begun. rows: of an iterable, which `data` is not."""

    explainer: Explainer
    target: Any
    store: Store
    folder: Path
    shard_rows: int
    data: DataSet | None
    rows: Iterator[tuple[Any, Any]]
    source: Mapping[str, Any] | None
    work: Work
    settled: Mapping[str, Any]
    recipe: Mapping[str, Any]
    limit: int | None


def plan_job(
    model: Model | Explainer, data: Any, out: str | Path, target: Any = None, method: Method | None = None, *,
    store: Store | None = None, shard_rows: int = SHARD_ROWS, workers: int | None = None,
    limit: int | None = None, labels: Any = None, **settings: Any,
) -> Job:  # fmt: skip
    """A job from the arguments of `batch`. Raises what stands against it."""
    arrow()
    at_least_one("shard_rows", shard_rows)
    checked(workers)
    store = store or Store()
    try:
        folder = resolved(out)
        check_place(folder)
    except OSError as error:
        raise UsageError(f"'{out}' cannot be written: {error.strerror or error}") from None
    if isinstance(model, Explainer):
        explainer = model if method is None and not settings else model.by(method, **settings)
    else:
        explainer = explainer_of(model, method or "auto", **{"engine": "auto", **settings})
    explainer = explainer.batched
    stored, rows = None, iter(())
    source = None
    if is_stream(data):
        rows = iter(data)
        limit = None if limit is None else at_least_one("limit", limit)
    else:
        source = {
            "data": data, "labels": labels, "preprocess": explainer.preprocess, "limit": limit,
            "features": explainer.loaded.features,
        }  # fmt: skip
        stored = open_data(values=explainer.inputs, **source)
    earlier = read_manifest(folder) if (folder / MANIFEST).exists() else {}
    count = None if stored is None else stored.count
    explainer = with_engine(explainer, target, earlier.get("engine"), count)
    if not explainer.graph.open_conditions:
        explainer.plan(explainer.loaded.question(target).output)  # raises
    whole = stored is not None and stored.labels is not None
    work = Work(explainer, target, store, folder, source, whole)
    document = settled(explainer, target, store, shard_rows, whole)
    document = {**document, "fingerprint": fingerprint(document)}
    made = recipe(explainer, target, source)
    return Job(
        explainer, target, store, folder, shard_rows, stored, rows, source, work, document, made, limit
    )


def run_job(
    job: Job, workers: int | None = None, retry_failed: bool = False, progress: OnTally | None = None,
    ray: Ray | None = None,
) -> Tally:  # fmt: skip
    """Do what is left of a job. Raises UsageError, OnnxdtdError; what is done is kept."""
    with writing(job.folder):
        job.folder.mkdir(parents=True, exist_ok=True)
        with locked(job.folder):
            return _run(job, workers, retry_failed, progress, ray)


def _run(
    job: Job, workers: int | None, retry_failed: bool, progress: OnTally | None, ray: Ray | None
) -> Tally:
    record = Record(job.folder, job.settled, job.recipe)
    retried = dict(record.failed) if retry_failed else {}
    record.failed = {} if retry_failed else record.failed
    began, earlier, tried = time.monotonic(), len(record.done), 0
    total = None if job.data is None else job.data.count

    def tally() -> Tally:
        return Tally(len(record.done), len(record.failed), earlier, total, time.monotonic() - began, tried)

    settled_ids = record.done | record.failed.keys()
    left = tasks(job, settled_ids)
    ended: Generator[tuple[Task, Outcome], None, None]
    if ray is None:
        ended = outcomes(job.work, left, workers or 1)
    else:
        ended = outcomes_on(job.work, left, workers, ray, job.settled)
    with closing(ended):
        for task, outcome in ended:
            _note(record, task, outcome)
            tried += len(task.ids)
            if progress is not None:
                progress(tally())
    untried = {name: why for name, why in retried.items() if name not in record.done | record.failed.keys()}
    record.failed |= untried  # beyond the limit
    record.forget()
    record.sweep()
    if job.store.overlays and tried:
        draw_contact(job.folder)
    record.write({"state": "finished", "rows": len(record.done), "failed": len(record.failed)})
    return tally()


def _note(record: Record, task: Task, outcome: Outcome) -> None:
    failed = dict(outcome.failed)
    record.done |= set(task.ids) - failed.keys()
    record.fail(failed)


def tasks(job: Job, ids: set[str]) -> Iterator[Task]:
    """The rows that are neither done nor failed, in runs that begin at multiples of the shards' size."""
    seen: set[str] = set()
    for start, run in _runs(job):
        for name, _ in run:
            if name in seen:
                raise InputError(f"the id '{name}' is there twice: ids tell rows apart")
            seen.add(name)
        left = [(start + i, name, row) for i, (name, row) in enumerate(run) if name not in ids]
        if left:
            places, names, rows = zip(*left, strict=True)
            yield Task(places, names, rows if job.data is None else None)


def _runs(job: Job) -> Iterator[tuple[int, Sequence[tuple[str, Row | None]]]]:
    entries: Iterable[tuple[str, Row | None]]
    if job.data is not None:
        entries = ((name, None) for name in job.data.ids())
    else:
        entries = islice(_streamed(job), job.limit)
    entries, start = iter(entries), 0
    while run := list(islice(entries, job.shard_rows)):
        yield start, run
        start += len(run)


def _streamed(job: Job) -> Iterator[tuple[str, Row]]:
    """The rows of an iterable of (id, inputs), or of (id, inputs, label)."""
    for entry in job.rows:
        if not isinstance(entry, (tuple, list)) or len(entry) not in (2, 3):
            raise InputError("an iterable gives (id, inputs) or (id, inputs, label) for each row")
        name, x = entry[:2]
        yield str(name), Row(str(name), x, entry[2] if len(entry) == 3 else None)
