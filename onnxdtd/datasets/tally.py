"""How far a job is."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Tally:
    """done: rows in shards, of which `earlier` stood there before. failed: rows that could not be explained. total:
    rows of the data, None where nobody knows. seconds: since the job began."""

    done: int
    failed: int
    earlier: int
    total: int | None
    seconds: float
    tried: int = 0

    @property
    def rate(self) -> float:
        """Rows per second of this run."""
        return self.tried / self.seconds if self.seconds > 0 else 0.0

    @property
    def remaining(self) -> float | None:
        """Seconds until the end at this rate, None where they cannot be told."""
        if self.total is None or not self.rate:
            return None
        return math.ceil(max(self.total - self.done - self.failed, 0) / self.rate)
