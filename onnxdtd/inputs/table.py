"""CSV and Parquet files: rows of a table by the names of its columns, read one after the other."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from onnx import TensorProto

from onnxdtd.errors import InputError
from onnxdtd.inputs.lines import lines_of
from onnxdtd.model.graph import Value
from onnxdtd.printing import is_whole
from onnxdtd.types import Array

LABEL_COLUMNS = ("label", "labels")
ID = "id"
DELIMITERS = (",", ";", "\t")
_WORDS = {"true": 1, "false": 0}


@dataclass(frozen=True)
class Table:
    """A CSV file whose columns are a model's inputs.

    places: for each input the columns of the file that make it. features: their names, in the model's order. label:
    the column of labels, if there is one; id: that of ids. count: rows. Made by `open_table`.
    """

    path: Path
    values: Mapping[str, Value]
    header: tuple[str, ...]
    places: Mapping[str, tuple[int, ...]]
    label: int | None
    count: int
    delimiter: str
    id: int | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the columns in the order in which the model takes them."""
        return tuple(self.header[i] for places in self.places.values() for i in places)

    def lines(self) -> Iterator[tuple[int, list[str]]]:
        """The cells of each row, with the number of its line."""
        rows = lines_of(self.path, self.delimiter)
        next(rows, None)
        yield from rows

    def ids(self, start: int) -> Iterator[str]:
        """What the column `id` calls the rows from one on."""
        place = self.id or 0
        for line, cells in islice(self.lines(), start, None):
            yield cells[place] if place < len(cells) and cells[place] else f"line {line}"

    def row(self, line: int, cells: Sequence[str]) -> tuple[dict[str, Array], str | None]:
        """A row's arrays by input name, without batch axis, and its label. InputError names line and column."""
        if len(cells) != len(self.header):
            raise InputError(
                f"'{self.path}', line {line}: {len(cells)} cells, where the header has {len(self.header)}"
            )
        arrays = {name: self._cells(line, cells, name) for name in self.values}
        return arrays, None if self.label is None else cells[self.label]

    def labels(self) -> Array | None:
        """The labels of all rows, where the file has them and they are whole numbers."""
        if self.label is None:
            return None
        cells = [cells[self.label] if self.label < len(cells) else "" for _, cells in self.lines()]
        return np.array(cells, np.int64) if all(is_whole(cell.strip()) for cell in cells) else None

    def whole(self) -> dict[str, Array]:
        """All rows, stacked. InputError names line and column, and where there is no row."""
        rows = [self.row(line, cells)[0] for line, cells in self.lines()]
        if not rows:
            raise InputError(f"'{self.path}' holds a header and no rows")
        return {name: np.stack([row[name] for row in rows]) for name in self.values}

    def _cells(self, line: int, cells: Sequence[str], name: str) -> Array:
        value, places = self.values[name], self.places[name]
        if value.elem_type == TensorProto.STRING:
            array = np.array([cells[i] for i in places], object)
        else:
            array = np.array([self._number(line, cells[i], i, value) for i in places], value.dtype)
        return array.reshape(()) if value.shape is not None and len(value.shape) == 1 else array

    def _number(self, line: int, cell: str, place: int, value: Value) -> float | int:
        text = cell.strip().lower()
        try:
            if value.is_float:
                return float(text) if text else np.nan
            number = _WORDS.get(text)
            whole = float(text) if number is None else float(number)
            if whole != int(whole):
                raise ValueError
            return int(whole)
        except (ValueError, OverflowError):
            kind = "a number" if value.is_float else "a whole number"
            raise InputError(
                f"'{self.path}', line {line}, column '{self.header[place]}': {cell!r} is not {kind}"
            ) from None


