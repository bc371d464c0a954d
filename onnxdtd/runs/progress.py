"""The progress of one job after the other as that of all."""

from __future__ import annotations

from collections.abc import Callable

Tell = Callable[[int, int], None] | None
PARTS = 1000
"""Of each job."""


class Ticker:
    """Call it with (done, total) of the job of number `index`; what it tells of all `count` jobs never goes back."""

    def __init__(self, count: int, tell: Tell) -> None:
        self.index, self._count, self._tell, self._last = 0, count, tell, 0

    def __call__(self, done: int, total: int) -> None:
        """A job may count more than once."""
        if self._tell is not None:
            part = self.index + min(1.0, done / max(1, total))
            self._last = max(self._last, int(PARTS * part))
            self._tell(self._last, PARTS * self._count)
