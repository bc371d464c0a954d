"""Names of classes or columns from a file, one a line, or as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from onnxdtd.disk import NAMES, read_json, read_text
from onnxdtd.errors import InputError, one_line

Names = Sequence[str] | str | PathLike[str]
"""Names, or the path of a file of them."""


def names_of(names: Names | None) -> tuple[str, ...] | None:
    """The names, read if it is a path: a text file with one a line, or .json: a list, or an object by index, such as
    ImageNet's {"0": ["n01440764", "tench"], ...}, of which the last word counts. Raises InputError."""
    if names is None or not isinstance(names, (str, PathLike)):
        return None if names is None else tuple(map(str, names))
    path = Path(names)
    try:
        if path.suffix.lower() == ".json":
            entries = _listed(read_json(path, NAMES))
        else:
            entries = _lines(read_text(path, NAMES, "utf-8-sig"))
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise InputError(f"'{path}' holds no names, one a line or as JSON: {one_line(error)}") from None
    if not entries:
        raise InputError(f"'{path}' holds no names: write one a line")
    return entries


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


def _listed(document: Any) -> tuple[str, ...]:
    if isinstance(document, dict):
        if sorted(document, key=_place) != [str(i) for i in range(len(document))]:
            raise ValueError("its keys are not 0, 1, 2, ...")
        document = [document[str(i)] for i in range(len(document))]
    if not isinstance(document, list):
        raise ValueError("neither a list nor an object by index")
    return tuple(str(entry[-1] if isinstance(entry, list) and entry else entry) for entry in document)


def _place(key: str) -> tuple[int, str]:
    return len(key), key
