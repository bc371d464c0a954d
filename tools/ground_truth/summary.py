"""The document that the scores give."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxdtd.metrics.statistics import bootstrap
from tools.ground_truth.games import Scores

RESAMPLES = 10000


def document(scores: Scores) -> dict[str, Any]:
    """Of one game on one network, for each candidate: the mean share and its 95 % interval, the rate of hits, and
    the paired difference from `auto`."""
    shares = np.stack([by["share"] for by in scores.values()], axis=1)
    apart = shares - scores["auto"]["share"][:, None]
    means, differences = (bootstrap(values, RESAMPLES, 0) for values in (shares, apart))
    return {
        name: {
            "share": mean.document(),
            "from_auto": difference.document(),
            **({"hit": float(by["hit"].mean())} if "hit" in by else {}),
        }
        for (name, by), mean, difference in zip(scores.items(), means, differences, strict=True)
    }