def open_table(path: Path, values: Mapping[str, Value], features: Sequence[str] | None = None) -> Table:
    """A CSV file with a header, or a Parquet file, read for these inputs.

    values: the model's inputs, each one or more columns: (N, F), (N, 1) or (N,). features: the names of all columns
    in the model's order; without them, an input of one column is looked for by its name, a wider one by `name[0]`,
    `name[1]`, ..., and the columns of a model's one input are taken as they stand where their number is right.
    Columns that are not asked for are left out. Raises InputError: one line for all that are missing.
    """
    widths = {name: _width(path, value) for name, value in values.items()}
    heads = {mark: next(lines_of(path, mark), (0, []))[1] for mark in DELIMITERS}
    delimiter = max(DELIMITERS, key=lambda mark: len(heads[mark]))
    header = tuple(cell.strip() for cell in heads[delimiter])
    if not any(header) or (all(map(_is_number, header)) and not _counts(header)):
        raise InputError(f"'{path}' holds no header: write the names of the columns into its first line")
    names = _names(path, header, widths, features)
    located = [_place(name, header) for name in names]
    missing = [name for name, place in zip(names, located, strict=True) if place is None]
    if missing:
        raise InputError(f"'{path}' lacks {_missing(missing, header)}")
    every = [place for place in located if place is not None]
    places, at = {}, 0
    for name, width in widths.items():
        size = len(every) if width is None else width
        places[name] = tuple(every[at : at + size])
        at += size
    labels = [i for i, name in enumerate(header) if name.lower() in LABEL_COLUMNS and i not in every]
    count = sum(1 for _ in lines_of(path, delimiter)) - 1
    named = [i for i, name in enumerate(header) if name.lower() == ID and i not in every]
    return Table(
        path,
        values,
        header,
        places,
        labels[0] if labels else None,
        count,
        delimiter,
        named[0] if named else None,
    )


def headings(path: Path, values: Mapping[str, Value]) -> tuple[str, ...] | None:
    """What a file calls the columns of a model's one input of floats, (N, F), which itself does not name them; None
    for other models, and where the file numbers its columns. Raises InputError."""
    if len(values) != 1 or not all(v.is_float and len(v.shape or ()) == 2 for v in values.values()):
        return None
    names = open_table(path, values).features
    return None if len(names) < 2 or _counts(names) else names


def _names(
    path: Path, header: tuple[str, ...], widths: Mapping[str, int | None], features: Sequence[str] | None
) -> list[str]:
    """The columns that are looked for, in the model's order."""
    total = sum(width or 0 for width in widths.values())
    if features is not None and (len(features) == total or (None in widths.values() and len(widths) == 1)):
        return list(features)
    if features is not None:
        raise InputError(f"{len(features)} names of features, where the model takes {total} columns")
    if len(widths) == 1:
        ((name, width),) = widths.items()
        free = [column for column in header if column.lower() not in LABEL_COLUMNS]
        bare = [column for column in free if column.lower() != ID]
        free = bare if width in (None, len(bare)) else free
        if width == 1 and _place(name, header) is not None:
            return [name]
        if width in (None, len(free)):
            return free
        raise InputError(
            f"'{path}' has {len(free)} columns, the model takes {width} and does not name them: --features FILE "
            "names those it takes, in its order"
        )
    return [
        name if width == 1 else f"{name}[{i}]" for name, width in widths.items() for i in range(width or 0)
    ]


def _place(name: str, header: Sequence[str]) -> int | None:
    """The column of a name: as it is written, else the only one with the same letters and digits."""
    if name in header:
        return header.index(name)
    alike = [i for i, column in enumerate(header) if _bare(column) == _bare(name)]
    return alike[0] if len(alike) == 1 else None


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower()) or name


def _missing(names: Sequence[str], header: Sequence[str]) -> str:
    quoted = ", ".join(f"'{name}'" for name in names[:8])
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    text = f"the column{'s' * (len(names) > 1)} {quoted}{more}"
    lowered = {column.lower(): column for column in header}
    close = {name: difflib.get_close_matches(name.lower(), lowered, 1, 0.6) for name in names[:8]}
    meant = [f"'{lowered[match[0]]}'" for match in close.values() if match]
    return text + (f"; did you mean {' and '.join(dict.fromkeys(meant))}?" if meant else "; " + _has(header))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _counts(header: Sequence[str]) -> bool:
    """0, 1, 2, ... are the names of columns without names."""
    return list(header) == [str(i) for i in range(len(header))]


def _has(header: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in header[:8])
    return f"it has {shown}" + (f" and {len(header) - 8} more" if len(header) > 8 else "")


def _width(path: Path, value: Value) -> int | None:
    """Columns of an input: of (N,) one; None where (N, ?) leaves it open."""
    if value.shape is None or len(value.shape) > 2:
        raise InputError(f"'{path}' holds rows of a table, and the model's input '{value.name}' is none")
    if len(value.shape) < 2:
        return 1
    width = value.shape[1]
    return width if isinstance(width, int) else None
