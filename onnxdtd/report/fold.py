"""Folding: a graph of a thousand nodes as a few boxes, each of which opens to a graph of its own.

Three ways, each taken where the one before leaves more than MOST boxes: chains become one box; what lies between two
nodes through which all relevance passes becomes one, and a sequence that repeats is counted ("block 3 of 12"); what
is then still too much is cut into bands of neighbouring depth.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import networkx as nx

from onnxdtd.report.flow import TARGET, Box, Flow

MOST = 26
"""Boxes that one drawing may have before its parts are folded."""
SHARE = 0.6
"""Of the boxes, that one may stand for."""
LONGEST = 8
"""Segments that one repeated block may have."""
Group = tuple[str, str, list[str]]
_START, _END = "start of all", "end of all"


def folded(flow: Flow) -> Flow:
    """The graph with at most about MOST boxes, and so inside of each of them."""
    for fold in (_chains, _blocks, _segments, _bands):
        if len(flow.boxes) <= MOST:
            break
        groups = fold(flow)
        # One box for nearly all of it would tell nothing, and its inside would be folded the same way again.
        if groups and max(len(keys) for *_, keys in groups) < SHARE * len(flow.boxes):
            flow = flow.merged(groups)
    return Flow(tuple(_opened(box) for box in flow.boxes), flow.edges)


def _opened(box: Box) -> Box:
    """A box whose inside is folded in its turn."""
    if box.inside is None or len(box.inside.boxes) <= MOST:
        return box
    return Box(box.key, box.label, box.words, box.kind, box.arrived, box.left, box.lost, box.nodes,
               folded(box.inside))  # fmt: skip


def _chains(flow: Flow) -> list[Group]:
    """Nodes each of which hands all to the next one, which gets nothing else."""
    network, groups = flow.network, list[Group]()
    chain: list[str] = []
    for box in flow.boxes:
        before = list(network.predecessors(box.key))
        joins = chain and before == [chain[-1]] and network.out_degree(chain[-1]) == 1
        if not joins or box.kind != "node" or len(chain) == LONGEST:
            groups += _chain(flow, chain)
            chain = []
        if box.kind == "node":
            chain.append(box.key)
    return [*groups, *_chain(flow, chain)]


def _chain(flow: Flow, keys: Sequence[str]) -> list[Group]:
    return [(ops(flow, keys), f"{len(keys)} nodes", list(keys))] if len(keys) > 1 else []


def segments(flow: Flow) -> list[list[str]]:
    """The boxes in sequence, cut where all relevance passes through one box: each ends with such a one."""
    network = flow.network.copy()
    ends = [box.key for box in flow.boxes if not network.out_degree(box.key)]
    # What leads to no input is a side branch, unless nothing does.
    goals = [key for key in ends if flow.by_key[key].kind == "input"] or ends
    starts = [box.key for box in flow.boxes if not network.in_degree(box.key)]
    network.add_edges_from([*((_START, key) for key in starts), *((key, _END) for key in goals)])
    above = nx.immediate_dominators(network, _START)
    waists, key = set[str](), above[_END]
    while key != _START:
        waists.add(key)
        key = above[key]
    parts: list[list[str]] = [[]]
    for box in flow.boxes:
        parts[-1].append(box.key)
        if box.key in waists:
            parts.append([])
    return [part for part in parts if part]


def _blocks(flow: Flow) -> list[Group]:
    """Segments, or sequences of a few of them, that repeat; the more nodes they take together, the better."""
    parts = segments(flow)
    forms = [_form(flow, part) for part in parts]
    groups, i = list[Group](), 0
    while i < len(parts):
        best = max(
            ((_repeats(forms, i, n), n) for n in range(1, LONGEST + 1)), key=lambda c: (c[0] - 1) * c[1]
        )
        count, length = best
        whole = sum(map(len, parts[i : i + length]))
        if count > 1 and whole > 1:
            for k in range(count):
                keys = [key for part in parts[i + k * length : i + (k + 1) * length] for key in part]
                groups.append((f"block {k + 1} of {count}", ops(flow, keys), keys))
            i += count * length
        else:
            i += 1
    return groups


def _segments(flow: Flow) -> list[Group]:
    """What lies between two nodes through which all passes."""
    parts = [part for part in segments(flow) if len(part) > 1]
    kept = [[key for key in part if flow.by_key[key].kind not in ("input", TARGET)] for part in parts]
    return [(f"{_count(flow, keys)} nodes", ops(flow, keys), keys) for keys in kept if len(keys) > 1]


def _bands(flow: Flow) -> list[Group]:
    """Equal parts of the boxes in the order of their depth: no path leaves such a part and comes back."""
    depths: dict[str, int] = {}
    for box in flow.boxes:
        before = [depths[key] + 1 for key in flow.network.predecessors(box.key)]
        depths[box.key] = max(before, default=0)
    inner = [box.key for box in flow.boxes if box.kind not in ("input", TARGET)]
    inner.sort(key=lambda key: depths[key])
    size = -(-len(inner) // (MOST - 4))
    bands = [inner[i : i + size] for i in range(0, len(inner), size)]
    return [(f"{_count(flow, band)} nodes", ops(flow, band), band) for band in bands if len(band) > 1]


def ops(flow: Flow, keys: Sequence[str]) -> str:
    """The operators of boxes by number, the most frequent first."""
    counts = Counter(node.op for key in keys for node in flow.by_key[key].nodes)
    named = [f"{count} {op}" if count > 1 else op for op, count in counts.most_common(4)]
    return ", ".join([*named, "…"] if len(counts) > 4 else named)


def _count(flow: Flow, keys: Sequence[str]) -> int:
    return sum(len(flow.by_key[key].nodes) for key in keys)


def _form(flow: Flow, keys: Sequence[str]) -> tuple[object, ...]:
    """What two segments that repeat have in common: their operators and how they are joined."""
    place = {key: i for i, key in enumerate(keys)}
    own = tuple(tuple(node.op for node in flow.by_key[key].nodes) or flow.by_key[key].kind for key in keys)
    edges = sorted(
        (place[key], place[after]) for key in keys for after in flow.network.successors(key) if after in place
    )
    return (own, tuple(edges))


def _repeats(forms: Sequence[object], start: int, length: int) -> int:
    """How many times in a row a sequence of that length stands from `start` on."""
    first, count = forms[start : start + length], 1
    while len(first) == length and forms[start + count * length : start + (count + 1) * length] == first:
        count += 1
    return count
