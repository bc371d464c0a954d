"""Is the relevance in few places?"""

from __future__ import annotations

import numpy as np

from onnxdtd.metrics.case import Case, Measured
from onnxdtd.registry import metric


@metric(
    "sparseness",
    better={"gini": "higher"},
    source="Hurley and Rickard 2009, table I; Chalasani et al. 2020",
    order=5,
)
def sparseness(case: Case) -> Measured:
    """G = 1 - 2 sum_k (|r|_(k) / |r|_1) (n - k + 1/2) / n: Gini index of |relevance| of n pixels or columns.

    |r|_(k) is the k-th smallest magnitude. 0 where all are equal, 1 - 1/n where one has it all; not defined where all
    are zero. It does not say that the few places are the right ones. Source: Hurley and Rickard 2009, table I;
    Chalasani et al. 2020 for its use on explanations.
    """
    r = np.sort(np.abs(case.units(1)))
    total, n = r.sum(), r.size
    if not total > 0:
        return Measured({"gini": np.nan})
    return Measured({"gini": float(1 - 2 * np.sum(r / total * (n - np.arange(1, n + 1) + 0.5) / n))})
