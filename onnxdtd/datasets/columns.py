"""What is stored of a row: numbers and words, and its relevance as a tensor."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.arrow import arrow
from onnxdtd.errors import OnnxdtdError, UsageError
from onnxdtd.explanation import Explanation, Index, sum_by_sample
from onnxdtd.inputs import Row
from onnxdtd.plan.batch import samples_first
from onnxdtd.types import Array

STORES, DTYPES = ("relevance", "sum", "none"), ("float32", "float16")
RELEVANCE, KEPT, SUM, SHAPE = "relevance", "kept", "sum", "shape"
Shapes = Mapping[str, tuple[int, ...] | None]
"""Of each tensor column, the shape that all its rows have; None where each has its own."""


@dataclass(frozen=True)
class Store:
    """what: `relevance` of every element, its `sum` over each input, or `none`. dtype: of relevance, float32 or
    float16. keep: patterns of values inside the model whose relevance is stored too. audit: whether all quick audits
    are made; without it only that of conservation, which takes no further walk. overlays: whether a picture of each
    row is drawn. Raises UsageError."""

    what: str = "relevance"
    dtype: str = "float32"
    keep: tuple[str, ...] = ()
    audit: bool = False
    overlays: bool = False

    def __post_init__(self) -> None:
        if self.what not in STORES:
            raise UsageError(f"no store {self.what!r}; choose among {', '.join(STORES)}")
        if self.dtype not in DTYPES:
            raise UsageError(f"relevance is stored as {' or '.join(DTYPES)}, not {self.dtype!r}")
        if self.keep and self.what != RELEVANCE:
            raise UsageError("keep stores relevance inside the model: leave it out, or store relevance")


def tensors(e: Explanation, i: int, store: Store) -> dict[str, npt.NDArray[Any]]:
    """The tensor columns of sample i, without batch axis. OnnxdtdError where a number is beyond float16."""
    if store.what != RELEVANCE:
        return {}
    count = len(e.target)
    parts = {f"{RELEVANCE}.{name}": r for name, r in e.relevance.items()}
    parts |= {f"{KEPT}.{name}": r for name, r in e.kept.items()}
    return {
        name: _stored(name, r[i] if r.ndim and len(r) == count else r, store.dtype)
        for name, r in parts.items()
    }


def cells(
    e: Explanation,
    rows: Sequence[Row],
    places: Sequence[int],
    labels: Sequence[int | str | None],
    fired: Sequence[Sequence[str]],
    store: Store,
) -> list[dict[str, Any]]:
    """The other columns of rows that were explained together. fired: names of the findings that fired."""
    count = len(e.target)
    sums = {name: np.broadcast_to(sum_by_sample(r, count), count).tolist() for name, r in e.relevance.items()}
    best, lines = _best(e), list[dict[str, Any]]()
    for i, (row, place, label, names) in enumerate(zip(rows, places, labels, fired, strict=True)):
        own = {name: amounts[i] for name, amounts in sums.items()}
        came = math.fsum(own.values()) if all(map(math.isfinite, own.values())) else math.nan
        started, elements = float(e.seed[i]), e.target[i]
        line: dict[str, Any] = {
            "id": row.id,
            "row": place,
            "label": label,
            "prediction": _class(e, best[i]),
            "prediction_name": _spelled(e, best[i]),
            "target": _class(e, elements[0]) if len(elements) == 1 else None,
            "target_name": e.label(i),
            "target_value": float(e.target_value[i]),
            "arrived": came / started if started and math.isfinite(came) else None,
            "findings": [*names],
        }
        lines.append(line if store.what == "none" else line | {f"{SUM}.{n}": s for n, s in own.items()})
    return lines


def _best(e: Explanation) -> list[Index]:
    """The index of the largest element of the explained output in each sample; of an empty output none."""
    values = samples_first(e.outputs[e.output], e.batch_axis)
    if values.ndim < 2 or not values.size:
        return [()] * len(e.target)
    rows = values.reshape(len(values), -1)
    places = np.where(np.isnan(rows), -np.inf, rows).argmax(axis=1)
    axes = np.unravel_index(places, values.shape[1:])
    return [*zip(*(axis.tolist() for axis in axes), strict=True)]


def table(lines: Sequence[Mapping[str, Any]], arrays: Sequence[Arrays], shapes: Shapes, whole: bool) -> Any:
    """The rows as an Arrow table. whole: whether labels are whole numbers."""
    pa = arrow()
    kinds = {
        "row": pa.int64(),
        "label": pa.int64() if whole else pa.string(),
        "prediction": pa.int64(),
        "target": pa.int64(),
        "target_value": pa.float64(),
        "arrived": pa.float64(),
        "findings": pa.list_(pa.string()),
    }
    columns = {
        name: pa.array(
            [line[name] for line in lines],
            kinds.get(name, pa.float64() if name.startswith(f"{SUM}.") else pa.string()),
        )
        for name in lines[0]
    }
    for name in arrays[0]:
        columns |= _tensor_columns(pa, name, [each[name] for each in arrays], shapes.get(name))
    return pa.table(columns)


Arrays = Mapping[str, npt.NDArray[Any]]


def _tensor_columns(
    pa: Any, name: str, rows: Sequence[npt.NDArray[Any]], shape: tuple[int, ...] | None
) -> dict[str, Any]:
    """A column of tensors of one shape; or one of lists with another of their shapes."""
    flat = pa.array(np.concatenate([row.reshape(-1) for row in rows]))
    if shape is not None:
        kind = pa.fixed_shape_tensor(flat.type, shape)
        size = math.prod(shape)
        storage = pa.FixedSizeListArray.from_arrays(flat, size)
        return {name: pa.ExtensionArray.from_storage(kind, storage)}
    ends = np.cumsum([0, *[row.size for row in rows]]).astype(np.int64)
    lists = pa.LargeListArray.from_arrays(pa.array(ends), flat)
    return {name: lists, f"{name}.{SHAPE}": pa.array([row.shape for row in rows], pa.list_(pa.int64()))}


def _stored(name: str, r: Array, dtype: str) -> npt.NDArray[Any]:
    one = np.asarray(r)
    limit = float(np.finfo(dtype).max)
    if dtype == "float16" and one.size and np.abs(one[np.isfinite(one)]).max(initial=0) > limit:
        raise OnnxdtdError(f"{name} exceeds {limit:g}, the largest number of float16: store float32")
    return np.ascontiguousarray(one, dtype)


def _class(e: Explanation, index: Index) -> int | None:
    """The class of an index into a vector of scores; None for another output."""
    several = e.outputs[e.output].size > len(e.target)
    return index[0] if len(index) == 1 and several else None


def _spelled(e: Explanation, index: Index) -> str:
    return e.class_name(index) or ", ".join(map(str, index))
