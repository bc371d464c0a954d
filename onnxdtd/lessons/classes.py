"""What a row is counted with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

COLUMNS = ("label", "prediction", "target", "target_name")
"""That say it."""


def class_of(row: Mapping[str, Any], by: str | None = None) -> str:
    """The class of a row. by: the column that says it; by default the label, else what was predicted, else what was
    explained."""
    keys = ("label", "prediction") if by is None else (by,)
    return str(next((row[key] for key in keys if row[key] is not None), row["target_name"]))
