"""Which page a folder has: as its own manifest says, never guessed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from onnxdtd.errors import InputError, one_line
from onnxdtd.folder import kind_of
from onnxdtd.pages import audit, audits, batch, compare, evaluation, lessons, pair, results, run
from onnxdtd.report.document import Page, document

MAKERS: dict[str, Callable[[Path], Page]] = {
    "onnxdtd.explanation": run.page,
    "onnxdtd.results": results.page,
    "onnxdtd.audit": audit.page,
    "onnxdtd.audits": audits.page,
    "onnxdtd.compare": compare.page,
    "onnxdtd.pair": pair.page,
    "onnxdtd.evaluation": evaluation.page,
    "onnxdtd.batch": batch.page,
    "onnxdtd.lesson": lessons.summary,
    "onnxdtd.clusters": lessons.clusters,
    "onnxdtd.concepts": lessons.concepts,
}


def folder_page(folder: str | Path) -> tuple[Page, str]:
    """The page of a folder that a command has left, and its HTML. Raises InputError for a folder of no such kind, and
    for one that is damaged; UsageError where a package is missing."""
    folder = Path(folder)
    maker = MAKERS[kind_of(folder)]
    try:
        page = maker(folder)
        return page, document(page)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        lacks = f"it lacks {error}" if isinstance(error, KeyError) else one_line(error)
        raise InputError(f"'{folder}' is not as documented: {lacks}") from None
