"""The weights of one resized axis: nearest, linear and cubic, with and without antialiasing.

Coordinates are computed in float32 as onnxruntime does, because a nearest neighbour hangs on the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxdtd.primitives import Size
from onnxdtd.types import Array


@dataclass(frozen=True)
class Axis:
    """One axis: its lengths before and after, their factor, and the attributes of the node."""

    before: Size
    after: Size
    scale: Any
    roi: tuple[float, float]
    mode: str
    nearest: str
    coordinates: str
    cubic: float
    exclude: bool
    antialias: bool


def axis_weights(axis: Axis) -> tuple[Array, Array]:
    """The matrix (in, out), and for each output position whether it lies inside the input (a crop may not)."""
    at = _coordinates(axis)
    inside = np.ones(axis.after, bool)
    if axis.coordinates == "tf_crop_and_resize":
        inside = (at >= 0) & (at <= axis.before - 1)
    if axis.mode == "nearest":
        taps, weights = _nearest(at, axis)[:, None], np.ones((axis.after, 1))
    elif axis.antialias:
        taps, weights = _antialiased(at, axis)
    elif axis.mode == "linear":
        low = np.floor(np.clip(at, 0, axis.before - 1))
        taps = low[:, None] + np.arange(2)
        weights = np.maximum(1 - np.abs(np.clip(at, 0, axis.before - 1)[:, None] - taps), 0)
    else:
        taps = np.floor(at)[:, None] + np.arange(-1, 3)
        weights = _cubic(at[:, None] - taps, axis.cubic)
        weights = _normalised(weights * _within(taps, axis)) if axis.exclude else weights
    matrix = np.zeros((axis.before, axis.after))
    columns = np.broadcast_to(np.arange(axis.after)[:, None], taps.shape)
    np.add.at(matrix, (np.clip(taps, 0, axis.before - 1).astype(int), columns), weights)
    return matrix * inside, inside


def _coordinates(axis: Axis) -> Array:
    """Where each output position lies in the input."""
    o, one, half = np.arange(axis.after, dtype=np.float32), np.float32(1), np.float32(0.5)
    before, after, scale = np.float32(axis.before), np.float32(axis.after), np.float32(axis.scale)
    match axis.coordinates:
        case "asymmetric":
            return o / scale
        case "pytorch_half_pixel":
            return (o + half) / scale - half if axis.after > 1 else o * 0
        case "tf_half_pixel_for_nn":
            return (o + half) / scale
        case "align_corners":
            return o * (before - one) / (after - one) if axis.after > 1 else o * 0
        case "tf_crop_and_resize":
            start, end = np.float32(axis.roi[0]), np.float32(axis.roi[1])
            if axis.after > 1:
                return start * (before - one) + o * (end - start) * (before - one) / (after - one)
            return o + half * (start + end) * (before - one)
        case "half_pixel_symmetric":
            offset = before / 2 * (one - after / (scale * before))
            return np.asarray(offset + (o + 0.5) / float(axis.scale) - 0.5, np.float32)
    return (o + half) / scale - half


def _nearest(at: Array, axis: Axis) -> Array:
    match axis.nearest:
        case "simple":
            return np.ceil(at) if axis.scale < 1 else np.trunc(at)
        case "round_prefer_ceil":
            return np.floor(at + np.float32(0.5))
        case "floor":
            return np.floor(at)
        case "ceil":
            return np.ceil(at)
    return np.ceil(at - np.float32(0.5))


def _cubic(distance: Array, a: float) -> Array:
    """Keys' kernel. Source: Keys 1981, Cubic convolution interpolation for digital image processing."""
    t = np.abs(distance)
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = (((t - 5) * t + 8) * t - 4) * a
    return np.where(t <= 1, near, np.where(t < 2, far, 0.0))


def _antialiased(at: Array, axis: Axis) -> tuple[Array, Array]:
    """The kernel stretched over as many inputs as one output covers."""
    stretch = max(1 / np.float32(axis.scale), np.float32(1))
    support = np.float32(2 if axis.mode == "cubic" else 1) * stretch
    center = at + np.float32(0.5)
    first = np.floor(center - support + np.float32(0.5))
    last = np.floor(center + support + np.float32(0.5))
    taps = first[:, None] + np.arange(int((last - first).max()))
    distance = (taps - center[:, None] + 0.5) / stretch
    weights = _cubic(distance, axis.cubic) if axis.mode == "cubic" else np.maximum(1 - np.abs(distance), 0)
    weights = weights * (taps < last[:, None])
    return taps, _normalised(weights * _within(taps, axis) if axis.exclude else weights)


def _within(taps: Array, axis: Axis) -> Array:
    return np.asarray((taps >= 0) & (taps < axis.before))


def _normalised(weights: Array) -> Array:
    total = weights.sum(axis=1, keepdims=True)
    return weights / np.where(total == 0, 1.0, total)
