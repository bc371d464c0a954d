"""How a command ends before it is done: an interruption, a request to terminate, the time or the memory is over."""

from __future__ import annotations

import functools
import math
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import typer

from onnxdtd.cli.signature import Command, option, parameters_of, shown_with
from onnxdtd.deadline import interrupted, over, within
from onnxdtd.errors import UsageError
from onnxdtd.memory import limited, size_of

INTERRUPTED = 130
TERMINATED = 143
_PATIENCE = 3
"""Signals until no further tidying up is waited for."""
_AGAIN = 1.0
"""Seconds from one ring of the clock to the next."""

Timeout = Annotated[
    float | None,
    typer.Option("--timeout", metavar="S", help="End with an error after so many seconds. [default: never]"),
]
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory",
        metavar="SIZE",
        help="Refuse what needs more memory, such as 512M or 4G. [default: three quarters of what there is]",
    ),
]


class Signals:
    """What has been received: the first signal ends what runs, so that everything is tidied up, others wait."""

    def __init__(self) -> None:
        self.code = 0
        self._count = 0

    def __call__(self, number: int, _frame: Any) -> None:
        """Take a signal."""
        self._count += 1
        if self._count == 1:
            self.code = TERMINATED if number == getattr(signal, "SIGTERM", None) else INTERRUPTED
            interrupted.set()
            raise KeyboardInterrupt
        if self._count >= _PATIENCE:
            os._exit(self.code)

    @property
    def word(self) -> str:
        """What the user reads."""
        return "terminated" if self.code == TERMINATED else "interrupted"


@contextmanager
def signals() -> Iterator[Signals]:
    """Within the block SIGINT and SIGTERM raise KeyboardInterrupt; only the main thread can receive them."""
    received = Signals()
    interrupted.clear()
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {n: signal.signal(n, received) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        interrupted.clear()
        # Interrupted within the `exec` of a text, by which dataclasses are made, Python would end itself by SIGINT,
        # whatever code is returned, unless another one has run since.
        exec("")
        for number, handler in before.items():
            with suppress(TypeError):  # a handler that is not Python's
                signal.signal(number, handler)


class TimeIsOver(BaseException):
    """Raised by the clock wherever Python stands; no handler of errors takes it for one."""


@contextmanager
def _clock(seconds: float) -> Iterator[None]:
    """Raise TimeIsOver after so many seconds, where the system has such a clock; and again, since it is lost where
    Python ignores exceptions, in a callback say."""
    main = threading.current_thread() is threading.main_thread()
    if math.isinf(seconds) or not main or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(_number: int, _frame: Any) -> None:
        if sys.exc_info()[0] is not TimeIsOver:  # else what runs is being tidied up
            raise TimeIsOver

    def ignored(lost: Any) -> None:
        if lost.exc_type is not TimeIsOver:
            hook(lost)

    before, hook = signal.signal(signal.SIGALRM, ring), sys.unraisablehook
    sys.unraisablehook = ignored
    signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        sys.unraisablehook = hook


def bounded(command: Command) -> Command:
    """Give a command the options --timeout and --memory."""
    own = parameters_of(command)
    place = len(own) - (own[-1].name == "json_")

    @functools.wraps(command)
    def call(timeout: float | None = None, memory: str | None = None, **arguments: Any) -> str:
        seconds = math.inf if timeout is None else timeout
        if not 0 < seconds < 1e9 and timeout is not None:
            raise UsageError(f"--timeout {timeout:g}: give a number of seconds above 0")
        with limited(None if memory is None else size_of(memory)), within(seconds):
            try:
                with _clock(seconds):
                    return command(**arguments)
            except TimeIsOver:
                raise over() from None

    added = [option("timeout", Timeout), option("memory", Memory)]
    return shown_with([*own[:place], *added, *own[place:]], call)
