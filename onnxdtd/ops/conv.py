"""Conv and ConvTranspose: each is the other's adjoint, with the same weight array."""

from __future__ import annotations

from typing import Any

from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.ops.window import Window, per_channel, spatial_of, window
from onnxdtd.primitives import conv, conv_transpose, static
from onnxdtd.registry import op


@op("Conv", kind="linear", family="convolution")
def convolution(point: Point) -> Site:
    """y = W * x + b over 1, 2 or 3 spatial axes, with groups, strides, dilations and pads."""
    x, w = point.x, point.value(1)
    geometry = window(point, w.shape[2:], x).attributes
    group = point.attribute("group", 1)

    def apply(w: Any, x: Any) -> Any:
        return conv(x, w, group=group, **geometry)

    def adjoint(w: Any, r: Any) -> Any:
        return conv_transpose(r, w, group=group, spatial=spatial_of(x), **geometry)

    bias = per_channel(point.value(2), x.ndim) if point.has(2) else None
    return point.site(LinearMap(w, apply, adjoint, point.is_constant(1)), bias=bias)


@op("ConvTranspose", kind="linear", family="convolution")
def transposed_convolution(point: Point) -> Site:
    """y = W^T * x + b: the adjoint of Conv, weights (C_in, C_out / group, *kernel)."""
    x, w = point.x, point.value(1)
    kernel = w.shape[2:]
    spatial = spatial_of(point.output)
    geometry = _transposed_window(point, kernel, x, spatial).attributes
    group = point.attribute("group", 1)

    def apply(w: Any, x: Any) -> Any:
        return conv_transpose(x, w, group=group, spatial=spatial, **geometry)

    def adjoint(w: Any, r: Any) -> Any:
        return conv(r, w, group=group, **geometry)

    bias = per_channel(point.value(2), x.ndim) if point.has(2) else None
    return point.site(LinearMap(w, apply, adjoint, point.is_constant(1)), bias=bias)


def _transposed_window(point: Point, kernel: tuple[int, ...], x: Any, spatial: tuple[int, ...]) -> Window:
    """ConvTranspose may state its output shape instead of its pads; the pads then follow from both shapes."""
    given = window(point, kernel, x)
    auto_pad = point.attribute("auto_pad", "NOTSET")
    if not point.attribute("output_shape") and auto_pad in ("NOTSET", "VALID"):
        return given
    extra = point.attribute("output_padding") or (0,) * len(kernel)
    totals = []
    for i, extent in enumerate((k - 1) * d + 1 for k, d in zip(kernel, given.dilations, strict=True)):
        length = given.strides[i] * (static(x.shape[2 + i]) - 1) + extra[i] + extent
        totals.append(max(length - spatial[i], 0))
    small, large = [t // 2 for t in totals], [t - t // 2 for t in totals]
    pads = (*small, *large) if auto_pad == "SAME_UPPER" else (*large, *small)
    return Window(given.kernel, given.strides, given.dilations, pads)
