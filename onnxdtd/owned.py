"""Files that users name for us to write: whole or not at all, and over an earlier one of the same kind only."""

from __future__ import annotations

from pathlib import Path

from onnxdtd.disk import open_regular
from onnxdtd.durable import whole
from onnxdtd.errors import UsageError

_HEAD = 4096
"""Bytes at a file's start among which the mark of its kind stands."""


def check_owned(path: Path, mark: bytes, kind: str) -> None:
    """UsageError unless the file may be written: it is new, or has the mark at its start. kind: what another
    file is told to be, such as "is no report of onnxdtd"."""
    if not path.exists():
        return
    try:
        with open_regular(path) as stream:
            head = stream.read(_HEAD)
    except OSError as error:
        raise UsageError(f"'{path}' cannot be read: {error.strerror or error}") from None
    if mark not in head:
        raise UsageError(f"'{path}' exists and {kind}: name another file, or remove it")


def write_owned(path: Path, content: bytes) -> None:
    """Write the file and the folders that it needs. Raises UsageError where it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as file:
            file.write(content)
    except OSError as error:
        raise UsageError(f"'{path}' cannot be written: {error.strerror or error}") from None
