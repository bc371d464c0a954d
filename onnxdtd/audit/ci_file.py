"""A file that an audit writes for a CI system: over an earlier one of its kind, and over nothing else."""

from __future__ import annotations

from pathlib import Path

from onnxdtd.disk import open_regular
from onnxdtd.durable import whole
from onnxdtd.errors import UsageError

_HEAD = 512


def write_for_ci(path: Path, content: bytes) -> None:
    """Write the file, whole or not at all. Raises UsageError where it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as file:
            file.write(content)
    except OSError as error:
        raise UsageError(f"'{path}' cannot be written: {error.strerror or error}") from None


def check_for_ci(path: Path | None, mark: bytes) -> None:
    """UsageError unless the file may be written: it is new, or begins as an earlier one does, with the mark."""
    if path is None or not path.exists():
        return
    try:
        with open_regular(path) as stream:
            head = stream.read(_HEAD)
    except OSError as error:
        raise UsageError(f"'{path}' cannot be read: {error.strerror or error}") from None
    if mark not in head:
        raise UsageError(f"'{path}' exists and is no audit of onnxdtd: name another file, or remove it")
