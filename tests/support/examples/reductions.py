"""Reductions that are no plain sums, pools by a norm, products of many values."""

from __future__ import annotations

import numpy as np

from tests.support.single_op import X, ex, ints

POSITIVE = X((2, 3, 4), within=(0.2, 2))
NAMES = ("ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp", "ReduceProd")

REDUCTIONS = [
    *(ex(name, POSITIVE, axes=[1], note="attribute") for name in NAMES),
    *(ex(name, POSITIVE, axes=[-1], keepdims=0, opset=11, note="dropped") for name in NAMES),
    *(ex(name, POSITIVE, ints(-1, 1), opset=18, note="input") for name in NAMES),
    *(ex(name, POSITIVE, ints(2, 1), opset=18, keepdims=0, note="input-dropped") for name in NAMES),
    *(ex(name, POSITIVE, opset=18, note="all", fixed=True) for name in NAMES),
    *(ex(name, POSITIVE, ints(), opset=18, noop_with_empty_axes=1, note="each") for name in NAMES),
    *(
        ex(name, POSITIVE, opset=18, noop_with_empty_axes=1, keepdims=0, note="each-dropped")
        for name in NAMES
    ),
    *(ex(name, X((2, 3, 4)), axes=[1], note="signed") for name in NAMES if name != "ReduceLogSum"),
]

SELECTIONS = [
    *(ex(name, X((2, 3, 4)), axes=[1, -1], note="attribute") for name in ("ReduceMax", "ReduceMin")),
    *(
        ex(name, X((2, 3, 4)), ints(-1), opset=18, keepdims=0, note="input")
        for name in ("ReduceMax", "ReduceMin")
    ),
    *(ex(name, X((2, 3, 4)), opset=20, note="all", fixed=True) for name in ("ReduceMax", "ReduceMin")),
    ex("ReduceMax", X((2, 3, 4)), ints(), opset=20, noop_with_empty_axes=1, note="each"),
]

POOLS = [
    ex("GlobalLpPool", X((2, 3, 4, 5)), note="euclidean"),
    ex("GlobalLpPool", X((2, 3, 5)), p=1, note="moduli"),
    ex("GlobalLpPool", X((2, 3, 2, 2, 3)), p=3, note="cubes"),
    ex("LpPool", X((2, 3, 6, 6)), kernel_shape=[2, 2], strides=[2, 2], note="euclidean"),
    ex("LpPool", X((2, 3, 7, 6)), kernel_shape=[3, 2], pads=[1, 0, 1, 1], p=1, note="moduli-pads"),
    ex("LpPool", X((2, 3, 7, 6)), kernel_shape=[3, 3], p=3, strides=[2, 2], auto_pad="SAME_UPPER", note="cubes-same"),
    ex("LpPool", X((2, 3, 9)), kernel_shape=[4], strides=[2], p=4, opset=11, note="1d"),
    ex("LpPool", X((2, 2, 7, 7)), kernel_shape=[3, 3], strides=[3, 3], ceil_mode=1, opset=18, note="ceil"),
    ex("LpPool", X((2, 2, 9, 9)), kernel_shape=[3, 3], dilations=[2, 2], opset=22, note="dilated"),
]  # fmt: skip

PRODUCTS = [
    ex("CumProd", X((2, 3, 4)), np.int64(1), opset=26, note="plain"),
    ex("CumProd", X((2, 3, 4)), ints(-1)[0], opset=26, exclusive=1, note="exclusive"),
    ex("CumProd", X((2, 3, 4)), ints(2)[0], opset=26, reverse=1, note="reverse"),
    ex("CumProd", X((2, 3, 4)), ints(1)[0], opset=26, reverse=1, exclusive=1, note="both"),
    ex("Det", X((2, 3, 3)), note="batch"),
    ex("Det", X((2, 2, 4, 4)), opset=22, note="stack"),
]

EXAMPLES = [*REDUCTIONS, *SELECTIONS, *POOLS, *PRODUCTS]
