"""`python -m onnxdtd` is the command `onnxdtd`."""

import os
import signal
import sys
from contextlib import suppress


def _end(number: int, _frame: object) -> None:
    """While modules are imported nothing is begun: end at once, since what is imported may swallow an exception."""
    terminated = number == signal.SIGTERM
    sys.stderr.write(f"onnxdtd: {'terminated' if terminated else 'interrupted'}\n")
    sys.stderr.flush()
    os._exit(143 if terminated else 130)


for _number in (signal.SIGINT, signal.SIGTERM):
    with suppress(ValueError):  # not in the main thread
        signal.signal(_number, _end)

from onnxdtd.cli import main  # noqa: E402 (a signal may come while it is imported)

if __name__ == "__main__":
    sys.exit(main())
