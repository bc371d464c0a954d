"""Ops that copy values to places which indices, repeats or shapes say, and fixed sums."""

from __future__ import annotations

import numpy as np

from tests.support.single_op import X, ex, ints, w


def bools(*values: int) -> np.ndarray:
    return np.array(values, bool)


GATHERS = [
    ex("Gather", X((2, 5, 4)), ints(3, 0, 3), axis=1, note="twice"),
    ex("Gather", X((2, 5, 4)), ints(3, 0, 3), axis=1, opset=13, note="opset13"),
    ex("Gather", X((2, 5, 4)), ints(-1), axis=2, note="negative"),
    ex("Gather", X((2, 5, 4)), np.int64(2), axis=1, note="scalar"),
    ex("Gather", X((2, 5, 4)), ints(4, 0, 1, 1, 2, 0).reshape(2, 3), axis=-2, note="matrix"),
    ex("Gather", X((2, 3, 4)), ints(*[1] * 12), axis=1, note="often"),
    ex("Gather", X((5, 4)), ints(4, 0, 0), note="first-axis", fixed=True),
    ex("GatherElements", X((2, 3)), ints(0, 0, 2, 1).reshape(2, 2), axis=1, note="picked", fixed=True),
    ex("GatherElements", X((4, 3)), ints(0, -1, 3, 1).reshape(2, 2), note="corner", fixed=True),
    ex("GatherND", X((2, 3, 4)), ints(0, 1, 1, 2).reshape(2, 2), note="rows", fixed=True),
    ex("GatherND", X((2, 3, 4)), ints(1, -1).reshape(2, 1), batch_dims=1, note="batched", fixed=True),
    ex("GatherND", X((2, 3)), ints(0, 1, 1, 2, 0, 1).reshape(3, 2), note="values", fixed=True),
    ex("Compress", X((2, 5, 3)), bools(1, 0, 1, 1), axis=1),
    ex("Compress", X((2, 3)), bools(1, 0, 1, 0, 1), note="flat", fixed=True),
]

PLACES, ROWS = ints(1, 0, 2, 1).reshape(2, 2), ints(2, 0, 2).reshape(3, 1)
SCATTERS = [
    ex("Scatter", X((2, 3)), ints(1, 0).reshape(2, 1), X((2, 1)), axis=1, opset=9, note="opset9", fixed=True),
    ex("ScatterElements", X((2, 3)), PLACES, X((2, 2)), axis=1, note="both", fixed=True),
    ex("ScatterElements", X((2, 3)), PLACES, w(2, 2), axis=1, note="data", fixed=True),
    ex("ScatterElements", w(2, 3), PLACES, X((2, 2)), axis=-1, note="updates", fixed=True),
    ex("ScatterND", X((3, 4)), ROWS[:2], X((2, 4)), note="both", fixed=True),
    ex("ScatterND", w(3, 4), ROWS[:2], X((2, 4)), note="updates", fixed=True),
    *(
        ex(op, *inputs, reduction=reduction, opset=18, note=f"{reduction}-{which}", fixed=True)
        for op, data, places, updates in (
            ("ScatterElements", (3, 3), ints(2, 0, 1, 2, 0, 0).reshape(2, 3), (2, 3)),
            ("ScatterND", (3, 4), ROWS, (3, 4)),
        )
        for reduction in ("add", "max", "min")
        for which, inputs in (
            ("both", (X(data), places, X(updates))),
            ("data", (X(data), places, w(*updates))),
            ("updates", (w(*data), places, X(updates))),
        )
    ),
    ex("ScatterElements", X((3, 3)), ints(2, 0, 2).reshape(1, 3), w(1, 3), reduction="mul", opset=16, note="mul",
       fixed=True),
    ex("ScatterND", X((3, 4)), ROWS, w(3, 4), reduction="mul", opset=16, note="mul", fixed=True),
    ex("TensorScatter", X((2, 1, 4, 3)), X((2, 1, 2, 3)), ints(1, 2), opset=24, axis=-2, note="both", fixed=True),
    ex("TensorScatter", X((2, 1, 4, 3)), w(2, 1, 2, 3), ints(1, 3), opset=24, axis=-2, mode="circular", fixed=True,
       note="circular"),
]  # fmt: skip

