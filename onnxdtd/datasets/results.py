"""What a job has written, read as it is needed."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.arrow import arrow
from onnxdtd.datasets.columns import KEPT, RELEVANCE, SHAPE
from onnxdtd.datasets.record import read_failed, read_manifest, shards
from onnxdtd.errors import InputError, UsageError

GROUPED = (RELEVANCE, KEPT, "sum")
"""Columns that a row's mapping holds together, by the name of their input or value."""


class Results:
    """The rows of a folder that `batch` has written, in the order of the data.

    Iterated, it gives a mapping for each row: `id`, `row`, `label`, `prediction`, `target`, `target_value`,
    `arrived`, `findings`, ... (docs/scale.md), and `relevance`, `kept` and `sum` by name, arrays without batch axis.
    One group of rows is held at a time. len, `ids`, `failed` (the reason by id), `manifest`; `rows` of some columns;
    `to_numpy` of one, `to_arrow`, `to_pandas`, `to_polars` of some or all. Raises InputError where the folder is no
    job's.
    """

    def __init__(self, directory: str | Path) -> None:
        self.folder = Path(directory)
        self.manifest = read_manifest(self.folder)
        self._files = [arrow().parquet.ParquetFile(path) for path in shards(self.folder)]

    def __len__(self) -> int:
        """Rows that were explained."""
        return sum(file.metadata.num_rows for file in self._files)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """A mapping for each row."""
        return self.rows()

    def rows(self, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
        """A mapping for each row, of some columns. Raises UsageError for an unknown one."""
        for group in self.groups(self._known(columns)):
            yield from _rows(group)

    def spread(self, count: int, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
        """A mapping for each of `count` rows at equal distances, or of all. Only the groups of rows that hold them
        are read. Raises UsageError for an unknown column."""
        asked = self._known(columns)
        places, start = np.unique(np.linspace(0, len(self) - 1, min(count, len(self))).round()), 0
        for file in self._files:
            for group in range(file.num_row_groups):
                size = file.metadata.row_group(group).num_rows
                own = places[(places >= start) & (places < start + size)].astype(int) - start
                if own.size:
                    table = file.read_row_group(group, columns=asked)
                    yield from (row for place in own.tolist() for row in _rows(table.slice(place, 1)))
                start += size

    def __getitem__(self, name: str) -> dict[str, Any]:
        """The row of an id. KeyError where there is none."""
        file, place = self._places[name]
        for group in range(file.num_row_groups):
            size = file.metadata.row_group(group).num_rows
            if place < size:
                return next(_rows(file.read_row_group(group).slice(place, 1)))
            place -= size
        raise KeyError(name)

    @property
    def ids(self) -> list[str]:
        """The id of every row, in the order of the data."""
        return list(self._places)

    @property
    def failed(self) -> dict[str, str]:
        """The reason of each row that could not be explained, by its id."""
        return {name: why for name, why in read_failed(self.folder).items() if name not in self._places}

    @property
    def columns(self) -> list[str]:
        """The names of all columns."""
        return list(self._files[0].schema_arrow.names) if self._files else []

    def groups(self, columns: Sequence[str] | None = None) -> Iterator[Any]:
        """Arrow tables of some rows each, one after the other. Raises UsageError for an unknown column."""
        self._known(columns)
        for file in self._files:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group, columns=None if columns is None else list(columns))

    def to_arrow(self, columns: Sequence[str] | None = None) -> Any:
        """A pyarrow.Table."""
        groups = [group.replace_schema_metadata(None) for group in self.groups(columns)]
        if not groups:
            raise InputError(f"'{self.folder}' holds no rows")
        return arrow().concat_tables(groups)

    def to_pandas(self, columns: Sequence[str] | None = None) -> Any:
        """A pandas.DataFrame; by default of all columns but tensors, which `to_numpy` gives."""
        return self.to_arrow(self._flat if columns is None else columns).to_pandas()

    def to_polars(self, columns: Sequence[str] | None = None) -> Any:
        """A polars.DataFrame; by default of all columns but tensors. UsageError where polars is missing."""
        try:
            polars = importlib.import_module("polars")
        except ImportError:
            raise UsageError("this needs polars: pip install polars") from None
        return polars.from_arrow(self.to_arrow(self._flat if columns is None else columns))

    def to_numpy(self, column: str = RELEVANCE) -> npt.NDArray[Any]:
        """A column of all rows, in memory: tensors stacked, (N, ...). `relevance` stands for that of the only input.
        Raises InputError where shapes differ."""
        name = column
        if column not in self.columns and column in GROUPED:
            names = [n for n in self._tensors if n.startswith(f"{column}.")]
            name = names[0] if len(names) == 1 else column
        if name not in self._tensors:
            return np.asarray(self.to_arrow([name]).column(0).to_pylist())
        shape = [f"{name}.{SHAPE}"] if f"{name}.{SHAPE}" in self.columns else []
        rows = [row for group in self.groups([name, *shape]) for row in _arrays(group, name)]
        if len({row.shape for row in rows}) != 1:
            raise InputError(f"the rows of '{name}' differ in shape: iterate over the results")
        return np.stack(rows)

    def _known(self, columns: Sequence[str] | None) -> list[str] | None:
        """The columns with those of their shapes. Raises UsageError for an unknown one."""
        if columns is None:
            return None
        if unknown := sorted(set(columns) - set(self.columns)):
            raise UsageError(f"no column {', '.join(unknown)}; there are {', '.join(self.columns)}")
        return [*columns, *(f"{n}.{SHAPE}" for n in columns if f"{n}.{SHAPE}" in self.columns)]

    @cached_property
    def _places(self) -> dict[str, tuple[Any, int]]:
        places: dict[str, tuple[Any, int]] = {}
        for file in self._files:
            names = file.read(columns=["id"]).column(0).to_pylist()
            places |= {name: (file, i) for i, name in enumerate(names)}
        return places

    @property
    def _tensors(self) -> list[str]:
        heads = (f"{RELEVANCE}.", f"{KEPT}.")
        return [n for n in self.columns if n.startswith(heads) and not n.endswith(f".{SHAPE}")]

    @property
    def _flat(self) -> list[str]:
        return [n for n in self.columns if not n.startswith((f"{RELEVANCE}.", f"{KEPT}."))]


def _rows(table: Any) -> Iterator[dict[str, Any]]:
    """A table's rows as mappings."""
    single, grouped = {}, dict[tuple[str, str], Sequence[Any]]()
    for name in table.column_names:
        group, _, of = name.partition(".")
        if not of:
            single[name] = table.column(name).to_pylist()
        elif group == "sum":
            grouped[group, of] = table.column(name).to_pylist()
        elif not name.endswith(f".{SHAPE}") or name.removesuffix(f".{SHAPE}") not in table.column_names:
            grouped[group, of] = _arrays(table, name)
    for i in range(table.num_rows):
        row: dict[str, Any] = {name: values[i] for name, values in single.items()}
        for (group, of), values in grouped.items():
            row.setdefault(group, {})[of] = values[i]
        yield row


def _arrays(table: Any, name: str) -> Sequence[npt.NDArray[Any]]:
    """A tensor column as an array for each row."""
    column = table.column(name).combine_chunks()
    column = column.chunk(0) if hasattr(column, "chunk") else column
    if hasattr(column.type, "shape"):
        flat = column.storage.flatten().to_numpy(zero_copy_only=False)
        return list(flat.reshape(len(column), *column.type.shape))
    shapes = table.column(f"{name}.{SHAPE}").to_pylist()
    parts = [column[i].values.to_numpy(zero_copy_only=False) for i in range(len(column))]
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
