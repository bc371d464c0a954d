"""A job on several machines: Ray Data hands the tasks to actors, each with an explainer and sessions of its own.

The process that asks keeps the folder, as on one machine: lock, manifest, failed.jsonl. Actors write shards and
nothing else, whole or not at all, under names that their first rows give them. So a task that is done twice leaves
one file, and what one kind of runner has begun another goes on with.
"""

from __future__ import annotations

import logging
import os
import pickle
import platform
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any

from onnxdtd.datasets.ray import Ray, connected, package, room_of
from onnxdtd.datasets.record import MANIFEST, read_manifest
from onnxdtd.datasets.task import Outcome, Task
from onnxdtd.datasets.work import SHARDS, Work
from onnxdtd.errors import OnnxdtdError, UsageError, one_line
from onnxdtd.loaded import VERSIONS
from onnxdtd.walk.forward import THREADS
from onnxdtd.workers import DEATHS, deadly

AHEAD = 16
"""Tasks for each actor that are taken from a stream at a time: their rows travel with them."""


def outcomes(
    work: Work, tasks: Iterable[Task], workers: int | None, place: Ray, settled: Mapping[str, Any]
) -> Generator[tuple[Task, Outcome], None, None]:
    """Each task with what came of it, in the order in which they end. workers: actors at most; None: as many as the
    cluster has room for. Raises UsageError: no Ray, no room for one actor, or what an actor raises."""
    tasks = iter(tasks)
    if (first := next(tasks, None)) is None:
        return
    ray = package()
    with connected(ray, place):
        try:
            room = room_of(ray, place)
            size = room if workers is None else workers
            tries = (
                f"{os.getpid()}-{settled['fingerprint'][:8]}"  # swept like what a process leaves unfinished
            )
            state = ray.put((work, os.getcwd(), settled["fingerprint"], dict(VERSIONS), tries))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise UsageError(f"this cannot be handed to other processes: {one_line(error)}") from None
        except ray.exceptions.RayError as error:
            raise UsageError(f"Ray gave up: {_cause(error)}") from None
        ahead = AHEAD * size if first.rows is not None else None
        window = [first, *islice(tasks, ahead and ahead - 1)]
        while window:
            yield from _through(ray, window, state, place, min(room, size), size)
            window = list(islice(tasks, ahead))


def _through(
    ray: Any, window: list[Task], state: Any, place: Ray, at_first: int, size: int
) -> Iterator[tuple[Task, Outcome]]:
    items = [{"number": i, "task": pickle.dumps(task)} for i, task in enumerate(window)]
    at_first, size = min(at_first, len(items)), min(size, len(items))
    with _settings(ray):
        answers = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            Actor,
            fn_constructor_args=([state], max(int(place.cpus), 1)),
            compute=ray.data.ActorPoolStrategy(min_size=1, initial_size=at_first, max_size=size),
            num_cpus=place.cpus,
            num_gpus=place.gpus or None,
            batch_size=1,
        )
        rows = iter(answers.iter_rows())
        try:
            for row in rows:
                kind, result = pickle.loads(row["answer"])
                if kind == "raised":
                    raise result
                yield window[row["number"]], result
        except ray.exceptions.RayError as error:
            raise UsageError(f"Ray gave up: {_cause(error)}") from None
        finally:
            del rows, answers  # which ends what still runs


class Actor:
    """A process of the cluster that does one task after the other. state: a reference to the work, the folder from
    which paths count, the job's fingerprint, the versions that its numbers depend on, and a name for notes of tries.
    """

    def __init__(self, state: list[Any], threads: int) -> None:
        os.environ[THREADS] = str(threads)
        self._fault: OnnxdtdError | None = None
        work, home, fingerprint, versions, self._tries = package().get(state[0])
        self._work: Work = work
        try:
            settle(work, home, fingerprint, versions)
        except OnnxdtdError as error:  # raised here, it would be lost among Ray's own
            self._fault = error

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """The answer to one task. What somebody has to mend is an answer; anything else is raised, and Ray tries it
        again, as it does where a process dies."""
        task: Task = pickle.loads(batch["task"][0])
        answer: tuple[str, Any]
        try:
            answer = ("raised", self._fault) if self._fault else ("done", self._done(task))
        except (OnnxdtdError, OSError, MemoryError) as error:
            answer = ("raised", error)
        return {"number": [int(batch["number"][0])], "answer": [pickle.dumps(answer)]}

    def _done(self, task: Task) -> Outcome:
        """What came of a task. UsageError where it has ended too many processes: Ray itself would never give up."""
        note = self._work.folder / SHARDS / f".{task.name}.{self._tries}"
        with note.open("ab") as file:
            tries = file.tell()
            file.write(b".")
        if tries >= DEATHS:
            note.unlink(missing_ok=True)
            raise deadly(task)
        outcome = self._work(task).result()
        note.unlink(missing_ok=True)
        return outcome


def settle(work: Work, home: str, fingerprint: str, versions: Mapping[str, str]) -> None:
    """Make this process one where the work can be done as in the one that asks. UsageError says what differs here."""
    here = f"on {platform.node()}"
    for name, version in versions.items():
        if VERSIONS.get(name) != version:
            raise UsageError(f"{name} is {VERSIONS.get(name)} {here}, the job was begun with {version}")
    try:
        os.chdir(home)
        if read_manifest(work.folder)["fingerprint"] != fingerprint:
            raise UsageError(f"'{work.folder / MANIFEST}' is another job's {here}")
    except (OSError, UsageError) as error:
        raise UsageError(
            f"{one_line(error)} ({here}): data and results must be in folders that all machines see by the same names"
        ) from None


@contextmanager
def _settings(ray: Any) -> Iterator[None]:
    """Ray Data's settings for the block: it tries again what an actor raises, and prints nothing of its own."""
    log = logging.getLogger("ray.data")
    level = log.level
    log.setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    changes = {
        "actor_task_retry_on_errors": True,
        "enable_progress_bars": False,
        "print_on_execution_start": False,
    }
    before = {name: getattr(context, name) for name in changes}
    for name, value in changes.items():
        setattr(context, name, value)
    try:
        yield
    finally:
        log.setLevel(level)
        for name, value in before.items():
            setattr(context, name, value)


def _cause(error: BaseException) -> str:
    """The last line of what Ray tells, which is the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