COPIES = [
    ex("Tile", X((2, 3)), ints(1, 2)),
    ex("Tile", X((2, 3, 1)), ints(1, 2, 3), opset=13, note="two-axes"),
    ex("Tile", X((2, 3)), ints(2, 1), note="batch", fixed=True),
    ex("Expand", X((2, 1, 3)), ints(1, 4, 1)),
    ex("Expand", X((2, 3)), ints(4, 1, 1), note="leading", fixed=True),
    ex("Where", bools(1, 0, 1, 1), X((2, 3, 4)), X((2, 3, 4)), note="both"),
    ex("Where", bools(1, 0, 1, 1), X((2, 3, 1)), np.float32(-1e9), note="masked"),
    ex("Where", bools(1, 0, 1).reshape(3, 1), w(4), X((2, 1, 4)), note="broadcast"),
    ex("Trilu", X((2, 4, 3))),
    ex("Trilu", X((2, 4, 3)), np.int64(-1), upper=0, note="lower"),
    ex("ReverseSequence", X((4, 2, 3)), ints(2, 4), time_axis=0, batch_axis=1, note="time-first", fixed=True),
    ex("ReverseSequence", X((2, 4)), ints(3, 4), time_axis=1, batch_axis=0, note="batch-first", fixed=True),
    ex("DepthToSpace", X((2, 8, 2, 3)), blocksize=2),
    ex("DepthToSpace", X((2, 18, 2, 3)), blocksize=3, mode="CRD", note="crd"),
    ex("SpaceToDepth", X((2, 2, 4, 6)), blocksize=2),
    ex("MaxUnpool", X((1, 1, 2, 2)), ints(0, 3, 8, 15).reshape(1, 1, 2, 2), kernel_shape=[2, 2], strides=[2, 2],
       fixed=True),
    ex("CenterCropPad", X((2, 5, 8, 3)), ints(9, 3), axes=[1, 2], opset=18),
    ex("CenterCropPad", X((2, 5, 8)), ints(2, 4, 3), opset=18, note="all-axes", fixed=True),
    ex("CastLike", X((2, 3)), w(1)),
    ex("Split", X((2, 6, 3)), axis=1, num_outputs=1, opset=18),
]  # fmt: skip

PADS = [
    ex("Pad", X((2, 3, 5)), ints(0, 1, 2, 0, 1, 3), mode="wrap", opset=19, note="wrap"),
    ex("Pad", X((2, 3, 5)), ints(0, 1, 0, 0, 0, 2), mode="edge", opset=11, note="opset11"),
    ex("Pad", X((2, 3, 5)), mode="reflect", pads=[0, 0, 2, 0, 1, 1], opset=2, note="opset2"),
    ex("Pad", X((2, 3, 4)), ints(1, 0, 2, 1), np.float32(0.5), ints(-1, 1), opset=18, note="negative-axes"),
    ex("Slice", X((2, 5, 6)), ints(1), ints(3), ints(-1), note="no-steps"),
    ex("Squeeze", X((2, 1, 4, 1)), note="all", fixed=True),
    ex("Reshape", X((2, 3, 4)), ints(2, 12), allowzero=1, note="allowzero", fixed=True),
]

SUMS = [
    *(
        ex("CumSum", X((2, 4, 3)), np.int64(1), exclusive=exclusive, reverse=reverse,
           note=f"{exclusive}-{reverse}")
        for exclusive in (0, 1)
        for reverse in (0, 1)
    ),
    ex("CumSum", X((2, 4, 3)), np.int64(-1), opset=11, note="negative"),
    ex("Col2Im", X((2, 8, 6)), ints(4, 3), ints(2, 2), opset=18, note="plain"),
    ex("Col2Im", X((2, 18, 6)), ints(5, 6), ints(3, 3), opset=18, strides=[2, 2], pads=[0, 1, 1, 0],
       note="strided"),
    ex("Col2Im", X((2, 12, 6)), ints(6, 5), ints(3, 2), opset=18, dilations=[2, 2], note="dilated"),
]  # fmt: skip

