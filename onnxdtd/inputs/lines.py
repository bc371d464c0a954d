"""The lines of a table's file as text cells: CSV, and Parquet of numbers and words."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from onnxdtd.arrow import arrow
from onnxdtd.disk import open_regular
from onnxdtd.errors import InputError, one_line

PARQUET = ".parquet"


def lines_of(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The header and the lines that are not blank, by their numbers, as text. InputError where the file cannot be
    read; UsageError for Parquet without pyarrow."""
    if path.suffix.lower() == PARQUET:
        yield from _parquet(path)
        return
    try:
        with open_regular(path) as raw, io.TextIOWrapper(raw, "utf-8-sig", newline="") as file:
            reader: Any = csv.reader(_text(file), delimiter=delimiter)
            first = True
            for cells in reader:
                if cells:
                    yield (1 if first else reader.line_num), cells
                    first = False
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror or error}") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"'{path}' is not a CSV file: {one_line(error)}") from None


def _text(file: IO[str]) -> Iterator[str]:
    for line in file:
        if "\0" in line:
            raise csv.Error("it holds zero bytes")
        yield line


def _parquet(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The names of the columns, then row by row; numbers keep all their digits, and what is null is empty."""
    pa = arrow()
    try:
        with open_regular(path) as raw, pa.parquet.ParquetFile(raw) as file:
            yield 1, list(file.schema_arrow.names)
            line = 1
            for batch in file.iter_batches(1024):
                columns = [
                    ["" if cell is None else str(cell) for cell in c.to_pylist()] for c in batch.columns
                ]
                for cells in zip(*columns, strict=True):
                    line += 1
                    yield line, list(cells)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"'{path}' is not a whole Parquet file: {one_line(error)}") from None
