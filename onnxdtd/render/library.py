"""matplotlib, imported with the first chart: that takes longer than a small model takes to be explained."""

from __future__ import annotations

import importlib
from typing import Any


def matplotlib(module: str) -> Any:
    """One of its modules."""
    return importlib.import_module(f"matplotlib.{module}")
