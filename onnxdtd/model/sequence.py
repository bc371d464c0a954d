"""Things put behind those that they need."""

from __future__ import annotations

import heapq
from collections.abc import Iterable


def in_sequence(count: int, edges: Iterable[tuple[int, int]]) -> list[int] | None:
    """0 .. count - 1 so that of each edge (earlier, later) the first comes first, the smallest number first among
    those that could be next (Kahn 1962); None where the edges make a ring."""
    waits, behind = [0] * count, [set[int]() for _ in range(count)]
    for earlier, later in edges:
        if later not in behind[earlier]:
            behind[earlier].add(later)
            waits[later] += 1
    ready = [i for i in range(count) if not waits[i]]
    order = []
    while ready:
        first = heapq.heappop(ready)
        order.append(first)
        for later in behind[first]:
            waits[later] -= 1
            if not waits[later]:
                heapq.heappush(ready, later)
    return order if len(order) == count else None
