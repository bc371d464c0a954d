"""One thread that ends sessions of onnxruntime when their time is over, wherever they run."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from onnxdtd.walk.forks import renew


class Watch:
    """Sets `terminate` of RunOptions at their end. A thread starts with the first that is watched, and stays."""

    def __init__(self) -> None:
        self.after_fork()
        renew(self)

    def after_fork(self) -> None:
        """Nothing to watch, and no thread."""
        self._changed = threading.Condition()
        self._ends: dict[int, tuple[float, Any]] = {}
        self._next = float("inf")
        self._thread: threading.Thread | None = None

    @contextmanager
    def over(self, options: Any, seconds: float) -> Iterator[None]:
        """While the block runs, for at most so many seconds."""
        end, key = time.monotonic() + seconds, id(options)
        with self._changed:
            self._ends[key] = (end, options)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
            if end < self._next:  # else it looks early enough anyway
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._ends.pop(key, None)

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                for key, (end, options) in [*self._ends.items()]:
                    if end <= now:
                        options.terminate = True
                        del self._ends[key]
                self._next = min((end for end, _ in self._ends.values()), default=float("inf"))
                self._changed.wait(None if self._next == float("inf") else self._next - now)


watch = Watch()
