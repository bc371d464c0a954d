"""A WebDataset archive (.tar): members that share their name up to its first dot are one sample.

    cats/0001.jpg  cats/0001.cls     a picture and its class
    0002.npy                         an array, of a model with one input
    0003.left.npy  0003.right.jpg    one array or picture for each input, by name

Nothing is unpacked: where members lie is read once, from the headers, and their bytes when a row is.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from onnxdtd.disk import SETTINGS, open_regular, parsed_json
from onnxdtd.errors import InputError, one_line
from onnxdtd.inputs.image import IMAGE_SUFFIXES
from onnxdtd.memory import beyond, limit
from onnxdtd.npz import OBJECTS, data, header
from onnxdtd.printing import is_whole
from onnxdtd.types import Array

ARRAY, CLASS, FACTS = ".npy", ".cls", ".json"
HEADER = 1 << 20
"""Bytes of one header: a longer name or comment fills the memory for nothing."""


@dataclass
class Sample:
    """key: the common name. pieces: where in the file each member lies, offset and size, by the rest of its name."""

    key: str
    pieces: dict[str, tuple[int, int]] = field(default_factory=dict)
    label: int | str | None = None


@dataclass(frozen=True)
class Archive:
    """The samples of a file, in its order."""

    path: Path
    samples: tuple[Sample, ...]

    @property
    def labels(self) -> Array | None:
        """(N,), where each sample has a whole number."""
        labels = [sample.label for sample in self.samples]
        return np.asarray(labels) if all(isinstance(label, int) for label in labels) else None

    def ids(self, start: int = 0) -> Iterator[str]:
        """The keys, from one on."""
        return (sample.key for sample in self.samples[start:])

    def piece(self, sample: Sample, name: str) -> BytesIO:
        """The bytes of a member. InputError where they cannot be had."""
        offset, size = sample.pieces[name]
        if size > limit():
            raise InputError(f"its {name} {beyond(size)}")
        try:
            with open_regular(self.path) as file:
                file.seek(offset)
                return BytesIO(file.read(size))
        except OSError as error:
            raise InputError(f"'{self.path}' cannot be read: {error.strerror or error}") from None

    def contents(self, sample: Sample, inputs: Sequence[str]) -> dict[str, Array | BytesIO]:
        """By input name: an array without batch axis, or the file of a picture. InputError where they do not fit."""
        names = [name for name in sample.pieces if is_input(name)]
        by_input = {name[1:].rpartition(".")[0]: name for name in names}
        if len(inputs) == 1 and len(names) == 1:
            by_input = {inputs[0]: names[0]}
        if len(by_input) < len(names) or set(by_input) != set(inputs):
            expected = ", ".join(f"'{sample.key}.{name}{ARRAY}'" for name in inputs)
            raise InputError(f"it holds {', '.join(sorted(names))}; the model takes {expected}")
        return {
            key: _array(self.piece(sample, name)) if name.endswith(ARRAY) else self.piece(sample, name)
            for key, name in by_input.items()
        }


def open_archive(path: Path) -> Archive:
    """The samples of a .tar. InputError: not a whole one, a link or a device in it, a name twice, no samples."""
    samples: dict[str, Sample] = {}
    try:
        with open_regular(path) as file:
            headers: Any = _Headers(file)
            with tarfile.open(fileobj=headers, mode="r:") as archive:
                collected: Any = archive
                while member := archive.next():
                    collected.members.clear()
                    _add(samples, member, file)
    except (tarfile.TarError, OSError, ValueError, OverflowError, EOFError) as error:
        raise InputError(f"'{path}' is not a whole .tar file: {one_line(error)}") from None
    except InputError as error:
        raise InputError(f"'{path}': {error}") from None
    kept = tuple(sample for sample in samples.values() if any(map(is_input, sample.pieces)))
    if not kept:
        raise InputError(f"'{path}' holds no samples: pictures ({' '.join(IMAGE_SUFFIXES)}) or {ARRAY}")
    return Archive(path, kept)


def is_input(name: str) -> bool:
    """Whether a member is a picture or an array, by the end of its name."""
    return name.endswith((ARRAY, *IMAGE_SUFFIXES))


class _Headers:
    """A file of which no long piece is read at once: between headers a tar is sought through, not read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        """ValueError for more than a header has."""
        if not 0 <= size <= HEADER:
            raise ValueError(f"one of its headers has {size:,} bytes")
        return self._file.read(size)


def _add(samples: dict[str, Sample], member: tarfile.TarInfo, file: BinaryIO) -> None:
    """Put a member where it belongs. Raises InputError."""
    if member.isdir():
        return
    if not member.isreg() or member.issparse():
        raise InputError(
            f"its '{member.name}' is a link, a device or has holes, not a plain file: pack it anew"
        )
    folder, _, base = member.name.rpartition("/")
    stem, dot, end = base.partition(".")
    if not stem:  # a hidden file, which no sample is
        return
    key = f"{folder}/{stem}".removeprefix("./").lstrip("/")
    sample, name = samples.setdefault(key, Sample(key)), (dot + end).lower()
    if name in sample.pieces:
        raise InputError(f"it holds '{member.name}' twice: names tell samples apart")
    sample.pieces[name] = member.offset_data, member.size
    if name in (CLASS, FACTS) and member.size <= SETTINGS:
        place = file.tell()
        file.seek(member.offset_data)
        content = file.read(member.size)
        file.seek(place)
        sample.label = _label(name, content, sample.label)


def _label(name: str, content: bytes, before: int | str | None) -> int | str | None:
    """The class that a member states, a .cls before a .json."""
    if name == FACTS:
        try:
            facts = parsed_json(content)
        except ValueError:
            return before
        label = facts.get("label") if isinstance(facts, dict) else None
        usable = isinstance(label, (int, str)) and not isinstance(label, bool)
        return label if before is None and usable else before
    text = content.decode("utf-8", "replace").strip()
    return int(text) if is_whole(text) else text or before


def _array(file: BytesIO) -> Array:
    try:
        if file.getvalue()[:1] == b"\x80":  # NumPy takes everything else for a pickle
            raise ValueError(OBJECTS)
        return np.asarray(data(file, *header(file)))
    except Exception as error:  # NumPy's header parser raises anything
        raise InputError(f"its {ARRAY} is not whole: {one_line(error)}") from None
