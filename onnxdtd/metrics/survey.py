"""The first pass over a data set: its digest, and the mean and range of every channel or column."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from onnxdtd.domains.box import range_of
from onnxdtd.domains.propagation import Range
from onnxdtd.errors import InputError
from onnxdtd.inputs import DataSet
from onnxdtd.metrics.case import Background
from onnxdtd.metrics.labels import class_of
from onnxdtd.metrics.view import View
from onnxdtd.types import Array


@dataclass(frozen=True)
class Survey:
    """mean, low, high: by channel (of a table: by column), over inputs and places. sha256: of inputs and labels.
    stated: the range that the user or the model states. labels: (count,) the class of each input, where it is known.
    breaks: the inputs that differ in shape from the one before, the first among them."""

    count: int
    sha256: str
    mean: Array
    low: Array
    high: Array
    stated: Range
    layout: str | None
    tokens: bool = False
    labels: Array | None = None
    breaks: tuple[int, ...] = (0,)
    views: dict[Any, View] = field(default_factory=dict, repr=False)

    def chunks(self, rows: int) -> Iterator[range]:
        """The inputs in their order, so many at most, and of equal shapes."""
        for start, end in pairwise((*self.breaks, self.count)):
            for first in range(start, end, rows):
                yield range(first, min(first + rows, end))

    def view(self, feeds: Mapping[str, Array], inputs: tuple[str, ...]) -> View:
        """The view of inputs of these shapes, made once."""
        return view_of(feeds, inputs, self.layout, self.tokens, self.views)

    def background(self, view: View) -> Background:
        """What is known of each element of a sample."""
        channel, ends = view.channel, []
        for side, seen in ((0, self.low), (1, self.high)):
            bounds = {n: np.asarray(range_of(n, self.stated)[side], np.float64) for n in view.shapes}
            parts = {n: np.broadcast_to(bounds[n], (1, *shape)) for n, shape in view.shapes.items()}
            ends.append((view.join(parts)[0], seen[channel]))
        stated = all(np.isfinite(bounds).all() for bounds, _ in ends)
        low, high = (bounds if stated else seen for bounds, seen in ends)
        return Background(self.mean[channel], low, high, stated)


def view_of(
    feeds: Mapping[str, Array],
    inputs: tuple[str, ...],
    layout: str | None,
    tokens: bool,
    kept: dict[Any, View],
) -> View:
    """The view of one sample's inputs."""
    shapes = {name: feeds[name].shape[1:] for name in inputs}
    key = tuple(shapes.items())
    if key not in kept:
        kept[key] = View(shapes, layout, tokens)
    return kept[key]


def survey(
    data: DataSet,
    inputs: tuple[str, ...],
    stated: Range,
    layout: str | None,
    tokens: bool = False,
    by_label: bool = False,
    names: Sequence[str] | None = None,
) -> Survey:
    """Read every input once. by_label: whether labels are asked for; names: of the classes, where labels are words.
    InputError where the channels are not the same in all of them, UsageError where a label is missing."""
    digest = hashlib.sha256()
    views: dict[Any, View] = {}
    total = size = low = high = np.zeros(0)
    labels, breaks, shapes = list[int](), list[int](), dict[str, tuple[int, ...]]()
    for i, row in enumerate(data):
        feeds = row.inputs
        for name, array in sorted(feeds.items()):
            digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
            digest.update(array.tobytes())
        here = {name: array.shape for name, array in feeds.items()}
        breaks += [i] if here != shapes else []
        shapes = here
        if by_label and data.labels is None:
            labels.append(class_of(row, names))
        view = view_of(feeds, inputs, layout, tokens, views)
        x, channel = view.join({n: feeds[n] for n in inputs})[0].astype(np.float64), view.channel
        if not x.size:
            raise InputError(f"input {i} of the data is empty: nothing to evaluate")
        channels = int(channel.max()) + 1
        if not i:
            total, size = np.zeros(channels), np.zeros(channels)
            low, high = np.full(channels, np.inf), np.full(channels, -np.inf)
        elif channels != total.size:
            raise InputError(
                f"input {i} of the data has {channels} channels or columns, the first has {total.size}"
            )
        total += np.bincount(channel, x, channels)
        size += np.bincount(channel, minlength=channels)
        np.minimum.at(low, channel, x)
        np.maximum.at(high, channel, x)
    if not total.size:
        raise InputError("the data hold no inputs")
    each = np.array(labels, np.int64) if labels else data.labels
    if each is not None:
        digest.update(each.tobytes())
    return Survey(
        data.count,
        digest.hexdigest(),
        total / size,
        low,
        high,
        stated,
        layout,
        tokens,
        each,
        tuple(breaks),
        views,
    )
