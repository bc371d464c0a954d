"""A process that `pool` starts: a `Work` and then tasks come from stdin, answers go to stdout"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import traceback

import onnxdtd.passes  # noqa: F401 (methods of many passes, which `auto` may choose)
from onnxdtd.errors import OnnxdtdError


def main() -> None:
    """Work until there are no more tasks."""
    parent = os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; who handed out the tasks decides
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what anybody prints is no answer
    try:
        work = pickle.load(sys.stdin.buffer)
        work.orphaned = lambda: os.getppid() != parent
        while True:
            task = pickle.load(sys.stdin.buffer)
            try:
                answer = ("done", work(task))
            except (OnnxdtdError, OSError, MemoryError) as error:
                answer = ("raised", error)
            except Exception as error:
                answer = ("raised", RuntimeError(f"{error}\n{traceback.format_exc()}"))
            pickle.dump(answer, answers)
            answers.flush()
    except (EOFError, BrokenPipeError):
        return


if __name__ == "__main__":
    main()
