"""A job's rows counted by class: how many, how many are right, what was explained, what fired."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from onnxdtd.datasets import Results
from onnxdtd.lessons.classes import COLUMNS, class_of

READ = (*COLUMNS, "prediction_name", "target_value", "arrived", "findings")


@dataclass
class Count:
    """rows: of a class. labelled, right: those with a label, and with the prediction that it says. value, arrived:
    sums over the rows that have a finite number. with_any: rows at which something fired."""

    rows: int = 0
    labelled: int = 0
    right: int = 0
    values: int = 0
    value: float = 0.0
    shares: int = 0
    arrived: float = 0.0
    with_any: int = 0

    def add(self, row: Mapping[str, Any], adds_up: bool) -> None:
        """One row more. adds_up: whether what arrives is a share of what starts."""
        self.rows += 1
        self.with_any += bool(row["findings"])
        if row["label"] is not None:
            said = row["prediction"] if isinstance(row["label"], int) else row["prediction_name"]
            self.labelled += said is not None
            self.right += said == row["label"]
        if math.isfinite(row["target_value"]):
            self.values, self.value = self.values + 1, self.value + row["target_value"]
        if adds_up and row["arrived"] is not None and math.isfinite(row["arrived"]):
            self.shares, self.arrived = self.shares + 1, self.arrived + row["arrived"]


@dataclass
class Tally:
    """whole: of all rows. classes: by class. fired: by finding, the rows."""

    whole: Count = field(default_factory=Count)
    classes: dict[str, Count] = field(default_factory=dict)
    fired: Counter[str] = field(default_factory=Counter)


def tally(results: Results, adds_up: bool) -> Tally:
    """Counted row by row; no tensor is read. adds_up: whether the method promises a sum."""
    counted = Tally()
    for row in results.rows(READ) if results.columns else ():
        counted.whole.add(row, adds_up)
        counted.classes.setdefault(class_of(row), Count()).add(row, adds_up)
        counted.fired.update(set(row["findings"]))
    counted.classes = dict(sorted(counted.classes.items(), key=lambda pair: (-pair[1].rows, pair[0])))
    return counted
