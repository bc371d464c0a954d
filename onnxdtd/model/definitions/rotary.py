"""Rotary position embeddings: pairs of features turned by an angle that grows with the position.

The first half of the features pairs with the second, or neighbours pair with each other (interleaved):
y1 = x1 cos - x2 sin, y2 = x2 cos + x1 sin (Su et al. 2021).
"""

from __future__ import annotations

from onnxdtd.model.definitions.body import Body


def rotary_embedding(b: Body) -> list[str]:
    """Heads turned by the angles at their places; (batch, positions, heads x size), or heads before positions.

    onnxruntime's kernels read the attribute `scale` and make nothing of it.
    """
    x, places, cosines, sines = b.x[:4]
    if b.attribute("is_packed_batching", 0):
        raise b.refuse("rows of different lengths packed into one have no definition")
    if b.rank(1) == 1:
        length = b.size(x, 1 if b.rank(0) == 3 else 2)
        places = b.unsqueeze(b("Add", b.range(length), b.cast(places)), 0)
    return [_rotated(b, places, cosines, sines)]


def standard_rotary_embedding(b: Body) -> list[str]:
    """The same by ONNX: with the tables before the places, which may be left out where each place has its row."""
    return [_rotated(b, b.x[3], *b.x[1:3])]


def _rotated(b: Body, places: str, cosines: str, sines: str) -> str:
    x, heads, packed = b.x[0], b.attribute("num_heads", 0), b.rank(0) == 3
    partly = b.attribute("rotary_embedding_dim", 0) > 0
    if packed:
        size: int | str = -1 if heads else b("Mul", b.size(cosines, -1), b.integers([2]))
        x = b.transpose(b.reshape(x, 0, 0, heads or -1, size), 0, 2, 1, 3)
    y = turn(b, x, places, cosines, sines, partly, b.attribute("interleaved", 0))
    return b("Reshape", b.transpose(y, 0, 2, 1, 3), b("Shape", b.x[0])) if packed else y


def turn(
    b: Body, x: str, places: str, cosines: str, sines: str, partly: bool = False, interleaved: bool = False
) -> str:
    """Heads (batch, heads, positions, size) turned by the tables' rows at their places (batch or 1, positions), or by
    tables with a row for each place. partly: only as many features as two rows are long.

    A place is an angle and no token: integers that are calculated with carry no relevance, so the table gets none.
    """
    rest = ""
    if partly:
        end = b("Mul", b.size(cosines, -1), b.integers([2]))
        x, rest = b.cut(x, 3, b.integers([0]), end), b.cut(x, 3, end)
    tables = [cosines, sines]
    if places:
        at = b("Abs", places)
        tables = [b("Gather", table, at) for table in tables]
    cos, sin = (b.unsqueeze(table, 1) for table in tables)
    if interleaved:
        pairs = b.split(b.reshape(x, 0, 0, 0, -1, 2), 4, 2)
        one, other = (b.squeeze(pair, 4) for pair in pairs)
    else:
        one, other = b.split(x, 3, 2)
    first = b("Sub", b("Mul", one, cos), b("Mul", other, sin))
    second = b("Add", b("Mul", other, cos), b("Mul", one, sin))
    if interleaved:
        y = b("Reshape", b.concat(4, b.unsqueeze(first, 4), b.unsqueeze(second, 4)), b("Shape", x))
    else:
        y = b.concat(3, first, second)
    return b.concat(3, y, rest)
