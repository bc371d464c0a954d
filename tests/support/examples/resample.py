"""Ops that read between the pixels: Resize in every form, grids, regions, deformable windows."""

from __future__ import annotations

import numpy as np

from tests.support.single_op import X, ex, ints, w


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def shifted(*shape: int) -> np.ndarray:
    """Coordinates that keep clear of the places where a neighbour changes."""
    rng = np.random.default_rng(1)
    return (rng.integers(-6, 7, shape) / 5 + 0.07 * rng.random(shape) + 0.015).astype(np.float32)


COORDINATES = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric")
NEAREST = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
UP, DOWN = floats(1, 1, 1.7, 2.5), floats(1, 1, 0.6, 0.45)

RESIZE = [
    *(
        ex("Resize", X((2, 3, 6, 7)), None, scales, opset=19, mode=mode, coordinate_transformation_mode=form,
           note=f"{mode}-{form}-{way}")
        for mode in ("nearest", "linear", "cubic")
        for form in COORDINATES
        for way, scales in (("up", UP), ("down", DOWN))
    ),
    *(
        ex("Resize", X((2, 3, 6, 8)), None, floats(1, 1, 1.5, 0.5), opset=13, mode="nearest", nearest_mode=rounding,
           coordinate_transformation_mode=form, note=f"{rounding}-{form}")
        for rounding in NEAREST
        for form in ("half_pixel", "asymmetric", "tf_half_pixel_for_nn")
    ),
    *(
        ex("Resize", X((2, 2, 9, 11)), None, DOWN, opset=18, mode=mode, antialias=1, exclude_outside=exclude,
           note=f"antialias-{mode}-{exclude}")
        for mode in ("linear", "cubic")
        for exclude in (0, 1)
    ),
    ex("Resize", X((2, 3, 4, 5)), floats(1, 1, 2, 2), opset=10, mode="nearest", note="opset10-nearest"),
    ex("Resize", X((2, 3, 4, 6)), floats(1, 1, 0.5, 0.4), opset=10, mode="nearest", note="opset10-down"),
    ex("Resize", X((2, 3, 4, 5)), floats(1, 1, 1.5, 2), opset=10, mode="linear", note="opset10-linear"),
    ex("Resize", X((2, 3, 4, 5)), floats(), floats(1, 1, 2, 2), opset=11, mode="cubic", cubic_coeff_a=-0.5,
       exclude_outside=1, note="opset11-cubic-exclude"),
    ex("Resize", X((2, 3, 4, 5)), None, None, ints(2, 3, 9, 7), opset=13, mode="linear", note="sizes", fixed=True),
    ex("Resize", X((2, 3, 4, 5)), None, None, ints(9, 7), opset=18, mode="linear", axes=[2, 3], note="axes"),
    ex("Resize", X((2, 3, 4, 5)), None, floats(2, 1.5), opset=18, mode="cubic", axes=[3, 2], note="axes-swapped"),
    ex("Resize", X((2, 3, 4, 5)), None, None, ints(9, 7), opset=18, mode="linear", axes=[2, 3],
       keep_aspect_ratio_policy="not_larger", note="not-larger"),
    ex("Resize", X((2, 3, 4, 5)), None, None, ints(9, 7), opset=18, mode="nearest", axes=[2, 3],
       keep_aspect_ratio_policy="not_smaller", note="not-smaller"),
    ex("Resize", X((2, 3, 6, 6)), floats(0.1, -0.3, 0.9, 1.2), None, ints(5, 7), opset=18, mode="linear",
       axes=[2, 3], coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=2.5, note="crop"),
    ex("Resize", X((2, 3, 6, 6)), floats(0, 0, 0.2, 0.3, 1, 1, 0.7, 0.8), floats(1, 1, 0.8, 0.8), opset=11,
       mode="nearest", coordinate_transformation_mode="tf_crop_and_resize", note="crop-nearest"),
    ex("Resize", X((2, 3, 5, 4, 3)), None, floats(1, 1, 1.5, 2, 2), opset=13, mode="linear", note="3d"),
    ex("Resize", X((2, 3, 5)), None, floats(1, 1, 2), opset=13, mode="nearest", note="1d"),
    ex("Upsample", X((2, 3, 4, 5)), floats(1, 1, 2, 3), opset=9, mode="nearest", note="nearest"),
    ex("Upsample", X((2, 3, 4, 5)), floats(1, 1, 2, 1.5), opset=9, mode="linear", note="linear"),
    ex("Upsample", X((2, 3, 4, 5)), opset=7, mode="nearest", scales=[1.0, 1.0, 2.0, 2.0], note="opset7"),
    ex("Upsample", X((2, 3, 4, 5)), opset=7, mode="linear", scales=[1.0, 1.0, 2.0, 2.0], note="opset7-linear"),
]  # fmt: skip

