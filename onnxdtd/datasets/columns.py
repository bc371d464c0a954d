"""What is stored of a row: numbers and words, and its relevance as a tensor."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.arrow import arrow
from onnxdtd.datasets.passes import Pass
from onnxdtd.errors import UsageError
from onnxdtd.explainer import Explainer
from onnxdtd.explanation import Explanation, Index, sum_by_sample
from onnxdtd.plan.batch import samples_first
from onnxdtd.types import Array

STORES, DTYPES = ("relevance", "sum", "none"), ("float32", "float16")
RELEVANCE, KEPT, SUM, SHAPE = "relevance", "kept", "sum", "shape"


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


def table(
    explainer: Explainer,
    part: Pass,
    fired: Sequence[Sequence[str]],
    store: Store,
    whole: bool,
    failed: dict[str, str],
) -> Any:
    """Rows that were explained together as an Arrow table; in `failed` those with a number beyond float16. fired:
    names of the findings that fired. whole: whether labels are whole numbers."""
    pa, count = arrow(), len(part.ids)
    columns = _cells(pa, part, fired, store, whole)
    stored = _tensors(part.e, count, store)
    beyond = np.zeros(count, bool)
    for name, r in stored.items() if store.dtype == "float16" else ():
        limit = float(np.finfo(store.dtype).max)
        large = (np.isfinite(r) & (np.abs(r) > limit)).reshape(count, -1).any(axis=1)
        for i in np.flatnonzero(large & ~beyond).tolist():
            failed[part.ids[i]] = f"{name} exceeds {limit:g}, the largest number of float16: store float32"
        beyond |= large
    shapes = _shapes(explainer, part.e, stored)
    for name, r in stored.items():
        with np.errstate(over="ignore"):
            columns |= _tensor_columns(pa, name, np.ascontiguousarray(r, store.dtype), shapes[name])
    made = pa.table(columns)
    return made.filter(pa.array(~beyond)) if beyond.any() else made


def _tensors(e: Explanation, count: int, store: Store) -> dict[str, Array]:
    """(count, ...) by column."""
    if store.what != RELEVANCE:
        return {}
    parts = {f"{RELEVANCE}.{name}": r for name, r in e.relevance.items()}
    parts |= {f"{KEPT}.{name}": r for name, r in e.kept.items()}
    alike = len(e.target)
    return {
        name: r[:count] if r.ndim and len(r) == alike else np.broadcast_to(r, (count, *np.shape(r)))
        for name, r in parts.items()
    }


def _cells(pa: Any, part: Pass, fired: Sequence[Sequence[str]], store: Store, whole: bool) -> dict[str, Any]:
    """The other columns."""
    e, count = part.e, len(part.ids)
    samples = len(e.target)
    sums = {
        name: np.broadcast_to(sum_by_sample(r, samples), samples)[:count] for name, r in e.relevance.items()
    }
    came, started = np.zeros(count) + sum(sums.values()), np.asarray(e.seed[:count], np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        arrived = came / started
    classes = e.outputs[e.output].size > samples  # else the output is no vector of scores
    best, elements = _best(e)[:count], e.target[:count]

    def number(index: Index) -> int | None:
        return index[0] if len(index) == 1 and classes else None

    spelled = {index: e.class_name(index) or ", ".join(map(str, index)) for index in {*best}}
    labels = {elements[i]: e.label(i) for i in {own: i for i, own in enumerate(elements)}.values()}
    columns = {
        "id": pa.array(part.ids, pa.string()),
        "row": pa.array(part.places, pa.int64()),
        "label": _labels(pa, part.labels, whole),
        "prediction": pa.array([number(index) for index in best], pa.int64()),
        "prediction_name": pa.array([spelled[index] for index in best], pa.string()),
        "target": pa.array([number(own[0]) if len(own) == 1 else None for own in elements], pa.int64()),
        "target_name": pa.array([labels[own] for own in elements], pa.string()),
        "target_value": pa.array(np.asarray(e.target_value[:count], np.float64)),
        "arrived": pa.array(arrived, mask=(started == 0) | ~np.isfinite(came)),
        "findings": pa.array(fired, pa.list_(pa.string())),
    }
    return columns if store.what == "none" else columns | {f"{SUM}.{n}": pa.array(s) for n, s in sums.items()}


def _best(e: Explanation) -> list[Index]:
    """The index of the largest element of the explained output in each sample; of an empty output none."""
    values = samples_first(e.outputs[e.output], e.batch_axis)
    if values.ndim < 2 or not values.size:
        return [()] * len(e.target)
    rows = values.reshape(len(values), -1)
    places = np.where(np.isnan(rows), -np.inf, rows).argmax(axis=1)
    axes = np.unravel_index(places, values.shape[1:])
    return [*zip(*(axis.tolist() for axis in axes), strict=True)]


def _tensor_columns(
    pa: Any, name: str, rows: npt.NDArray[Any], shape: tuple[int, ...] | None
) -> dict[str, Any]:
    """A column of tensors of one shape; or one of lists with another of their shapes."""
    flat, count, size = pa.array(rows.reshape(-1)), len(rows), math.prod(rows.shape[1:])
    if shape is not None:
        storage = pa.FixedSizeListArray.from_arrays(flat, size)
        return {name: pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(flat.type, shape), storage)}
    lists = pa.LargeListArray.from_arrays(pa.array(np.arange(count + 1, dtype=np.int64) * size), flat)
    return {name: lists, f"{name}.{SHAPE}": pa.array([rows.shape[1:]] * count, pa.list_(pa.int64()))}


def _shapes(
    explainer: Explainer, e: Explanation, stored: Mapping[str, Array]
) -> dict[str, tuple[int, ...] | None]:
    """What the model states of each tensor's shape, so that all shards have the same columns."""
    values = {f"{RELEVANCE}.{name}": value for name, value in explainer.inputs.items()}
    graph = explainer.at(e.inputs).graph if e.kept else explainer.graph
    values |= {f"{KEPT}.{name}": graph.value(name) for name in e.kept}
    return {name: _stated(values[name].shape, array.shape[1:]) for name, array in stored.items()}


def _stated(shape: Sequence[int | str | None] | None, own: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape of every row; None where the model leaves a size open, or has no batch axis there."""
    tail = tuple(shape or ())[1:]
    sizes = tuple(size for size in tail if isinstance(size, int))
    return sizes if shape and sizes == tail and sizes == own and math.prod(sizes) and sizes else None


def _labels(pa: Any, labels: Sequence[int | str | None], whole: bool) -> Any:
    kind = int if whole else str
    return pa.array(
        [None if label is None else kind(label) for label in labels], pa.int64() if whole else pa.string()
    )
