"""What the attention operators share: heads apart and together, masks as summands, and attention itself."""

from __future__ import annotations

from collections.abc import Sequence

from onnxdtd.model.definitions.body import Body

LOWEST = -3.4028234663852886e38
"""The least float32: added to a score, it leaves nothing of a key."""


def apart(b: Body, x: str, heads: int) -> str:
    """(batch, positions, heads x size) -> (batch, heads, positions, size)."""
    return b.transpose(b.reshape(x, 0, 0, heads, -1), 0, 2, 1, 3)


def together(b: Body, x: str) -> str:
    """(batch, heads, positions, size) -> (batch, positions, heads x size)."""
    return b.reshape(b.transpose(x, 0, 2, 1, 3), 0, 0, -1)


def repeated(b: Body, x: str, heads: int, groups: int) -> str:
    """Each of the heads (axis 1) as often as a group of queries has members, one copy behind the other."""
    if groups == 1:
        return x
    return b("Gather", x, b.integers([i for i in range(heads) for _ in range(groups)]), axis=1)


def attend(
    b: Body, q: str, k: str, v: str, summands: Sequence[str], softcap: float = 0.0, sink: str = ""
) -> tuple[str, str, str]:
    """softmax(scale q k' + summands) v of heads (batch, heads, positions, size); scale: 1 / sqrt(size) by default.

    softcap: the scaled products are kept within +-softcap, before the summands. sink: a further score of each head,
    (1, heads, 1, 1), that takes its share and has no value. Returns the result, the scores and their softmax.
    """
    scale: float | str = b.attribute("scale", 0.0)
    if not scale:
        scale = b("Div", 1.0, b("Sqrt", b.as_float(b.size(q, 3))))
    scores = b("Mul", b("MatMul", q, b.transpose(k, 0, 1, 3, 2)), scale)
    if softcap:
        scores = b("Mul", b("Tanh", b("Div", scores, softcap)), softcap)
    scores = b.sum(scores, *summands)
    if not sink:
        shares = b("Softmax", scores, axis=3)
    else:
        aside = b("Expand", sink, b.concat(0, *(b.size(scores, i) for i in range(3)), b.integers([1])))
        shares = b.part(b("Softmax", b.concat(3, scores, aside), axis=3), 3, 0, -1)
    return b("MatMul", shares, v), scores, shares


def hidden_where(b: Body, hides: str, value: float, else_: float | str = 0.0) -> str:
    """A summand: the value where a boolean hides. No relevance goes into a mask, which is a condition here."""
    return b("Where", hides, value, else_)


def masks(b: Body, q: str, k: str, mask: int, bias: int) -> list[str]:
    """The summands of the scores of an operator. mask, bias: the slots of a mask and of what is added as it is.

    Where unidirectional, a position sees no key behind it, whatever the mask says of that key.
    """
    value = b.attribute("mask_filter_value", -10000.0)
    summand: float | str = _padding(b, mask, k, value) if b.x[mask] else 0.0
    if b.attribute("unidirectional", 0):
        own, keys = b.size(q, 2), b.size(k, 2)
        places = b.unsqueeze(b("Add", b.range(own), b("Sub", keys, own)), 1)
        behind = b("Greater", b.unsqueeze(b.range(keys), 0), places)
        summand = hidden_where(b, behind, LOWEST, summand)
    return [b.x[bias], *([summand] if isinstance(summand, str) else [])]


def _padding(b: Body, slot: int, k: str, value: float) -> str:
    """The summand of a mask: of ones and zeros (batch, keys) or (batch, positions, keys); or of the ends of the rows
    (batch,), behind which their starts may follow (2 batch,), or what kernels for packed rows read (3 batch + 2,)."""
    mask, rank = b.cast(b.x[slot]), b.rank(slot)
    if rank == 1:
        batch, zero = b.size(k, 0), b.integers([0])
        twice = b("Add", batch, batch)
        starts = b("Concat", mask, b("Mul", mask, zero), axis=0)
        ends = b.unsqueeze(b.cut(mask, 0, zero, batch), 1)
        starts = b("Where", b("Equal", b.size(mask, 0), twice), b.cut(starts, 0, batch, twice), zero)
        starts = b.unsqueeze(starts, 1)
        places = b.unsqueeze(b.range(b.size(k, 2)), 0)
        hides = b("Or", b("Not", b("Greater", ends, places)), b("Greater", starts, places))
        return hidden_where(b, b.unsqueeze(hides, 1, 2), value)
    if rank > 3:
        raise b.refuse(f"its mask has {rank} axes, which onnxruntime's CPU provider does not take")
    hides = b("Not", b("Greater", mask, b.integers(0)))
    return hidden_where(b, b.unsqueeze(hides, *((1, 2) if rank == 2 else (1,))), value)


def with_past(b: Body, past: str, x: str, length: str = "") -> tuple[str, str]:
    """The keys or values of the past with the new ones behind them, and what is kept for the next token.

    length: of the past, (1,), where it is the front of a buffer that is kept whole; else it is all of it.
    """
    if not length:
        joint = b.concat(2, past, x)
        return joint, joint
    joint = b.concat(2, b.cut(past, 2, b.integers([0]), length), x)
    return joint, b.concat(2, joint, b.cut(past, 2, b.size(joint, 2)))
