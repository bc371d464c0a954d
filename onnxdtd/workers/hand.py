"""One process that does what it is handed, and the pipes to it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from typing import Any

from onnxdtd.errors import UsageError
from onnxdtd.memory import limit
from onnxdtd.walk.forward import THREADS


def handed(job: Any, workers: int) -> bytes:
    """A job and its part of the memory, for a process. UsageError where it does not pickle."""
    try:
        return pickle.dumps((job, limit() // workers))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UsageError(f"this cannot be handed to other processes, take one worker: {error}") from None


def threads_of(workers: int) -> int:
    """The part of the cores that each of several processes has."""
    return max((os.cpu_count() or 1) // workers, 1)


class Hand:
    """A process that is started when it is first asked, and anew after its end. job: see `handed`. threads: of its
    sessions and of NumPy. stopped: for good."""

    def __init__(self, job: bytes, threads: int) -> None:
        self._job, self._threads = job, threads
        self._process: subprocess.Popen[bytes] | None = None
        self.stopped = False

    def ask(self, task: Any) -> None:
        """Hand it a task; the answers come in the order of the tasks. EOFError where it has ended."""
        if self._process is None:
            self._start()
        process = self._process
        if process is None or process.stdin is None:
            raise EOFError
        try:
            pickle.dump(task, process.stdin)
            process.stdin.flush()
        except (OSError, ValueError):  # ValueError: closed meanwhile
            self._end()
            raise EOFError from None

    def answer(self) -> tuple[str, Any]:
        """Of the first task without one: `done` and what came of it, or `raised` and the error. EOFError where the
        process has ended."""
        process = self._process
        if process is None or process.stdout is None:
            raise EOFError
        try:
            kind, result = pickle.load(process.stdout)
        except (OSError, EOFError, ValueError, pickle.UnpicklingError):  # ValueError: closed meanwhile
            self._end()
            raise EOFError from None
        return kind, result

    def stop(self) -> None:
        """End the process at once."""
        self.stopped = True
        self._end()

    def _start(self) -> None:
        threads = dict.fromkeys((THREADS, "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(self._threads))
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "onnxdtd.workers.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **threads, "PYTHONPATH": path},
        )
        if self.stopped:  # meanwhile
            self._end()
            return
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(self._job)
        except OSError:
            self._end()

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
