from __future__ import annotations

import numpy as np
import pytest

from onnxdtd.model.canonise.weighted_sum import weighted_sum
from tests.support.model_text import changed, graph, normal, ops, unchanged

SUMS = {
    "columns enlarged": ("(float[N, 3, 1] x) => (float[N, 2] y)", (3, 2), [1], 0),
    "one weight each": ("(float[N, 3] x) => (float[N] y)", (3,), [1], 0),
    "two axes": ("(float[N, 3, 4] x) => (float[N] y)", (3, 4), [1, -1], 0),
    "axes kept": ("(float[N, 3, 4] x) => (float[N, 3, 1] y)", (3, 4), [2], 1),
    "by a column": ("(float[N, 3, 4] x) => (float[N, 4] y)", (3, 1), [1], 0),
}


@pytest.mark.parametrize("opset", [13, 17])
@pytest.mark.parametrize("case", SUMS)
def test_a_product_and_a_sum_become_a_contraction(case, opset):
    head, shape, axes, keep = SUMS[case]
    text = f"{head} {{ m = Mul(x, w) y = ReduceSum<keepdims = {keep}>(m, axes) }}"
    after = changed(graph(text, opset, w=normal(*shape), axes=np.int64(axes)), weighted_sum)
    assert ops(after) == ["Einsum", "Unsqueeze"] if keep else ["Einsum"]


@pytest.mark.parametrize("factor", [(1,), (1, 4)])
def test_a_sum_of_what_is_only_scaled_stays(factor):
    text = "(float[N, 3, 4] x) => (float[N, 4] y) { m = Mul(x, w) y = ReduceSum<keepdims = 0>(m, axes) }"
    unchanged(graph(text, w=normal(*factor), axes=np.int64([1])), weighted_sum)
