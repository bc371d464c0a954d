"""Attention of a decoder: groups of queries share a head of keys and values, which are kept for the next token."""

from __future__ import annotations

from onnxdtd.model.definitions.body import Body
from onnxdtd.model.definitions.heads import LOWEST, apart, attend, hidden_where, repeated, together
from onnxdtd.model.definitions.norms import over_root
from onnxdtd.model.definitions.rotary import turn

_UNSERVED = {12: "quantised keys", 13: "quantised values", 16: "query_seqlens"}


def group_query_attention(b: Body) -> list[str]:
    """softmax(q k' / sqrt(size) + masks) v, causal; the keys and the values, those of the past first; and scores.

    Row i has seqlens_k[i] + 1 tokens in all; before a prompt (as many positions as the longest row has tokens) there
    are none. Keys of the past stand at the front of their buffer, and new ones behind those of their own row.
    """
    _require_served(b)
    heads, kv_heads = b.attribute("num_heads", 1), b.attribute("kv_num_heads", 1)
    q, k, v = _heads(b, heads, kv_heads)
    if b.x[14]:
        q, k = (
            b("Mul", over_root(b, x, epsilon), w)
            for x, w, epsilon in zip((q, k), b.x[14:16], _epsilons(b), strict=True)
        )
    new = b.size(q, 2)
    totals = b("Add", b.reshape(b.cast(b.x[5]), -1, 1), b.integers(1))
    longest = b.reshape(b.cast(b.x[6]), 1)
    before = b("Where", b("Equal", longest, new), b.integers(0), b("Sub", totals, new))
    places = b("Add", before, b.unsqueeze(b.range(new), 0))
    if b.attribute("do_rotary", 0):
        at = b.x[9] or places
        q, k = (turn(b, x, at, b.x[7], b.x[8], True, b.attribute("rotary_interleaved", 0)) for x in (q, k))
    if b.x[3]:
        k, v = (_kept(b, past, x, before, totals, longest) for past, x in ((b.x[3], k), (b.x[4], v)))
    groups = heads // kv_heads
    all_k, all_v = (repeated(b, x, kv_heads, groups) for x in (k, v))
    hides = _hides(b, b.unsqueeze(b.range(b.size(k, 2)), 0), places, totals)
    hides = b.unsqueeze(hides, 1)
    summands = [b.x[10], hidden_where(b, hides, LOWEST)]
    y, scores, shares = attend(b, q, all_k, all_v, summands, b.attribute("softcap", 0.0), _sink(b, heads))
    kind = b.attribute("qk_output", 0)
    by_kind = ["", b("Where", hides, 0.0, scores), shares] if kind else [""]
    return [together(b, y), k, v, by_kind[kind]]


def _require_served(b: Body) -> None:
    names = [name for slot, name in _UNSERVED.items() if b.x[slot]]
    names += ["sliding_window_cache"] * bool(b.attribute("sliding_window_cache", 0))
    if names:
        raise b.refuse(f"its form with {' and '.join(names)} has no definition")


def _heads(b: Body, heads: int, kv_heads: int) -> tuple[str, str, str]:
    """q, k and v as heads; where no key is given, all are in the query."""
    if b.x[1]:
        return apart(b, b.x[0], heads), apart(b, b.x[1], kv_heads), apart(b, b.x[2], kv_heads)
    q, k, v = b.split(apart(b, b.x[0], heads + 2 * kv_heads), 1, (heads, kv_heads, kv_heads))
    return q, k, v


def _epsilons(b: Body) -> tuple[float, float]:
    both = b.attribute("qk_norm_epsilon", 1e-6)
    return b.attribute("q_norm_epsilon", both), b.attribute("k_norm_epsilon", both)


def _kept(b: Body, past: str, x: str, before: str, totals: str, longest: str) -> str:
    """The keys or values of the past with the new ones behind those of each row, and zeros behind these.

    before, totals: how many there are in each row without the new ones and with them, (batch, 1).
    """
    room = b.size(past, 2)
    places = b.unsqueeze(b.range(b("Max", room, longest)), 0)
    joint = b.concat(2, past, x)
    at = b("Where", b("Greater", before, places), places, b("Add", places, b("Sub", room, before)))
    at = b("Min", at, b("Sub", b.size(joint, 2), b.integers([1])))
    shape = b.concat(0, b.size(joint, 0), b.size(joint, 1), b.integers([1]), b.size(joint, 3))
    index = b("Mul", b.unsqueeze(at, 1, 3), b("Expand", b.integers(1), shape))
    filled = b.unsqueeze(b("Greater", totals, places), 1, 3)
    return b("Where", filled, b("GatherElements", joint, index, axis=2), 0.0)


def _hides(b: Body, keys: str, places: str, totals: str) -> str:
    """Whether a position (batch, positions) does not see a key (1, keys): (batch, positions, keys)."""
    keys, places = b.unsqueeze(keys, 1), b.unsqueeze(places, 2)
    if not b.attribute("causal", 1):
        return b("Not", b("Greater", b.unsqueeze(totals, 2), keys))
    hides = b("Greater", keys, places)
    if (window := b.attribute("local_window_size", -1)) > 0:
        nearest = b("Sub", places, b.integers(window))
        hides = b("Or", hides, b("Not", b("Greater", keys, nearest)))
    return hides


def _sink(b: Body, heads: int) -> str:
    """The score that no key has, (1, heads, 1, 1): of each head its own, or 0; "" for none."""
    if b.x[11]:
        return b.reshape(b.x[11], 1, heads, 1, 1)
    smooth = b.attribute("smooth_softmax", -1) > 0
    return b.floats([[[[0.0]]] * heads]) if smooth else ""
