"""Where the boxes of a graph stand: in layers by their longest path, ordered so that few edges cross."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

import networkx as nx

from onnxdtd.report.flow import Flow

WIDTH, HEIGHT = 168, 46
ACROSS, DOWN = 44, 40
"""Room between boxes, and between layers."""
_THIN = 26
"""Of an edge that passes a layer by."""
_SWEEPS = 6
Slot = tuple[str, str, int] | str
"""A box by its key, or an edge (from, to, layer) on its way."""


@dataclass(frozen=True)
class Layout:
    """centres: (x, y) of each box. paths: by edge, the points through which it goes. width, height: of the whole."""

    centres: Mapping[str, tuple[float, float]]
    paths: Mapping[tuple[str, str], tuple[tuple[float, float], ...]]
    width: float
    height: float


def laid_out(flow: Flow) -> Layout:
    """A place for every box."""
    depths: dict[str, int] = {}
    for key in nx.topological_sort(flow.network):
        depths[key] = max((depths[before] + 1 for before in flow.network.predecessors(key)), default=0)
    layers: list[list[Slot]] = [[] for _ in range(max(depths.values(), default=0) + 1)]
    for box in flow.boxes:
        layers[depths[box.key]].append(box.key)
    chains: dict[tuple[str, str], list[Slot]] = {}
    for a, b, _ in flow.edges:
        between: list[Slot] = [(a, b, layer) for layer in range(depths[a] + 1, depths[b])]
        for slot, layer in zip(between, range(depths[a] + 1, depths[b]), strict=True):
            layers[layer].append(slot)
        chains[a, b] = [a, *between, b]
    joined: dict[Slot, list[Slot]] = {slot: [] for layer in layers for slot in layer}
    for chain in chains.values():
        for upper, lower in pairwise(chain):
            joined[upper].append(lower)
            joined[lower].append(upper)
    xs = _placed(layers, joined)
    least = min((xs[slot] - _width(slot) / 2 for slot in xs), default=0)
    xs = {slot: x - least + ACROSS / 2 for slot, x in xs.items()}
    heights = {slot: HEIGHT / 2 + 8 + i * (HEIGHT + DOWN) for i, layer in enumerate(layers) for slot in layer}
    points = {edge: tuple((xs[s], heights[s]) for s in chain) for edge, chain in chains.items()}
    centres = {box.key: (xs[box.key], heights[box.key]) for box in flow.boxes}
    right = max((xs[slot] + _width(slot) / 2 for slot in xs), default=0)
    return Layout(centres, points, right + ACROSS / 2, len(layers) * (HEIGHT + DOWN) - DOWN + 16)


def _placed(layers: Sequence[list[Slot]], joined: Mapping[Slot, Sequence[Slot]]) -> dict[Slot, float]:
    """Across: each layer in the order of the mean place of its neighbours, in turns from above and from below."""
    xs: dict[Slot, float] = {}
    for layer in layers:
        _spread(layer, [float(i * (WIDTH + ACROSS)) for i in range(len(layer))], xs)
    depth = {slot: i for i, layer in enumerate(layers) for slot in layer}
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            wishes = {}
            for slot in layer:
                near = [xs[n] for n in joined[slot] if (depth[n] < depth[slot]) == down]
                wishes[slot] = fmean(near) if near else xs[slot]
            layer.sort(key=lambda slot: wishes[slot])
            _spread(layer, [wishes[slot] for slot in layer], xs)
    return xs


def _spread(layer: Sequence[Slot], wishes: Sequence[float], xs: dict[Slot, float]) -> None:
    """The places nearest to the wishes, in this order, at which boxes do not touch: those that would, form blocks,
    and each block stands at the mean of what its members wish."""
    blocks: list[tuple[list[Slot], list[float], list[float]]] = []  # slots, offsets, wishes less offsets
    for slot, wish in zip(layer, wishes, strict=True):
        blocks.append(([slot], [0.0], [wish]))
        while len(blocks) > 1:
            (left, offsets, before), (right, others, after) = blocks[-2:]
            room = offsets[-1] + _gap(left[-1], right[0])
            if fmean(before) + room <= fmean(after):
                break
            moved = [room + o for o in others]
            blocks[-2:] = [([*left, *right], [*offsets, *moved], [*before, *(w - room for w in after)])]
    for slots, offsets, means in blocks:
        xs.update({slot: fmean(means) + offset for slot, offset in zip(slots, offsets, strict=True)})


def _gap(a: Slot, b: Slot) -> float:
    return (_width(a) + _width(b)) / 2 + (ACROSS if isinstance(a, str) or isinstance(b, str) else 0)


def _width(slot: Slot) -> float:
    return WIDTH if isinstance(slot, str) else _THIN
