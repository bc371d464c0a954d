"""Several processes, each with an explainer and sessions of its own, that are handed tasks.

A process is started by its own command, not forked and not by multiprocessing, so that a notebook or a script without
a main guard may ask for several. One that dies is replaced, and what it had in hand is done again.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from onnxdtd.errors import UsageError
from onnxdtd.memory import no_room_for_threads
from onnxdtd.workers.hand import Hand, handed, threads_of

MOST = 10_000
"""Workers, at most: each has its share of memory, and of a larger number none would be left."""


class Task(Protocol):
    """A part of the rows. It pickles."""

    @property
    def about(self) -> str:
        """Which rows, in words."""


T = TypeVar("T", bound=Task)
R = TypeVar("R")
TaskT = TypeVar("TaskT", bound=Task, contravariant=True)
DEATHS = 3
"""So many processes may die over one task."""
IN_HAND = 2
"""Tasks that a process has: one that it works on, and the next, which it begins while the first is written."""


class Job(Protocol[TaskT]):
    """What is done with tasks. It pickles. orphaned: whether nobody waits for an outcome any more."""

    orphaned: Callable[[], bool]

    def __call__(self, task: TaskT) -> Any:
        """What comes of a task. A Future: something is still being written, and the next task is begun meanwhile. An
        iterator is told piece by piece here, and by another process as a list."""


def outcomes(job: Job[T], tasks: Iterable[T], workers: int) -> Generator[tuple[T, Any], None, None]:
    """Each task with what came of it, in the order in which they end. Cores and memory are divided among the workers.
    To end them at once, close the generator. Raises UsageError, and what the job does."""
    yield from _here(job, tasks) if workers == 1 else _Several(job, workers).outcomes(tasks)


def _here(job: Job[T], tasks: Iterable[T]) -> Iterator[tuple[T, Any]]:
    late: deque[tuple[T, Future[Any]]] = deque()
    try:
        for task in tasks:
            outcome = job(task)
            if isinstance(outcome, Future):
                late.append((task, outcome))
            else:
                yield task, outcome
            while len(late) >= IN_HAND or (late and late[0][1].done()):
                yield late[0][0], late.popleft()[1].result()
        while late:
            yield late[0][0], late.popleft()[1].result()
    finally:
        for _, future in late:  # nobody else may write before it is done
            future.exception()


class _Several(Generic[T]):
    """Processes, and a thread for each that hands it tasks."""

    def __init__(self, job: Job[T], workers: int) -> None:
        payload, threads = handed(job, workers), threads_of(workers)
        self._hands = [Hand(payload, threads) for _ in range(workers)]
        self._tasks: queue.SimpleQueue[T | None] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[tuple[T, Any] | BaseException] = queue.SimpleQueue()

    def outcomes(self, tasks: Iterable[T]) -> Iterator[tuple[T, Any]]:
        threads: list[threading.Thread] = []
        left, out = iter(tasks), 0
        try:
            for hand in self._hands:
                thread = threading.Thread(target=self._serve, args=(hand,), daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:
                    if not no_room_for_threads(error):
                        raise
                    raise UsageError(
                        f"the system starts {len(threads)} of {len(self._hands)} workers, not more: take fewer"
                    ) from None
                threads.append(thread)
            while True:
                while out < (IN_HAND + 1) * len(threads) and (task := next(left, None)) is not None:
                    self._tasks.put(task)
                    out += 1
                if not out:
                    return
                ended = self._ended.get()
                if isinstance(ended, BaseException):
                    raise ended
                out -= 1
                yield ended
        finally:
            for hand in self._hands:
                hand.stop()
            for _ in threads:
                self._tasks.put(None)
            for thread in threads:
                thread.join()

    def _serve(self, hand: Hand) -> None:
        """Hand tasks to a process until there are no more, or it is stopped."""
        try:
            for ended in self._served(hand):
                self._ended.put(ended)
        except BaseException as error:
            self._ended.put(error)
        finally:
            hand.stop()

    def _served(self, hand: Hand) -> Iterator[tuple[T, Any]]:
        mine: deque[T] = deque()
        asked = deaths = 0
        alone = 0  # tasks that are handed over one by one, since one of them has ended a process
        while True:
            while len(mine) < IN_HAND and not alone:
                if mine and self._tasks.qsize() < len(self._hands):  # at the end each has one
                    break
                try:
                    task = self._tasks.get(block=not mine)
                except queue.Empty:
                    break
                if task is None:
                    return
                mine.append(task)
            try:
                for task in [*mine][asked : 1 if alone else IN_HAND]:
                    hand.ask(task)
                    asked += 1
                kind, result = hand.answer()
            except EOFError:
                if hand.stopped:
                    return
                deaths += asked < IN_HAND
                if deaths >= DEATHS:
                    raise deadly(mine[0]) from None
                asked, alone = 0, len(mine)
                continue
            if kind == "raised":
                raise result
            yield mine.popleft(), result
            asked, deaths, alone = asked - 1, 0, max(alone - 1, 0)


def at_least_one(name: str, number: Any) -> int:
    """A number of things, which Python can count. UsageError for anything else."""
    if (
        isinstance(number, bool)
        or not isinstance(number, (int, np.integer))
        or not 1 <= number <= sys.maxsize
    ):
        raise UsageError(f"{name} is a number of 1 or more, not {number!r}")
    return int(number)


def checked(workers: int | None) -> int:
    """How many workers, by default one. UsageError for what is no such number."""
    count = at_least_one("workers", 1 if workers is None else workers)
    if count > MOST:
        raise UsageError(f"workers are at most {MOST:,}, not {count:,}")
    return count


def deadly(task: Task) -> UsageError:
    """What is told where process after process dies over a task."""
    return UsageError(
        f"{DEATHS} processes died over {task.about}: where memory is short, take fewer workers, or fewer rows at a "
        "time"
    )
