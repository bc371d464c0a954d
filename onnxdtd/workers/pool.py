"""Several processes, each with an explainer and sessions of its own, that are handed tasks.

A process is started by its own command, not forked and not by multiprocessing, so that a notebook or a script without
a main guard may ask for several. One that dies is replaced, and its task given to the next one.
"""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Protocol, TypeVar

import numpy as np

from onnxdtd.errors import UsageError
from onnxdtd.memory import limit
from onnxdtd.walk.forward import THREADS

DEATHS = 3
"""So many processes may die over one task."""


class Task(Protocol):
    """A part of the rows. It pickles."""

    @property
    def about(self) -> str:
        """Which rows, in words."""


T = TypeVar("T", bound=Task)
R = TypeVar("R")
TaskT = TypeVar("TaskT", bound=Task, contravariant=True)
OutcomeT = TypeVar("OutcomeT", covariant=True)


class Job(Protocol[TaskT, OutcomeT]):
    """What is done with tasks. It pickles. orphaned: whether nobody waits for an outcome any more."""

    orphaned: Callable[[], bool]

    def __call__(self, task: TaskT) -> OutcomeT:
        """What comes of a task. One that is an iterator is told piece by piece here, and from another process as a
        list."""


def outcomes(job: Job[T, R], tasks: Iterable[T], workers: int) -> Generator[tuple[T, R], None, None]:
    """Each task with what came of it, in the order in which they end. Cores and memory are divided among the workers.
    To end them at once, close the generator. Raises UsageError, and what the job does."""
    if workers == 1:
        for task in tasks:
            yield task, job(task)
        return
    try:
        payload = pickle.dumps((job, limit() // workers))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UsageError(f"this cannot be handed to other processes, take one worker: {error}") from None
    hands = [Hand(payload, max((os.cpu_count() or 1) // workers, 1)) for _ in range(workers)]
    free: queue.SimpleQueue[Hand] = queue.SimpleQueue()
    for hand in hands:
        free.put(hand)

    def done(task: T) -> R:
        hand = free.get()
        try:
            outcome: R = hand(task)
            return outcome
        finally:
            free.put(hand)

    running: dict[Future[R], T] = {}
    threads = ThreadPoolExecutor(workers)
    try:
        for task in tasks:
            running[threads.submit(done, task)] = task
            if len(running) > workers:
                yield from _ended(running)
        while running:
            yield from _ended(running)
    finally:
        for future in running:
            future.cancel()
        for hand in hands:
            hand.stop()
        threads.shutdown()
        for hand in hands:  # one that was just being started
            hand.stop()


def _ended(running: dict[Future[R], T]) -> Iterator[tuple[T, R]]:
    """Those that have ended, at least one, which are taken out."""
    for future in wait(running, return_when=FIRST_COMPLETED).done:
        yield running.pop(future), future.result()


def at_least_one(name: str, number: Any) -> int:
    """A number of things, such as workers. UsageError for anything else."""
    if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < 1:
        raise UsageError(f"{name} is a number of 1 or more, not {number!r}")
    return int(number)


def deadly(task: Task) -> UsageError:
    """What is told where process after process dies over a task."""
    return UsageError(
        f"{DEATHS} processes died over {task.about}: where memory is short, take fewer workers, or fewer rows at a "
        "time"
    )


class Hand:
    """A process that does one task after the other. work: a job and its memory, pickled. threads: of its sessions
    and of NumPy."""

    def __init__(self, work: bytes, threads: int) -> None:
        self._work, self._threads = work, threads
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def __call__(self, task: Task) -> Any:
        """What came of a task. UsageError where process after process dies over it."""
        for _ in range(DEATHS):
            if self._stopped:
                break
            try:
                kind, result = self._asked(task)
            except (OSError, EOFError, pickle.UnpicklingError):
                self._end()
                continue
            if kind == "raised":
                raise result
            return result
        raise deadly(task)

    def stop(self) -> None:
        """End the process at once."""
        self._stopped = True
        self._end()

    def _asked(self, task: Task) -> Any:
        if self._process is None:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        pickle.dump(task, self._process.stdin)
        self._process.stdin.flush()
        return pickle.load(self._process.stdout)

    def _start(self) -> None:
        threads = dict.fromkeys((THREADS, "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(self._threads))
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "onnxdtd.workers.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **threads, "PYTHONPATH": path},
        )
        assert self._process.stdin is not None
        self._process.stdin.write(self._work)

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:  # what was still to be written
                pass
