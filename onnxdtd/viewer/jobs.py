"""Work beside the page: one job at a time, whose progress can be asked for; a new one ends the one before it."""

from __future__ import annotations

import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any

from onnxdtd.deadline import within
from onnxdtd.errors import OnnxdtdError
from onnxdtd.types import OnProgress
from onnxdtd.version import __version__
from onnxdtd.web.faults import said

KEPT = 8
"""Jobs whose results can still be fetched."""

Work = Callable[[OnProgress], dict[str, Any]]
"""Does a job: told where to tell its progress, it returns a result as JSON, and perhaps a `page` of HTML."""


class Superseded(BaseException):
    """Another job is wanted instead; no handler of errors takes it for one."""


@dataclass(eq=False)
class Job:
    """state: waiting, running, done, failed, superseded. error: every line of what failed. page: HTML."""

    number: int
    work: Work
    state: str = "waiting"
    done: int = 0
    total: int = 0
    error: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    page: str = ""
    unwanted: bool = False

    def progress(self, done: int, total: int) -> None:
        """Told by the work; ends it once it is unwanted."""
        if self.unwanted:
            raise Superseded
        self.done, self.total = done, total

    def document(self) -> dict[str, Any]:
        """What the page asks for."""
        names = ("number", "state", "done", "total", "error", "result")
        return {name: getattr(self, name) for name in names} | {"page": bool(self.page)}


class Jobs:
    """seconds: that a job may take."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._jobs = seconds, OrderedDict[int, Job]()
        self._changed, self._latest, self._closed = threading.Condition(), 0, False
        self._thread = threading.Thread(target=copy_context().run, args=(self._run,), daemon=True)
        self._thread.start()

    def start(self, work: Work) -> Job:
        """Begin a job as soon as the ones before it have ended, which they are told to."""
        with self._changed:
            for job in self._jobs.values():
                job.unwanted = True
            self._latest += 1
            job = self._jobs[self._latest] = Job(self._latest, work)
            while len(self._jobs) > KEPT:
                self._jobs.popitem(last=False)
            self._changed.notify()
        return job

    def get(self, number: int) -> Job | None:
        """One of the last `KEPT`."""
        return self._jobs.get(number)

    def close(self) -> None:
        """End."""
        with self._changed:
            self._closed = True
            for job in self._jobs.values():
                job.unwanted = True
            self._changed.notify()

    def _run(self) -> None:
        while job := self._next():
            self._do(job)

    def _next(self) -> Job | None:
        with self._changed:
            while not self._closed:
                waiting = [job for job in self._jobs.values() if job.state == "waiting"]
                for job in waiting[:-1]:
                    job.state = "superseded"
                if waiting:
                    return waiting[-1]
                self._changed.wait()
        return None

    def _do(self, job: Job) -> None:
        job.state = "running"
        try:
            with within(self._seconds):
                result = job.work(job.progress)
            job.page = result.pop("page", "")
            job.result, job.state = result, "done"
        except Superseded:
            job.state = "superseded"
        except OnnxdtdError as error:
            job.error, job.state = said(error), "failed"
        except MemoryError:
            job.error, job.state = "there is not enough memory for this", "failed"
        except Exception as error:
            traceback.print_exception(error)
            words = f"this is a bug in onnxdtd {__version__} ({type(error).__name__}), told in the terminal"
            job.error, job.state = words, "failed"
