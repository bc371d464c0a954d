"""Does the class probability fall when the most relevant pieces of the picture are removed?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from onnxdtd.entries import Panel
from onnxdtd.metrics.case import Case, Measured
from onnxdtd.metrics.perturb import area, counts, ranking
from onnxdtd.metrics.superpixels import superpixels
from onnxdtd.registry import metric
from onnxdtd.types import Array

RATIO = Panel(up="part of the class probability")


@metric(
    "irof", better={"area": "higher"}, order=4, source="Rieger and Hansen 2020", needs="places", panel=RATIO
)
def irof(case: Case) -> Measured:
    """1 - area under p(class | x with the k most relevant pieces removed) / p(class | x): pieces of like colour.

    The pieces are superpixels (`superpixels`, their side that of a region), of a signal regions, ordered by their
    mean relevance; removed ones become the data's mean. k runs from none to all. A method gains nothing by relevance
    that is spread over single pixels. Not defined without class probabilities. Source: Rieger and Hansen 2020 (IROF).
    """
    labels = pieces(case)
    sizes = np.bincount(labels)
    place = ranking(np.bincount(labels, case.relevance) / np.maximum(sizes, 1), case.rng("ties"))
    removed = counts(sizes.size, case.settings.steps)

    def points() -> Iterator[Array]:
        for k in removed:
            yield np.where((place < k)[labels], case.fill("mean"), case.x)

    _, chances = case.values(points())
    if not chances[0] > 0:
        return Measured({"area": np.nan})
    ratio = chances / chances[0]
    return Measured({"area": 1 - area(ratio)}, {"most": ratio})


def pieces(case: Case) -> npt.NDArray[np.intp]:
    """(D,): which piece an element is in."""
    side = case.settings.patch or case.view.patch
    width = case.background.high - case.background.low
    shade = (case.x - case.background.low) / np.where(width > 0, width, 1)
    grids, ends = case.view.split(shade[None]), case.view.split(case.view.units(side)[None])
    parts, start = {}, 0
    for name, units in ends.items():
        part, axes = units[0] - units.min(), case.view.places[name]
        if len(axes) == 2:
            rest = tuple(axis for axis in range(part.ndim) if axis not in axes)
            picture = grids[name][0].transpose(*axes, *rest).reshape(*(part.shape[axis] for axis in axes), -1)
            part = np.broadcast_to(np.expand_dims(superpixels(picture, side), rest), part.shape)
        parts[name] = (part + start)[None]
        start += int(part.max()) + 1
    return np.asarray(case.view.join(parts)[0], np.intp)
