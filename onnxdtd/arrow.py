"""pyarrow, which the extra `parquet` brings."""

from __future__ import annotations

import importlib
from typing import Any

from onnxdtd.errors import UsageError


def arrow() -> Any:
    """The package pyarrow, with `parquet`. Raises UsageError where it is missing."""
    try:
        importlib.import_module("pyarrow.parquet")
        return importlib.import_module("pyarrow")
    except ImportError:
        raise UsageError('Parquet needs pyarrow: pip install "onnxdtd[parquet]"') from None
