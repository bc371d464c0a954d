"""The files of a data set: those that are named, of a folder those inside, of a list those that it names."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from onnxdtd.disk import NAMES, read_text
from onnxdtd.errors import InputError, one_line
from onnxdtd.folder import is_result
from onnxdtd.inputs.files import SUFFIXES
from onnxdtd.inputs.image import IMAGE_SUFFIXES

LIST = ".txt"
OTHERS, AN_INPUT = 100_000, 10
"""A folder that holds more other files than the first, and more of them for each input than the second, is none."""


def files_of(paths: Sequence[Path]) -> list[tuple[str, Path]]:
    """The files of these paths, those of a folder sorted by name, each with what results call it. InputError for a
    folder without any."""
    files: list[tuple[str, Path]] = []
    for path in paths:
        if path.suffix.lower() == LIST:
            files += [(name, path.parent / name) for name in _listed(path)]
            continue
        if not path.is_dir():
            files.append((path.name, path))
            continue
        inside = sorted(_inside(path))
        inside = [p for p in inside if p.suffix.lower() in IMAGE_SUFFIXES] or inside
        if not inside:
            raise InputError(f"'{path}' holds no inputs ({' '.join(SUFFIXES)})")
        files += [(p.relative_to(path).as_posix(), p) for p in inside]
    counts = Counter(name for name, _ in files)
    return [(name if counts[name] == 1 else path.as_posix(), path) for name, path in files]


def _inside(folder: Path) -> Iterator[Path]:
    """The inputs below a folder, but those of our results. InputError for one that holds next to nothing else, such
    as a whole disk, which would take minutes to look through."""
    inputs = others = 0
    for place, folders, names in os.walk(folder, onerror=_unless_closed):
        paths = [Path(place, name) for name in names if Path(name).suffix.lower() in SUFFIXES]
        if paths and not is_result(Path(place)):
            files = [path for path in paths if path.is_file()]
            inputs += len(files)
            yield from files
        others += len(folders) + len(names) - len(paths)
        if others > max(OTHERS, AN_INPUT * inputs):
            raise InputError(
                f"'{folder}' holds {others:,} files and folders, and more, for {inputs:,} that may be inputs: name "
                "the folder that the inputs are in"
            )


def _unless_closed(error: OSError) -> None:
    """A folder that we may not look into, or that is gone by now, is passed over."""
    if not isinstance(error, (PermissionError, FileNotFoundError)):
        raise InputError(f"'{error.filename}' cannot be read: {error.strerror}") from None


def _listed(path: Path) -> list[str]:
    """The files that a list names, one a line, relative to its own folder. InputError where there are none."""
    try:
        lines = read_text(path, NAMES, "utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"'{path}' is not a list of files: {one_line(error)}") from None
    if not any(map(str.strip, lines)):
        raise InputError(f"'{path}' names no files")
    return [line.strip() for line in lines if line.strip()]
