"""The page in a file: written whole or not at all, and never over a file that is no such page."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from onnxdtd.disk import open_regular
from onnxdtd.errors import UsageError
from onnxdtd.explanation import Explanation
from onnxdtd.report.page import GENERATOR, Entry, report_page

SUFFIXES = (".html", ".htm")
_HEAD = 4096


def save_report(entries: Sequence[Entry] | Explanation, path: str | Path) -> Path:
    """Write the page of one or several explanations into a .html file. Raises UsageError, and nothing is touched,
    where the file is something else or cannot be written."""
    check_report(path)
    path, text = Path(path), report_page(entries)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(text, "utf-8")
        os.replace(unfinished, path)
    except OSError as error:
        raise UsageError(f"'{path}' cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            unfinished.unlink()
    return path


def check_report(path: str | Path) -> None:
    """UsageError unless the file may be written: it is new, or an earlier page."""
    path = Path(path)
    if path.is_dir():
        raise UsageError(f"'{path}' is a directory: name the file that is to be written, such as report.html")
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"'{path}' is no HTML file by its name: name it *.html")
    if not path.exists():
        return
    try:
        with open_regular(path) as stream:
            head = stream.read(_HEAD)
    except OSError as error:
        raise UsageError(f"'{path}' cannot be read: {error.strerror or error}") from None
    if GENERATOR.encode() not in head:
        raise UsageError(f"'{path}' exists and is no report of onnxdtd: name another file, or remove it")
