"""Rotary position embeddings: pairs of features turned by an angle that grows with the position.

The first half of the features pairs with the second, or neighbours pair with each other (interleaved):
y1 = x1 cos - x2 sin, y2 = x2 cos + x1 sin (Su et al. 2021).
"""

from __future__ import annotations

from onnxdtd.model.definitions.body import Body


def rotary_embedding(b: Body) -> list[str]:
    """Heads turned by the angles at their positions; (batch, positions, heads x size), or heads before positions."""
    x, places, cosines, sines = b.x[:4]
    turned, heads = b.attribute("rotary_embedding_dim", 0), b.attribute("num_heads", 0)
    if b.attribute("is_packed_batching", 0):
        raise b.refuse("rows of different lengths packed into one have no definition")
    packed = b.rank(0) == 3
    if packed:
        size: int | str = -1 if turned else b("Mul", b.size(cosines, 1), b.integers([2]))
        x = b.transpose(b.reshape(b.x[0], 0, 0, heads if turned else -1, size), 0, 2, 1, 3)
    if b.rank(1) == 1:
        places = b.unsqueeze(b("Add", b.range(b.size(x, 2)), b.cast(places)), 0)
    y = turn(b, x, places, cosines, sines, turned > 0, b.attribute("interleaved", 0))
    if packed:
        y = b("Reshape", b.transpose(y, 0, 2, 1, 3), b("Shape", b.x[0]))
    scale = b.attribute("scale", 1.0)
    return [y if scale == 1 else b("Mul", y, scale)]


def turn(
    b: Body, x: str, places: str, cosines: str, sines: str, partly: bool = False, interleaved: bool = False
) -> str:
    """Heads (batch, heads, positions, size) turned by the tables' rows at their places (batch or 1, positions);
    partly: only as many features as two rows of a table are long."""
    rest = ""
    if partly:
        end = b("Mul", b.size(cosines, 1), b.integers([2]))
        x, rest = b.cut(x, 3, b.integers([0]), end), b.cut(x, 3, end)
    cos, sin = (b.unsqueeze(b("Gather", table, places), 1) for table in (cosines, sines))
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
