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
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from onnxdtd.datasets.work import Outcome, Task, Work
from onnxdtd.errors import UsageError
from onnxdtd.memory import limit
from onnxdtd.walk.forward import THREADS

DEATHS = 3
"""So many processes may die over one task."""


def outcomes(work: Work, tasks: Iterable[Task], workers: int) -> Iterator[tuple[Task, Outcome]]:
    """Each task with what came of it, in the order in which they end."""
    if workers == 1:
        for task in tasks:
            yield task, work(task)
        return
    work.memory = limit() // workers
    try:
        payload = pickle.dumps(work)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UsageError(f"this cannot be handed to other processes, take one worker: {error}") from None
    hands = [Hand(payload, max((os.cpu_count() or 1) // workers, 1)) for _ in range(workers)]
    free: queue.SimpleQueue[Hand] = queue.SimpleQueue()
    for hand in hands:
        free.put(hand)

    def done(task: Task) -> Outcome:
        hand = free.get()
        try:
            return hand(task)
        finally:
            free.put(hand)

    running: dict[Future[Outcome], Task] = {}
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


def _ended(running: dict[Future[Outcome], Task]) -> Iterator[tuple[Task, Outcome]]:
    """Those that have ended, at least one, which are taken out."""
    for future in wait(running, return_when=FIRST_COMPLETED).done:
        yield running.pop(future), future.result()


def deadly(task: Task) -> UsageError:
    """What is told where process after process dies over a task."""
    return UsageError(
        f"{DEATHS} processes died over the {len(task.ids)} rows from '{task.ids[0]}' on: where memory is short, take "
        "fewer workers or smaller shards"
    )


class Hand:
    """A process that does one task after the other. work: pickled. threads: of its sessions and of NumPy."""

    def __init__(self, work: bytes, threads: int) -> None:
        self._work, self._threads = work, threads
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def __call__(self, task: Task) -> Outcome:
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
            outcome: Outcome = result
            return outcome
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
            [sys.executable, "-m", "onnxdtd.datasets.worker"],
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
