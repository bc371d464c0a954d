"""Ops that copy values to places which indices, repeats or shapes say."""

from __future__ import annotations

from tests.single_op import X, ex, ints, w

EXAMPLES = [
    ex("Gather", X((2, 5, 4)), ints(3, 0, 3), axis=1, note="twice"),
    ex("Gather", X((2, 5, 4)), ints(-1), axis=2, note="negative"),
    ex("Tile", X((2, 3)), ints(1, 2)),
    ex("Expand", X((2, 1, 3)), ints(1, 4, 1)),
    ex("DepthToSpace", X((2, 8, 2, 3)), blocksize=2),
    ex("SpaceToDepth", X((2, 2, 4, 6)), blocksize=2),
    ex("GatherElements", X((2, 3)), ints(0, 0, 2, 1).reshape(2, 2), axis=1, note="picked", fixed=True),
    ex("GatherND", X((2, 3, 4)), ints(0, 1, 1, 2).reshape(2, 2), note="rows", fixed=True),
    ex("CastLike", X((2, 3)), w(1)),
]
