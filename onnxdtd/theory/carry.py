"""One pass forward from chosen values on, of many lines at once: of values, or of directions."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Sequence

import numpy as np

from onnxdtd.errors import UnsupportedError
from onnxdtd.theory.scene import Scene, double
from onnxdtd.theory.way import Part
from onnxdtd.types import Array

# What the k-th switch makes of what enters it.
Visit = Callable[[int, Array], Array]


def carry(
    scene: Scene,
    cut: Sequence[str],
    parts: Sequence[Part],
    start: Sequence[Array],
    visit: Visit,
    values: dict[str, Array] | None = None,
) -> None:
    """Carry what the values `cut` start with, (lines, ...) each, through the parts.

    visit: the state of every switch belongs to the caller. values: where all values made are kept; None where it is
    directions that are carried.
    """
    lines, count, whole = len(start[0]), 0, values is not None
    moving: dict[str, Array] = dict(zip(cut, start, strict=True))
    jumping: dict[str, Array] = {}
    last = {value: i for i, part in enumerate(parts) for value in part.node.inputs}
    for i, part in enumerate(parts):
        if not part.slots:
            y = part.decide(scene.point(part, lines, jumping))
        elif part.switch is not None:
            y = visit(count, _entering(scene, part, moving, lines, whole))
            count += 1
        else:
            y = _through(scene, part, moving, jumping, lines, whole)
        (jumping if part.discrete else moving)[part.node.output] = y
        if values is not None:
            values[part.node.output] = y
        for value in part.node.inputs:
            if last[value] == i:
                moving.pop(value, None)
                jumping.pop(value, None)


def _entering(scene: Scene, part: Part, moving: dict[str, Array], lines: int, whole: bool) -> Array:
    """What enters a switch; several inputs flat, one behind the other."""
    arrays = []
    for value in (part.node.inputs[slot] for slot in part.slots):
        array = moving[value] if value in moving else double(scene.values[value]) * whole
        arrays.append(np.broadcast_to(array, (lines, *array.shape[1:])))
    return arrays[0] if len(arrays) == 1 else np.concatenate([a.reshape(lines, -1) for a in arrays], axis=1)


def _through(
    scene: Scene, part: Part, moving: dict[str, Array], jumping: dict[str, Array], lines: int, whole: bool
) -> Array:
    """A linear part: of values with its bias."""
    site = scene.site(part, lines, ChainMap(moving, jumping) if whole else jumping)
    names = [part.node.inputs[slot] for slot in part.slots]
    arriving = list(site.inputs) if whole else [moving.get(name) for name in names]
    terms = [m.apply(m.weights, x) for m, x in zip(site.maps, arriving, strict=True) if x is not None]
    shape = (lines, *scene.shape(part.node.output)[1:])
    y = sum(terms[1:], terms[0]) if terms else np.zeros(shape)
    y = y + site.bias if whole and site.bias is not None else y
    if y.ndim != len(shape) or len(y) not in (1, lines):
        raise UnsupportedError(
            f"{part.node} mixes or moves the batch axis: lines of several neurons cannot pass it together; choose a "
            "node behind it"
        )
    return np.broadcast_to(y, shape)
