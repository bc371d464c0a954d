"""A progress bar for work longer than a second, on a terminal only."""

from __future__ import annotations

import sys
import time
from types import TracebackType

import rich.console
import rich.progress

PATIENCE = 1.0


class Progress:
    """Call it with (done, total); the bar appears on stderr once a second has passed."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet or not sys.stderr.isatty()
        self._began = time.monotonic()
        self._bar: rich.progress.Progress | None = None
        self._task = rich.progress.TaskID(0)

    def __call__(self, done: int, total: int) -> None:
        """Show how far the work is."""
        if self._quiet:
            return
        if self._bar is None:
            if time.monotonic() - self._began < PATIENCE:
                return
            self._bar = rich.progress.Progress(console=rich.console.Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task("explaining", total=total)
        self._bar.update(self._task, completed=done, total=total)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
