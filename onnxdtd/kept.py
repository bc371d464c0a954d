"""Relevance that was kept at values inside, summed up: by layer, by head, by token."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from onnxdtd.printing import is_whole
from onnxdtd.types import Array, Arrays


class Sums(NamedTuple):
    """relevance: sums of R; size: sums of |R|, which do not cancel. Numbers, or one for each head or token."""

    relevance: Any
    size: Any


@dataclass(frozen=True, repr=False)
class KeptTables:
    """Of each kept value in one sample, by its name: layers, all of it; heads, (H,); tokens, (T,): of attention
    weights (H, Q, K) by the token k that is looked at. Only of values that have heads, or an axis of tokens."""

    layers: Mapping[str, Sums]
    heads: Mapping[str, Sums]
    tokens: Mapping[str, Sums]

    def lines(self, names: tuple[str, ...] = ()) -> dict[str, list[dict[str, Any]]]:
        """The rows of each table that is not empty, by its name; names: of the tokens."""
        made = {"layers": [{"value": v, **_row(s)} for v, s in self.layers.items()]}
        for kind, one in (("heads", "head"), ("tokens", "position")):
            rows = [
                {"value": value, one: i, **({"token": names[i]} if one == "position" and names else {}),
                 "relevance": float(relevance), "size": float(size)}
                for value, sums in getattr(self, kind).items()
                for i, (relevance, size) in enumerate(zip(*sums, strict=True))
            ]  # fmt: skip
            made[kind] = rows
        return {kind: rows for kind, rows in made.items() if rows}

    def __repr__(self) -> str:
        lines = [f"{'relevance':>12} {'|relevance|':>12}  value"]
        lines += [f"{s.relevance:>12.4g} {s.size:>12.4g}  {value}" for value, s in self.layers.items()]
        for value, sums in self.heads.items():
            lines.append(f"heads of {value}: " + ", ".join(f"{r:.3g}" for r in sums.relevance))
        return "\n".join(lines)


def tables(kept: Arrays, sample: int, count: int, length: int) -> KeptTables:
    """The tables of one of `count` samples. length: of the tokens that were explained, 0 where none were.

    A value (N, H, ...) of four axes has heads, and so has (N H, T, ...), as exporters write them. The axis that is as
    long as the tokens are is theirs; of heads the last of several, which in attention weights is the keys'.
    """
    layers, heads, tokens = dict[str, Sums](), dict[str, Sums](), dict[str, Sums]()
    for name, whole in sorted(kept.items(), key=lambda entry: _in_order(entry[0])):
        r = _of_sample(whole, sample, count, length)
        if r is None:
            continue
        layers[name] = _sums(r, ())
        apart = r.ndim == 3
        if apart:
            heads[name] = _sums(r, (0,))
        axes = [axis for axis in range(apart, r.ndim) if length and r.shape[axis] == length]
        if axes:
            tokens[name] = _sums(r, (axes[-1] if apart else axes[0],))
    return KeptTables(layers, heads, tokens)


def _in_order(name: str) -> list[tuple[int, str]]:
    """By the numbers in a name, so that layer 10 comes behind layer 2."""
    return [(int(part), "") if is_whole(part) else (-1, part) for part in re.split(r"(\d+)", name)]


def _of_sample(r: Array, sample: int, count: int, length: int) -> Array | None:
    """One sample's part, without the batch axis; None where none of it can be told apart."""
    if not r.ndim:
        return r if count == 1 else None
    if len(r) == count:
        return np.asarray(r[sample])
    if (
        r.ndim == 3 and r.shape[1] == length and len(r) % count == 0
    ):  # the heads of each, one sample behind another
        return np.asarray(r.reshape(count, -1, *r.shape[1:])[sample])
    return r if count == 1 else None


def _sums(r: Array, kept: tuple[int, ...]) -> Sums:
    axes = tuple(axis for axis in range(r.ndim) if axis not in kept)
    return Sums(r.sum(axis=axes, dtype=np.float64), np.abs(r).sum(axis=axes, dtype=np.float64))


def _row(sums: Sums) -> dict[str, float]:
    return {"relevance": float(sums.relevance), "size": float(sums.size)}
