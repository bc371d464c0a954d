"""The page of the folder of one explanation, perhaps of several samples."""

from __future__ import annotations

from pathlib import Path

from onnxdtd.explanation import Explanation
from onnxdtd.report.document import Page
from onnxdtd.report.page import Entry, page_of


def page(folder: Path) -> Page:
    """Raises InputError."""
    return page_of([Entry(Explanation.load(folder), folder.name)])
