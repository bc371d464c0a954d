"""Results as tables: a line for each sample, and of a table's rows the relevance of every column."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from onnxdtd.arrow import arrow
from onnxdtd.explanation import Explanation
from onnxdtd.reading import asked, by_sample, column_names, columns, parts, unit

Line = Mapping[str, Any]


def summary_line(e: Explanation, sample: int, first: Line) -> dict[str, Any]:
    """What was explained in one sample, its number, what it is made of, and what fired. first: columns before it."""
    made = {f"of {word}": amount for word, amount in parts(e, sample)}
    best = e.top(1, sample)
    return {
        **first,
        "target": asked(e, sample),
        unit(e, sample): float(e.target_value[sample]),
        "largest": best[0][1] or ",".join(map(str, best[0][0])) if best else "",
        "method": e.method,
        **made,
        "fired": " ".join(finding["name"] for finding in e.findings if finding["fired"]),
        "warnings": len(e.warnings),
    }


def relevance_lines(e: Explanation, first: Line | None = None) -> list[dict[str, Any]]:
    """A line for each row of a table: the columns of `first`, by default the row's number, the explained number, the
    relevance of each column, and what no column is given. Empty where the inputs are no columns."""
    e = by_sample(e)
    names = column_names(e)
    if not names:
        return []
    arrays = [e.relevance[name] for name in columns(e) or list(e.relevance)[:1]]
    rows = np.concatenate([array.reshape(len(array), -1) for array in arrays], axis=1)
    lines = []
    for i, row in enumerate(rows.tolist()):
        others = {f"({word})": amount for word, amount in parts(e, i)[1:]}
        line = {**(first or {"row": i}), "target": asked(e, i), unit(e, i): float(e.target_value[i])}
        lines.append({**line, **dict(zip(names, row, strict=True)), **others})
    return lines


def kept_lines(e: Explanation) -> dict[str, list[dict[str, Any]]]:
    """What was kept inside, of all samples, as the lines of a table by layer, by head and by token."""
    made: dict[str, list[dict[str, Any]]] = {}
    for i in range(len(e.target) if e.kept else 0):
        names = tuple(token.token for token in e.tokens(sample=i)) if e.texts else ()
        for kind, rows in e.tables(i).lines(names).items():
            made.setdefault(kind, []).extend({"row": i, **row} for row in rows)
    return made


def write_csv(path: Path, lines: Sequence[Line]) -> None:
    """The lines under a header of all their columns, in the order in which they come up; missing ones are empty."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, header(lines), restval="")
        writer.writeheader()
        writer.writerows(lines)


def write_parquet(path: Path, lines: Sequence[Line]) -> None:
    """The same as Parquet, by pyarrow. Raises UsageError where that is missing."""
    pa = arrow()
    columns = {name: [line.get(name) for line in lines] for name in header(lines)}
    pa.parquet.write_table(pa.table(columns), path)


def header(lines: Sequence[Line]) -> list[str]:
    """Every column of any line, once."""
    return list(dict.fromkeys(name for line in lines for name in line))
