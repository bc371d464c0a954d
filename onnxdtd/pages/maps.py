"""The relevance of several methods or models for one input, as cells of a gallery."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from onnxdtd.inputs.layout import layout_of
from onnxdtd.pages.gallery import barred, blank, pictured
from onnxdtd.render.charts import told
from onnxdtd.render.contact import cell
from onnxdtd.report.markup import Markup
from onnxdtd.types import Array


def seen(lines: tuple[str, ...], values: Array, picture: Any = None) -> Markup | None:
    """The input itself, where it is a picture, or as `picture` shows it."""
    thumb = cell(lines, np.zeros(values.shape), values, picture) if values.dtype.kind in "biuf" else None
    return pictured(thumb, 0) if thumb and len(thumb.pictures) > 1 else None


def mapped(
    lines: tuple[str, ...], relevance: Array | None, values: Array | None, names: Sequence[str] | None,
    picture: Any = None,
) -> Markup:  # fmt: skip
    """One map. values: of the input, without which it stands alone. names: of a table's columns. picture: what it is
    laid over, by default the values."""
    if relevance is None or not relevance.size:
        return blank(lines, "not for this target" if relevance is None else "empty")
    if not np.isfinite(relevance).all():
        return blank(lines, "not finite")
    if not relevance.any():
        return blank(lines, "zero everywhere")
    pictures = layout_of(relevance.shape) not in (None, "NF") if relevance.ndim else False
    thumb = cell(lines, relevance, values if values is None or values.dtype.kind in "biuf" else None, picture)
    if pictures and thumb is not None:
        return pictured(thumb)
    return barred(lines, _named(relevance.size, values, names), relevance)


def _named(count: int, values: Array | None, names: Sequence[str] | None) -> list[str]:
    own = list(names) if names is not None and len(names) == count else [f"[{i}]" for i in range(count)]
    if values is None or values.size != count:
        return own
    return [f"{name} = {told(value)}" for name, value in zip(own, values.reshape(-1), strict=True)]
