"""A process that `pool` starts: work and then tasks come from stdin, answers go to stdout"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import threading
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any, BinaryIO

import onnxdtd.passes  # noqa: F401 (methods of many passes, which `auto` may choose)
from onnxdtd.errors import OnnxdtdError, UsageError, one_line
from onnxdtd.memory import limited

END = None
"""In the place of a task: no more come."""


def main() -> None:
    """Work until there are no more tasks."""
    parent = os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; who handed out the tasks decides
    warnings.simplefilter("ignore")  # of NumPy and matplotlib; results have their own
    # Streams of its own: at its end Python locks stdin, which a thread may still be reading.
    handed, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what anybody prints is no answer

    def answer(kind: str, content: Any) -> None:
        pickle.dump((kind, content), answers)
        answers.flush()

    try:
        try:
            work, memory = pickle.load(handed)
        except EOFError:
            raise
        except Exception as error:  # whatever a module raises that this process does not have
            answer("raised", UsageError(_foreign(error)))
            while handed.read(1 << 16):  # so that nobody writes to a closed pipe
                pass
            return
        work.orphaned = lambda: os.getppid() != parent
        with limited(memory):
            for kind, content in _answers(work, _tasks(handed)):
                answer(kind, content)
    except (EOFError, BrokenPipeError):
        return


def _tasks(handed: BinaryIO) -> queue.SimpleQueue[Any]:
    """The tasks as they come in, then END; so that who hands them out never waits for this process."""
    tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def read() -> None:
        try:
            while True:
                tasks.put(pickle.load(handed))
        except Exception as error:
            tasks.put(END if isinstance(error, (EOFError, pickle.UnpicklingError)) else error)

    threading.Thread(target=read, daemon=True).start()
    return tasks


def _answers(work: Any, tasks: queue.SimpleQueue[Any]) -> Iterator[tuple[str, Any]]:
    """In the order of the tasks. What is still being written is waited for only where there is no next task."""
    late: deque[Future[Any]] = deque()
    while True:
        try:
            task = tasks.get(block=not late)
        except queue.Empty:
            yield _told(late.popleft().result)
            continue
        if task is END:
            return
        outcome = _told(partial(work, task)) if not isinstance(task, Exception) else ("raised", task)
        late += [outcome[1]] if isinstance(outcome[1], Future) else []
        while late and (not isinstance(outcome[1], Future) or len(late) > 1 or late[0].done()):
            yield _told(late.popleft().result)
        if not isinstance(outcome[1], Future):
            yield outcome


def _told(call: Callable[[], Any]) -> tuple[str, Any]:
    """What comes of a call, all of it where it comes piece by piece; or what it raises."""
    try:
        outcome = call()
        return "done", list(outcome) if isinstance(outcome, Iterator) else outcome
    except (OnnxdtdError, OSError, MemoryError) as error:
        return "raised", error
    except Exception as error:
        return "raised", RuntimeError(f"{error}\n{traceback.format_exc()}")


def _foreign(error: Exception) -> str:
    return (
        f"this cannot be handed to other processes ({one_line(error)}): put functions and classes of your own into a "
        "module, or take one worker"
    )


if __name__ == "__main__":
    main()
