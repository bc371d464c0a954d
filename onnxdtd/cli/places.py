"""Folders of results: of each of many inputs, and of each of several targets."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path, PurePosixPath


def places_of(targets: Sequence[str]) -> list[str]:
    """A folder for each of several targets: its number, and what of its text may stand in a name."""
    words = [re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower()[:40] for text in targets]
    return ["-".join(filter(None, (str(i), word))) for i, word in enumerate(words, 1)]


class Places:
    """The folder of each row, by its name: one for each file, and in it one for each row of a file with several. No
    file's folder is another's, or lies in it. ids: of the files; a row has its number in brackets behind that."""

    def __init__(self, ids: Sequence[str]) -> None:
        self._ids = frozenset(ids)
        self._alike = Counter(map(_bare, ids))
        self._files: dict[str, str] = {}
        self._used: set[str] = set()
        self._above: set[str] = set()

    def __call__(self, name: str) -> str:
        """A folder that no other row has."""
        file, _, number = name.rpartition("[") if name not in self._ids else (name, "", "")
        row = f"/{number.rstrip(']')}" if number else ""
        folder = self._files.get(file)
        if folder is None or folder + row in self._used:  # the same file once more
            folder = next(filter(self._is_free, self._possible(file)))
            self._files[file] = folder
            self._above |= _above(folder)
        self._used |= {folder, folder + row}
        return folder + row

    def _possible(self, file: str) -> Iterator[str]:
        """Its path without the suffix, if no other file has it; then with the suffix, then with further numbers at
        the folder on top, since one further down would stay inside whatever is in the way."""
        if self._alike[_bare(file)] == 1:
            yield _inside(_bare(file))
        yield _inside(file)
        top, slash, rest = _inside(file).partition("/")
        yield from (f"{top}-{i}{slash}{rest}" for i in count(2))

    def _is_free(self, folder: str) -> bool:
        return folder not in self._above and not self._used & _above(folder)


def _bare(file: str) -> str:
    return Path(file).with_suffix("").as_posix()


def _inside(file: str) -> str:
    """A path that leads into the folder of results, from wherever the file lies."""
    return "/".join(part for part in Path(file).parts if part not in ("/", "..", "."))


def _above(folder: str) -> set[str]:
    """The folder, and those that it lies in."""
    return {folder, *map(str, PurePosixPath(folder).parents)} - {"."}
