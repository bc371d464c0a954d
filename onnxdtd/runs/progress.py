"""The progress of one job after the other as that of all."""

from __future__ import annotations

from onnxdtd.types import OnProgress


class Ticker:
    """Call it with (done, total) of the job of number `index`; what it tells of all `count` jobs, each of so many
    parts, never goes back."""

    def __init__(self, count: int, tell: OnProgress, parts: int = 100) -> None:
        self.index, self._count, self._tell, self._parts, self._last = 0, count, tell, parts, 0

    def __call__(self, done: int, total: int) -> None:
        """A job may count more than once."""
        if self._tell is not None:
            part = self.index + min(1.0, done / max(1, total))
            self._last = max(self._last, round(self._parts * part))
            self._tell(self._last, self._parts * self._count)
