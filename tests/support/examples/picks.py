"""Selections by comparing values: elementwise, along an axis, distinct ones."""

from __future__ import annotations

import numpy as np

from tests.support.single_op import X, ex, ints, w

EXTREMES = [
    ex("Max", X((2, 3, 4)), X((2, 3, 4)), note="two"),
    ex("Min", X((2, 3, 4)), X((2, 1, 4)), w(3, 1), note="three-broadcast"),
    ex("Max", w(5, 1, 3), X((2, 3)), note="constant-broadcasts-data", fixed=True),
    ex("Min", X((2, 3)), note="one"),
    ex("Max", X((2, 3)), np.float32([0.1, -0.2, 0]), opset=8, note="opset8"),
    ex("Clip", X((2, 3, 4)), np.float32(0.6), np.float32(0.2), note="crossed"),
    ex("Clip", X((2, 3)), note="unbounded"),
]

PICKS = [
    ex("TopK", X((2, 5)), ints(2), outputs=2, note="last"),
    ex("TopK", X((2, 5, 3)), ints(3), axis=1, largest=0, outputs=2, note="smallest"),
    ex("TopK", X((2, 6)), ints(4), sorted=0, outputs=2, note="unsorted"),
    ex("TopK", X((2, 5, 3)), axis=-2, k=2, opset=9, outputs=2, note="attribute"),
    ex("TopK", X((2, 5)), ints(1), opset=10, outputs=2, note="opset10"),
    ex("TopK", X((4, 2)), ints(2), axis=0, outputs=2, note="axis0", fixed=True),
    ex("Unique", X((2, 3)), note="flat", fixed=True),
    ex("Unique", X((2, 3)), sorted=0, note="unsorted", fixed=True),
    ex("Unique", X((3, 2, 2)), axis=1, note="slices", fixed=True),
]

EXAMPLES = [*EXTREMES, *PICKS]
