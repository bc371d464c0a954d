"""Questions that wait for a model: a bounded queue, and a thread that answers those of one kind together.

There is no delay to fill a batch: while one pass runs, what comes in waits, and shares the next pass.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import dataclass, field

from onnxdtd.deadline import within
from onnxdtd.errors import OnnxdtdError, TimeLimitError
from onnxdtd.server.model import Answer, Served
from onnxdtd.server.question import Question
from onnxdtd.web.faults import RequestError

OnPass = Callable[[str, int], object]
"""Told of a pass: the model's name, and how many questions it answers."""


@dataclass(eq=False)
class _Waiting:
    question: Question
    end: float
    answer: Future[Answer] = field(default_factory=Future)


class Line:
    """The queue in front of one model. size: questions that wait at most. rows, elements: of one pass at most, where
    questions share it. seconds: until a question is refused, its time in the queue counted."""

    def __init__(
        self, served: Served, *, size: int, rows: int, elements: int, seconds: float, on_pass: OnPass
    ) -> None:
        self.served, self._size, self._rows, self._elements = served, size, rows, elements
        self._seconds, self._on_pass = seconds, on_pass
        self._queue: deque[_Waiting] = deque()
        self._changed, self._closed = threading.Condition(), False
        # In the context of the caller, whose limit of memory holds for the thread, too.
        self._thread = threading.Thread(target=copy_context().run, args=(self._work,), daemon=True)
        self._thread.start()

    def put(self, question: Question) -> Future[Answer]:
        """Wait for the answer. Raises RequestError (429) where too many do."""
        waiting = _Waiting(question, time.monotonic() + self._seconds)
        with self._changed:
            if len(self._queue) >= self._size:
                raise RequestError(
                    429, f"{self._size} questions wait for '{self.served.name}' already: ask again later",
                    {"Retry-After": "1"},
                )  # fmt: skip
            self._queue.append(waiting)
            self._changed.notify()
        return waiting.answer

    def __len__(self) -> int:
        return len(self._queue)

    def close(self) -> None:
        """Answer what waits, and end."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while batch := self._next():
            self._on_pass(self.served.name, len(batch))
            self._answer(batch)

    def _next(self) -> list[_Waiting]:
        """The first in line and those that can share its pass; nothing once it is closed and empty."""
        with self._changed:
            while True:
                batch: list[_Waiting] = []
                while not self._queue and not self._closed:
                    self._changed.wait()
                if not self._queue:
                    return batch
                first = self._queue.popleft()
                if not first.answer.set_running_or_notify_cancel():
                    continue
                return [first, *self._sharing(first.question)]

    def _sharing(self, first: Question) -> list[_Waiting]:
        if not self.served.shareable(first):
            return []
        batch, left = list[_Waiting](), deque[_Waiting]()
        rows, elements = first.rows or 1, first.elements
        for waiting in self._queue:
            question = waiting.question
            more, size = rows + (question.rows or 1), elements + question.elements
            fits = more <= self._rows and size <= self._elements
            if not fits or question.audit or question.rows is None or question.kind != first.kind:
                left.append(waiting)
            elif waiting.answer.set_running_or_notify_cancel():
                batch.append(waiting)
                rows, elements = more, size
        self._queue = left
        return batch

    def _answer(self, batch: Sequence[_Waiting]) -> None:
        """Each gets its answer or its own fault: where a pass for many fails, each is asked alone."""
        try:
            # Until the last of them has to have its answer: an earlier one rather comes late than not at all.
            with within(max(batch[-1].end - time.monotonic(), math.ulp(1.0))):
                answers = self.served.answers([waiting.question for waiting in batch])
        except BaseException as error:
            if len(batch) > 1 and isinstance(error, (OnnxdtdError, MemoryError)):
                for waiting in batch:
                    self._answer([waiting])
                return
            for waiting in batch:
                waiting.answer.set_exception(self._explained(error))
            return
        for waiting, answer in zip(batch, answers, strict=True):
            waiting.answer.set_result(answer)

    def _explained(self, error: BaseException) -> BaseException:
        if isinstance(error, TimeLimitError):
            return TimeLimitError(f"not answered after {self._seconds:g} s, this server's limit of time")
        return error
