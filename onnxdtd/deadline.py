"""A limit of time for all that runs within a block, which onnxruntime keeps, too.

Python code asks `check` now and then. A session that the main thread asks for runs in a thread beside it, so that it
can be told to stop when the time is over or the user interrupts; one that another thread asks for runs there, and
`walk.watch` stops it (see `walk.session`).
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from onnxdtd.errors import TimeLimitError, UsageError

_end: ContextVar[tuple[float, float] | None] = ContextVar("deadline", default=None)
interrupted = threading.Event()
"""Set once a signal asks to end: what it raises is lost where Python ignores exceptions (in a callback of a weak
reference, say), and is raised again by whatever looks at the time next."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Within the block, TimeLimitError is raised once so many seconds are over; infinity: never, but a running
    session can be interrupted. Raises UsageError for what is no time."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds > 0:
        raise UsageError(f"timeout is a number of seconds above 0, not {seconds!r}")
    end, outer = time.monotonic() + seconds, _end.get()
    token = _end.set(outer if outer is not None and outer[0] < end else (end, seconds))
    try:
        yield
    finally:
        _end.reset(token)


def check() -> None:
    """Raise TimeLimitError if the time is over."""
    remaining()


def remaining() -> float | None:
    """Seconds that are left, None outside of every block. Raises TimeLimitError where none are, and KeyboardInterrupt
    once `interrupted`."""
    if interrupted.is_set():
        raise KeyboardInterrupt
    end = _end.get()
    if end is None:
        return None
    left = end[0] - time.monotonic()
    if left <= 0:
        raise over()
    return left


def over() -> TimeLimitError:
    """The error for a limit that has passed."""
    end = _end.get()
    seconds = math.inf if end is None else end[1]
    return TimeLimitError(f"not done after {seconds:g} s, the limit of time; give more with --timeout")
