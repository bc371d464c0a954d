"""Arrays with a row for each sample, also of a model that has no axis for samples."""

from __future__ import annotations

import dataclasses

from onnxdtd.explanation import Explanation
from onnxdtd.types import Array


def by_sample(e: Explanation) -> Explanation:
    """The explanation with relevance and inputs by sample: where there is one sample, an array whose first axis does
    not count it, as (3, 224, 224) of a model without a batch, is its row. All else is as it was."""
    if len(e.target) != 1 or all(len(r) == 1 for r in e.relevance.values() if r.ndim):
        return e
    relevance = {name: _row(r) for name, r in e.relevance.items()}
    inputs = {name: _row(x) if name in relevance else x for name, x in e.inputs.items()}
    return dataclasses.replace(e, relevance=relevance, inputs=inputs)


def _row(array: Array) -> Array:
    return array[None] if array.ndim and len(array) != 1 else array
