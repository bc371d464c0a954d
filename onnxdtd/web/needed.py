"""The packages behind the extra `serve`, asked for before anything that imports them."""

from __future__ import annotations

import importlib.util

from onnxdtd.errors import UsageError

EXTRA = 'pip install "onnxdtd[serve]"'
PACKAGES = ("starlette", "uvicorn")


def check_packages() -> None:
    """UsageError where one of them is not installed."""
    missing = [package for package in PACKAGES if importlib.util.find_spec(package) is None]
    if missing:
        raise UsageError(f"this needs {' and '.join(missing)}, not installed here: {EXTRA}")
