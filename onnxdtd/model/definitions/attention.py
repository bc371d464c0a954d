"""Attention as onnxruntime fuses it: with the projections before it, without them, and of rows packed into one."""

from __future__ import annotations

from onnxdtd.model.definitions.body import Body
from onnxdtd.model.definitions.heads import LOWEST, apart, attend, hidden_where, masks, together, with_past


def attention(b: Body) -> list[str]:
    """softmax(q k' / sqrt(size) + masks) v with q, k, v = x W + bias, and the keys and values.

    One value (2, batch, heads, positions, size) holds both, those of the past first.
    """
    return projected(b, b.sum(b("MatMul", b.x[0], b.x[1]), b.x[2]), mask=3, past=4, bias=5, length=6)


def projected(b: Body, joint: str, mask: int, past: int, bias: int, length: int) -> list[str]:
    """The same of queries, keys and values that stand side by side. The others are slots."""
    if b.attribute("do_rotary", 0):
        raise b.refuse("its form with do_rotary has no definition")
    heads, sizes = b.attribute("num_heads", 1), b.attribute("qkv_hidden_sizes", None)
    q, k, v = (apart(b, part, heads) for part in b.split(joint, 2, sizes or 3))
    kept = [k, v]
    if b.x[past]:
        past_k, past_v = (b.squeeze(part, 0) for part in b.split(b.x[past], 0, 2))
        front = _length(b, length)
        (k, kept[0]), (v, kept[1]) = with_past(b, past_k, k, front), with_past(b, past_v, v, front)
    y, *_ = attend(b, q, k, v, masks(b, q, k, mask, bias))
    present = b.concat(0, *(b.unsqueeze(x, 0) for x in kept)) if b.asked[1] else ""
    return [together(b, y), present]


def _length(b: Body, slot: int) -> str:
    """How many keys of the past there are, (1,), where the buffer is longer; "" where it is not."""
    return b.reshape(b.cast(b.x[slot]), 1) if b.x[slot] else ""


def multi_head_attention(b: Body) -> list[str]:
    """softmax(q k' / sqrt(size) + masks) v; the keys and the values, those of the past first; and the scores."""
    return _of_heads(b, bias=3, mask=4, summand=5, past=6, length=8)


def decoder_masked_multi_head_attention(b: Body) -> list[str]:
    """The same for one position."""
    return _of_heads(b, bias=10, mask=3, summand=4, past=5, length=7)


def _of_heads(b: Body, bias: int, mask: int, summand: int, past: int, length: int) -> list[str]:
    """The arguments are slots."""
    if b.x[9]:
        raise b.refuse("its form with the cache_indirection of a beam search has no definition")
    q, k, v = _heads(b, bias)
    kept = [k, v]
    if b.x[past]:
        longer = _length(b, length)
        k, kept[0] = with_past(b, b.x[past], k, longer)
        v, kept[1] = with_past(b, b.x[past + 1], v, longer)
    y, scores, _ = attend(b, q, k, v, masks(b, q, k, mask, summand))
    return [together(b, y), *kept, scores]


def _heads(b: Body, bias: int) -> tuple[str, str, str]:
    """q, k and v as heads: each a value, all in one, or keys with values; keys and values may be heads already."""
    heads = b.attribute("num_heads", 1)
    query, key, value = b.x[:3]
    if not key:
        if b.rank(0) == 3:
            parts = b.split(b.sum(query, b.x[bias]), 2, 3)
            q, k, v = (apart(b, part, heads) for part in parts)
            return q, k, v
        if b.x[bias]:
            raise b.refuse("queries, keys and values in one value and a bias have no definition together")
        q, k, v = (b.transpose(b.squeeze(part, 3), 0, 2, 1, 3) for part in b.split(query, 3, 3))
        return q, k, v
    biases = ["", "", ""]
    if b.x[bias]:
        size = b.size(query, 2)
        twice = b("Add", size, size)
        zero = b.integers([0])
        ends = ((zero, size), (size, twice), (twice, ""))
        biases = [b.cut(b.x[bias], 0, *limits) for limits in ends]
    q = apart(b, b.sum(query, biases[0]), heads)
    if not value:
        k, v = (b.transpose(b.squeeze(part, 3), 0, 2, 1, 3) for part in b.split(key, 3, 2))
        return q, k, v
    if b.rank(1) == 4:
        return q, key, value
    return q, apart(b, b.sum(key, biases[1]), heads), apart(b, b.sum(value, biases[2]), heads)


def packed_attention(b: Body) -> list[str]:
    """Attention of rows without their padding, one behind the other, (tokens, size); each sees its own row only."""
    if b.x[5]:
        raise b.refuse("a bias of the scores in rows packed into one has no definition")
    joint = b.sum(b("MatMul", b.x[0], b.x[1]), b.x[2])
    return [_packed(b, b.split(joint, 1, b.attribute("qkv_hidden_sizes", None) or 3), ends=4)]


def packed_multi_head_attention(b: Body) -> list[str]:
    """The same without the projections."""
    if b.x[6] or b.x[3] or not b.x[1]:
        raise b.refuse(
            "its form with a bias, or with queries, keys and values in one value, has no definition"
        )
    return [_packed(b, b.x[:3], ends=5)]


def _packed(b: Body, parts: list[str], ends: int) -> str:
    """ends: the slot of where each row begins, and the last ends, (batch + 1,)."""
    q, k, v = (apart(b, b.unsqueeze(part, 0), b.attribute("num_heads", 1)) for part in parts)
    places = b.unsqueeze(b.range(b.size(q, 2)), 1)
    begun = b("Not", b("Greater", b.unsqueeze(b.cast(b.x[ends]), 0), places))
    row = b.reduce_sum(b.cast(begun), 1)
    apart_rows = b("Not", b("Equal", row, b.transpose(row, 1, 0)))
    y, *_ = attend(b, q, k, v, [hidden_where(b, apart_rows, LOWEST)])
    return b.squeeze(together(b, y), 0)


def gated_relative_position_bias(b: Body) -> list[str]:
    """(u (r a - 1) + 2) times the bias, with u and r the sigmoids of the sums of the halves of q W + bias."""
    query, query_bias, places, weight, bias, a, packed = b.x[:7]
    if packed:
        raise b.refuse("rows packed into one have no definition")
    q = apart(b, b.sum(query, query_bias), b.attribute("num_heads", 1))
    gates = b.reshape(b.sum(b("MatMul", q, weight), bias), 0, 0, 0, 2, -1)
    u, r = b.split(b("Sigmoid", b.reduce_sum(gates, 4, 0)), 3, 2)
    gate = b("Add", b("Mul", u, b("Sub", b("Mul", r, a), 1.0)), 2.0)
    return [b("Mul", gate, places)]