FOURIER = [
    ex("DFT", X((2, 6, 3, 1)), axis=1, note="real"),
    ex("DFT", X((2, 6, 3, 2)), axis=-2, note="complex"),
    ex("DFT", X((2, 6, 3, 1)), axis=1, onesided=1, note="onesided"),
    ex("DFT", X((2, 6, 3, 2)), axis=1, inverse=1, note="inverse"),
    ex("DFT", X((2, 6, 3, 1)), np.int64(8), axis=1, note="longer"),
    ex("DFT", X((2, 6, 3, 2)), np.int64(4), np.int64(1), opset=20, note="shorter"),
    ex("DFT", X((2, 3, 6, 1)), None, np.int64(-2), opset=20, onesided=1, note="opset20"),
    ex("DFT", X((2, 3, 6, 1)), opset=20, note="default-axis"),
    ex("STFT", X((2, 20, 1)), np.int64(4), np.abs(w(8)), np.int64(8), onesided=1, note="window"),
    ex("STFT", X((2, 20, 1)), np.int64(3), None, np.int64(6), onesided=0, note="whole"),
    ex("STFT", X((2, 20, 2)), np.int64(3), np.abs(w(6)), np.int64(6), onesided=0, note="complex"),
]

EINSUM = [
    ex("Einsum", X((2, 3, 4)), w(4, 5), equation="bij,jk->bik", note="dense"),
    ex("Einsum", w(5, 4), X((2, 3, 4)), equation="kj,bij", note="implicit"),
    ex("Einsum", X((2, 3, 4)), equation="bij->bj", note="sum"),
    ex("Einsum", X((2, 3, 4)), equation="bij->bji", note="transpose"),
    ex("Einsum", X((2, 3, 3)), equation="bii->bi", note="diagonal"),
    ex("Einsum", X((2, 3, 3)), w(3), equation="bii,i->b", note="trace"),
    ex("Einsum", X((2, 3, 4, 5)), w(5, 6), equation="...i,ij->...j", note="ellipsis"),
    ex("Einsum", X((2, 3, 4)), w(3), w(4, 5), equation="bij,i,jk->bk", note="two-weights"),
    ex("Einsum", X((2, 3, 4)), w(6), equation="bij,k->bk", note="outer"),
    ex("Einsum", X((2, 3, 4)), X((2, 4, 5)), equation="bij,bjk->bik", note="two-values"),
    ex("Einsum", X((2, 3)), X((2, 3)), X((2, 4)), equation="bi,bi,bj->bj", note="three-values"),
]

WEIGHTS = [
    ex("Conv", X((2, 3, 6, 5)), X((4, 3, 3, 2)), w(4), note="two-values", fixed=True),
    ex("Conv", X((2, 4, 7, 6)), X((6, 2, 3, 3)), X((6,)), group=2, strides=[2, 1], pads=[1, 0, 2, 1], fixed=True,
       dilations=[1, 2], note="three-values-grouped"),
    ex("Conv", w(2, 3, 8), X((4, 3, 3)), strides=[3], note="kernel-only", fixed=True),
    ex("Conv", w(2, 3, 5), w(4, 3, 3), X((4,)), note="bias-only", fixed=True),
    ex("Conv", X((2, 3, 5)), w(4, 3, 3), X((4,)), note="value-and-bias", fixed=True),
    ex("ConvTranspose", X((2, 4, 3, 4)), X((4, 3, 3, 2)), w(3), strides=[2, 1], pads=[1, 0, 0, 1],
       note="two-values", fixed=True),
    ex("ConvTranspose", w(2, 4, 3, 4), X((4, 3, 3, 2)), w(6), group=2, strides=[2, 1], pads=[1, 0, 0, 1],
       output_padding=[1, 0], note="kernel-only", fixed=True),
]  # fmt: skip

EXAMPLES = [*GATHERS, *SCATTERS, *COPIES, *PADS, *SUMS, *FOURIER, *EINSUM, *WEIGHTS]
