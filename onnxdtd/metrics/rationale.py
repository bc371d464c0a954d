"""Do the most relevant parts carry the prediction, and do they suffice for it?"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from onnxdtd.metrics.case import Case, Measured
from onnxdtd.metrics.perturb import placed
from onnxdtd.registry import metric
from onnxdtd.types import Array

SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)
SOURCE = "DeYoung et al. 2020"


@metric("comprehensiveness", better={"mean": "higher"}, source=SOURCE, needs="probability", order=3)
def comprehensiveness(case: Case) -> Measured:
    """mean over k of p(class | x) - p(class | x without its k most relevant parts): high where they are needed.

    Parts are tokens that count, pixels or columns. k: 1, 5, 10, 20 and 50 % of them, rounded up. In the place of a
    removed one stands the input's blur, of a table the data's mean, of tokens the constant, which is the number of a
    token. Source: DeYoung et al. 2020 (ERASER), the area over these five shares, for texts.
    """
    return _measure(case, keep=False)


@metric("sufficiency", better={"mean": "lower"}, source=SOURCE, needs="probability", order=3)
def sufficiency(case: Case) -> Measured:
    """mean over k of p(class | x) - p(class | the k most relevant parts of x alone): low where they are enough.

    The same shares, with all other parts removed. Source: DeYoung et al. 2020 (ERASER).
    """
    return _measure(case, keep=True)


def _measure(case: Case, keep: bool) -> Measured:
    labels, place, count = placed(case, 1)
    most = [math.ceil(share * count) for share in SHARES]

    def points() -> Iterator[Array]:
        yield case.x
        for k in most:
            chosen = (place < k)[labels]
            yield np.where(chosen ^ keep, case.fill(case.emptied), case.x)

    _, chances = case.values(points())
    return Measured({"mean": float(np.mean(chances[0] - chances[1:]))})
