"""A process that `pool` starts: work and then tasks come from stdin, answers go to stdout"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from typing import Any

import onnxdtd.passes  # noqa: F401 (methods of many passes, which `auto` may choose)
from onnxdtd.errors import OnnxdtdError, UsageError, one_line
from onnxdtd.memory import limited


def main() -> None:
    """Work until there are no more tasks."""
    parent = os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; who handed out the tasks decides
    warnings.simplefilter("ignore")  # of NumPy and matplotlib; results have their own
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what anybody prints is no answer

    def answer(kind: str, content: Any) -> None:
        pickle.dump((kind, content), answers)
        answers.flush()

    try:
        try:
            work, memory = pickle.load(sys.stdin.buffer)
        except EOFError:
            raise
        except Exception as error:  # whatever a module raises that this process does not have
            answer("raised", UsageError(_foreign(error)))
            while sys.stdin.buffer.read(1 << 16):  # so that nobody writes to a closed pipe
                pass
            return
        work.orphaned = lambda: os.getppid() != parent
        with limited(memory):
            while True:
                task = pickle.load(sys.stdin.buffer)
                answer(*_done(work, task))
    except (EOFError, BrokenPipeError):
        return


def _done(work: Any, task: Any) -> tuple[str, Any]:
    """What came of a task, one by one or at once; or what was raised."""
    try:
        outcome = work(task)
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
