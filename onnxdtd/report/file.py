"""The page in a file: written whole or not at all, and never over a file that is no such page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from onnxdtd.errors import UsageError
from onnxdtd.explanation import Explanation
from onnxdtd.owned import check_owned, write_owned
from onnxdtd.report.document import GENERATOR
from onnxdtd.report.page import Entry, report_page

SUFFIXES = (".html", ".htm")


def save_report(entries: Sequence[Entry] | Explanation, path: str | Path) -> Path:
    """Write the page of one or several explanations into a .html file. Raises UsageError, and nothing is touched,
    where the file is something else or cannot be written."""
    check_report(path)
    return write_page(report_page(entries), path)


def write_page(html: str, path: str | Path) -> Path:
    """Write a page that is made already. Raises as `save_report` does."""
    check_report(path)
    path = Path(path)
    write_owned(path, html.encode())
    return path


def check_report(path: str | Path) -> None:
    """UsageError unless the file may be written: it is new, or an earlier page."""
    path = Path(path)
    if path.is_dir():
        raise UsageError(f"'{path}' is a directory: name the file that is to be written, such as report.html")
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"'{path}' is no HTML file by its name: name it *.html")
    check_owned(path, GENERATOR.encode(), "is no report of onnxdtd")
