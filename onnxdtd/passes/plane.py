"""The nearest point of a box on a plane, exactly."""

from __future__ import annotations

import numpy as np

from onnxdtd.types import Array


def nearest_on_plane(x: Array, slope: Array, drop: float, low: Array, high: Array) -> Array:
    """argmin |xi - x|^2 subject to slope . (x - xi) = drop, low <= xi <= high, for one x (D,) inside the box.

    xi = clip(x - t slope): every element moves at its own speed until it meets its wall, so the drop is piecewise
    linear in t, and sorting the walls by the t at which they are met solves it. Where the box does not reach the
    plane: its corner that comes closest.
    """
    if drop < 0:
        return nearest_on_plane(x, -slope, -drop, low, high)
    wall = np.where(slope > 0, low, high)
    moves = np.flatnonzero((slope != 0) & (wall != x))
    met = np.abs(wall[moves] - x[moves]) / np.abs(slope[moves])
    order = np.argsort(met)
    met, speed = met[order], slope[moves][order] ** 2
    finite = np.isfinite(met)
    done = np.concatenate([[0.0], np.cumsum(np.where(finite, speed * np.where(finite, met, 0.0), 0.0))])
    moving = np.cumsum(speed[::-1])[::-1]
    dropped = np.where(finite, done[:-1] + np.where(finite, met, 0.0) * moving, np.inf)
    k = int(np.searchsorted(dropped, drop))
    if k == len(met):
        return np.where(slope != 0, wall, x)
    return np.asarray(np.clip(x - (drop - done[k]) / moving[k] * slope, low, high))
