"""Does the prediction fall when relevant parts are removed first, and hold when irrelevant ones are?"""

from __future__ import annotations

import numpy as np

from onnxdtd.metrics.case import Case, Measured
from onnxdtd.metrics.perturb import ORDERS, curves
from onnxdtd.registry import metric

BETTER = {
    "most_minus_least": "higher",
    "over_most": "higher",
    "over_least": "lower",
    "under_most": "lower",
    "under_least": "higher",
}


@metric("pixel_flipping", better=BETTER, order=1, source="Bach et al. 2015; Samek et al. 2017")
def pixel_flipping(case: Case) -> Measured:
    """mean over k of f(x_least,k) - f(x_most,k): pixels, or columns, removed one after the other.

    x_most,k is x with the k most relevant pixels replaced in all channels, x_least,k with the k least relevant; f is
    the explained logit; k runs over steps + 1 even counts from none to all. For each fill: `over_most` and
    `over_least`, the area over the curve, mean_k (f(x) - f(x_k)), 0 where removal changes nothing; `under_most` and
    `under_least`, mean_k f(x_k); `most_minus_least`, over_most - over_least, 0 on average for an order that knows
    nothing. Relevance of a pixel: the sum over its channels. Source: Bach et al. 2015 (flipping pixels by relevance);
    Samek et al. 2017 (area over the perturbation curve, the least relevant first, and the difference).
    """
    return _measure(case, 1)


@metric("region_perturbation", better=BETTER, order=2, source="Samek et al. 2017", needs="places")
def region_perturbation(case: Case) -> Measured:
    """The same with square regions side by side, by the sum of their relevance.

    Source: Samek et al. 2017, where removed pixels are drawn at random; here they are replaced by the fills.
    """
    return _measure(case, case.settings.patch or case.view.patch)


def _measure(case: Case, patch: int) -> Measured:
    pairs = [(order, fill) for fill in case.fills for order in ORDERS]
    by_pair = curves(case, patch, pairs)
    scores, drawn = {}, {}
    for fill in case.fills:
        most, least = (by_pair[order, fill][0] for order in ORDERS)
        for order, curve in zip(ORDERS, (most, least), strict=True):
            scores[f"{fill}.over_{order}"] = float(np.mean(curve[0] - curve))
            scores[f"{fill}.under_{order}"] = float(np.mean(curve))
            drawn[f"{fill}.{order}"] = curve
        scores[f"{fill}.most_minus_least"] = float(np.mean(least - most))
    return Measured(scores, drawn)
