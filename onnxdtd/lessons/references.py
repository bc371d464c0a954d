"""Rows that stand for a channel, and the channels that stand for a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onnxdtd.datasets import Results
from onnxdtd.explanation import Explanation
from onnxdtd.inputs import Row
from onnxdtd.lessons.channels import COLUMNS, Channels
from onnxdtd.lessons.classes import class_of


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


def described(
    results: Results, counted: Channels, channels: Sequence[int]
) -> tuple[dict[int, tuple[Reference, ...]], dict[int, tuple[Reference, ...]]]:
    """The reference rows of these channels, by relevance and by activation."""
    kinds = [{c: highest.of(c) for c in channels} for highest in (counted.relevant, counted.active)]
    positions = {at for kind in kinds for pairs in kind.values() for at, _ in pairs}
    rows = {at: row for at, row in enumerate(results.rows(COLUMNS)) if at in positions}
    relevant, active = (
        {c: tuple(Reference(rows[at]["id"], rows[at]["row"], class_of(rows[at]), x) for at, x in pairs)
         for c, pairs in kind.items()}
        for kind in kinds
    )  # fmt: skip
    return relevant, active