GRIDS = [
    *(
        ex("GridSample", X((2, 3, 5, 6)), shifted(2, 4, 3, 2), opset=20, mode=mode, padding_mode=padding,
           align_corners=corners, note=f"{mode}-{padding}-{corners}", fixed=True)
        for mode in ("nearest", "linear", "cubic")
        for padding in ("zeros", "border", "reflection")
        for corners in (0, 1)
    ),
    ex("GridSample", X((2, 3, 4, 5, 6)), shifted(2, 2, 3, 2, 3), opset=20, mode="linear", note="3d", fixed=True),
    ex("GridSample", X((2, 3, 5, 6)), shifted(2, 4, 3, 2), mode="bilinear", note="opset16", fixed=True),
    ex("GridSample", X((2, 3, 5, 6)), shifted(2, 4, 3, 2), mode="bicubic", note="opset16-cubic", fixed=True),
    *(
        ex("GridSample", *inputs, opset=20, mode=mode, padding_mode=padding, note=f"{mode}-{padding}-{which}",
           fixed=True)
        for mode in ("linear", "cubic")
        for padding in ("zeros", "border", "reflection")
        for which, inputs in (
            ("grid", (w(2, 3, 5, 6), X((2, 4, 3, 2), within=(-1.3, 1.3)))),
            ("both", (X((2, 3, 5, 6)), X((2, 4, 3, 2), within=(-1.3, 1.3)))),
        )
    ),
    ex("AffineGrid", X((2, 2, 3)), ints(2, 1, 4, 5), opset=20, note="2d", fixed=True),
    ex("AffineGrid", X((2, 3, 4)), ints(2, 1, 3, 4, 5), opset=20, align_corners=1, note="3d-corners", fixed=True),
]  # fmt: skip

BOXES = floats(0.3, 0.2, 5.1, 4.4, 1.7, 2.2, 3.1, 6.8, -1.2, 0.4, 9.0, 9.0).reshape(3, 4)
LABELLED = floats(0, 0, 0, 4, 3, 1, 2, 1, 6, 5, 0, 3, 3, 9, 9).reshape(3, 5)

REGIONS = [
    *(
        ex("RoiAlign", X((2, 3, 7, 8)), BOXES, ints(0, 1, 1), opset=16, output_height=2, output_width=3,
           sampling_ratio=ratio, spatial_scale=0.9, coordinate_transformation_mode=form, fixed=True,
           note=f"{form}-{ratio}")
        for form in ("half_pixel", "output_half_pixel")
        for ratio in (0, 2)
    ),
    ex("RoiAlign", X((2, 3, 7, 8)), BOXES, ints(0, 1, 1), opset=10, output_height=2, output_width=2, fixed=True,
       note="opset10"),
    ex("RoiAlign", X((2, 3, 7, 8), nonnegative=True), BOXES[:2], ints(0, 1), opset=16, output_height=2, fixed=True,
       output_width=2, mode="max", sampling_ratio=2, note="max"),
    ex("MaxRoiPool", X((2, 3, 7, 8)), LABELLED, pooled_shape=[2, 3], spatial_scale=1.0, fixed=True),
    ex("MaxRoiPool", X((2, 3, 7, 8)), LABELLED, pooled_shape=[3, 2], spatial_scale=0.5, fixed=True, note="scaled"),
]  # fmt: skip

DEFORMED = [
    ex("DeformConv", X((1, 2, 6, 5)), w(3, 2, 3, 2), shifted(1, 12, 4, 4), w(3), opset=22, note="2d", fixed=True),
    ex("DeformConv", X((2, 4, 6, 5)), w(6, 2, 3, 2), shifted(2, 24, 3, 2), w(6), w(2, 12, 3, 2), opset=22, fixed=True,
       group=2, offset_group=2, strides=[2, 1], pads=[1, 0, 0, 1], dilations=[1, 4], note="mask-groups"),
    ex("DeformConv", X((1, 2, 6, 5)), w(3, 2, 3, 2), X((1, 12, 4, 4), within=(0.1, 0.9)), opset=22, fixed=True,
       note="offset"),
    ex("DeformConv", X((1, 2, 6, 5)), w(3, 2, 3, 2), X((1, 12, 4, 4), within=(0.1, 0.9)), w(3), X((1, 6, 4, 4)),
       opset=22, note="offset-mask", fixed=True),
    ex("DeformConv", w(1, 2, 6, 5), w(3, 2, 3, 2), shifted(1, 12, 4, 4), None, X((1, 6, 4, 4)), opset=22,
       note="mask-only", fixed=True),
]  # fmt: skip

EXAMPLES = [*RESIZE, *GRIDS, *REGIONS, *DEFORMED]
