"""Rows that stand for a channel, and the channels that stand for a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onnxdtd.explanation import Explanation
from onnxdtd.inputs import Row


@dataclass(frozen=True)
class Reference:
    """A row that stands for a channel. place: in the data. name: its class. value: its relevance or activation
    there."""

    id: str
    place: int
    name: str
    value: float


@dataclass(frozen=True)
class Located:
    """Which concepts one row was explained by, and where they are. row: as it was read. whole: its explanation.
    shares: by channel, the part of the layer's |relevance|, those of the largest first. parts: by channel, its
    conditional explanation."""

    row: Row
    whole: Explanation
    shares: Mapping[int, float]
    parts: Mapping[int, Explanation]

    def document(self) -> dict[str, Any]:
        """For JSON: what was explained, and the share of each channel."""
        target = {"target": self.whole.label(), "target_value": float(self.whole.target_value[0])}
        return {"row": self.row.id, **target, "shares": {str(c): share for c, share in self.shares.items()}}
