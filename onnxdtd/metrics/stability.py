"""How much does the explanation change when the input hardly does?"""

from __future__ import annotations

import numpy as np

from onnxdtd.metrics.case import Case, Measured
from onnxdtd.registry import metric


@metric(
    "stability", better={"max_sensitivity": "lower", "lipschitz": "lower"},
    source="Yeh et al. 2019, eq. (2); Alvarez-Melis and Jaakkola 2018", needs="another explanation", order=6,
)  # fmt: skip
def stability(case: Case) -> Measured:
    """max over draws of |R(x + u) - R(x)| / |R(x)|, u uniform noise of 2 % of the input's range; class held.

    `lipschitz`: the same over |u|, the largest slope seen. Both are divided by |R(x)|, so that the unit of relevance
    does not count; not defined where R(x) is zero, or the range is. A maximum over few draws is a lower bound of the
    largest change. Noise stays inside a stated range; without one, the range is that of the data, by channel or
    column. Source: Yeh et al. 2019 (max-sensitivity, over a ball in the largest norm); Alvarez-Melis and Jaakkola
    2018 (local Lipschitz).
    """
    settings, around = case.settings, case.background
    width = settings.noise * (around.high - around.low)
    u = case.rng("noise").uniform(-1, 1, (settings.draws, case.x.size)) * width
    points = case.x + u
    if around.stated:
        points = np.clip(points, np.minimum(around.low, case.x), np.maximum(around.high, case.x))
    points = points.astype(case.x.dtype)
    relevance, _ = case.again(points, case.target, "stability")
    size = np.linalg.norm(case.relevance)
    if not (size > 0 and width.any()):
        return Measured({"max_sensitivity": np.nan, "lipschitz": np.nan})
    change = np.linalg.norm(relevance - case.relevance, axis=1) / size
    step = np.linalg.norm(points.astype(np.float64) - case.x, axis=1)
    slopes = np.divide(change, step, out=np.zeros_like(change), where=step > 0)
    return Measured({"max_sensitivity": float(change.max()), "lipschitz": float(slopes.max())})
