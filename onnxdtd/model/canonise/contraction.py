"""y = sum over letters of w x: a MatMul of any rank, or an Einsum, with one constant operand.

Steps scale and shift along letters of x or y; a scale along one that w lacks gives it the letter:

    after:   a y + c      = (a w) x + (a b + c)
    before:  w (a x + c)  = (a w) x + (b + w c)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from string import ascii_letters

import numpy as np

from onnxdtd.model.canonise.draft import Draft
from onnxdtd.model.canonise.steps import Step
from onnxdtd.model.equation import letters
from onnxdtd.model.graph import Node
from onnxdtd.types import Array, Dimension

EINSUM_SINCE = 12
_FLOATS = (np.float16, np.float32, np.float64)
_LARGEST, _LARGEST_GROWN = 1 << 24, 1 << 20
"""Elements of weights that are still written anew for a scale, as memory holds two then; and with further letters."""


@dataclass(frozen=True)
class Contraction:
    """A node read so. x, w, y: letters of the data, the weights, the output; letters of w that are neither x's nor
    y's are axes of length 1 which broadcast. slot: of the data. sizes: of x's letters, None where not known."""

    node: Node
    slot: int
    x: str
    w: str
    y: str
    weight: Array
    sizes: dict[str, Dimension]

    @classmethod
    def read(cls, node: Node, draft: Draft) -> Contraction | None:
        """The node's contraction, None if it has none."""
        if node.domain or node.op not in ("MatMul", "Einsum") or len(node.inputs) != 2:
            return None
        slots = [slot for slot in (0, 1) if draft.array(node, slot) is None]
        shape = draft.value(node.inputs[slots[0]]).shape if len(slots) == 1 else None
        if shape is None:
            return None
        weight = draft.constants[node.inputs[1 - slots[0]]]
        if weight.dtype not in _FLOATS or not weight.size:
            return None
        ranks = [len(shape), weight.ndim][:: 1 if slots[0] == 0 else -1]
        terms, y = _matmul(*ranks) if node.op == "MatMul" else letters(node.attributes["equation"], ranks)
        x, w = terms[:: 1 if slots[0] == 0 else -1]
        if (len(x), len(w)) != (len(shape), weight.ndim):  # onnxruntime will refuse it
            return None
        sizes = dict(zip(x, shape, strict=True))
        spare = iter(c for c in ascii_letters if c not in x + w + y)
        w = "".join(next(spare) if n == 1 and c in x else c for c, n in zip(w, weight.shape, strict=True))
        broadcasts = any(sizes[c] in (1, None) and c in y for c in w if c in x)
        if broadcasts or any(len(set(term)) < len(term) for term in (x, w, y)):
            return None
        return cls(node, slots[0], x, w, y, weight, sizes)

    def after(self, step: Step, draft: Draft) -> Node | None:
        """scale * y + shift; None where it does not fit the output."""
        scale, shift = _aligned(step.scale, self.y), _aligned(step.shift, self.y)
        if scale is None or shift is None or (scaled := self._scaled(scale, self.y, draft)) is None:
            return None
        return self._written(*scaled, self._own_bias(draft) * scale + shift, draft)

    def before(self, step: Step, draft: Draft) -> Node | None:
        """w (scale * x + shift) + b; None where it does not fit x, or a size that counts is not known."""
        scale, shift = _aligned(step.scale, self.x), _aligned(step.shift, self.x)
        if scale is None or shift is None or (scaled := self._scaled(scale, self.x, draft)) is None:
            return None
        moved = self._of(shift) if shift.any() else np.zeros(())
        return None if moved is None else self._written(*scaled, self._own_bias(draft) + moved, draft)

    def _own_bias(self, draft: Draft) -> Array:
        return draft.constants[self.node.bias].astype(np.float64) if self.node.bias else np.zeros(())

    def _scaled(self, scale: Array, term: str, draft: Draft) -> tuple[Array, str] | None:
        """The weights times a scale along the letters of a term, and their letters."""
        if (scale == 1).all():
            return self.weight, self.w
        own = dict(zip(self.w, self.weight.shape, strict=True))
        along = {c: n for c, n in zip(term, scale.shape, strict=True) if n > 1}
        if any(n != own.get(c, self.sizes.get(c)) for c, n in along.items()):
            return None
        more = "".join(c for c in along if c not in own)
        grown = more + self.w
        size = math.prod(along[c] for c in more) * self.weight.size
        if size > (_LARGEST_GROWN if more else _LARGEST) or draft.keeps(self.weight):
            return None
        if more and draft.opset < EINSUM_SINCE:
            return None
        order = sorted(range(len(along)), key=lambda i: grown.index(list(along)[i]))
        factor = scale.reshape(tuple(along.values())).transpose(order)
        factor = factor.reshape([along.get(c, 1) for c in grown])
        with np.errstate(over="ignore"):
            weight = np.multiply(self.weight, factor, dtype=np.float64).astype(self.weight.dtype)
        return weight, grown

    def _of(self, shift: Array) -> Array | None:
        """w c, of length 1 along letters of y where c does not vary."""
        own = dict(zip(self.w, self.weight.shape, strict=True))
        lengths: list[int] = []
        for c, n in zip(self.x, shift.shape, strict=True):
            size = own.get(c, n if c in self.y else self.sizes[c])
            if not isinstance(size, int) or n not in (1, size) or (n > 1 and self.sizes[c] not in (n, None)):
                return None
            lengths.append(size)
        equation = f"{self.x},{self.w}->{self.y}"
        spread = np.broadcast_to(shift, lengths)
        moved = np.einsum(equation, spread, self.weight, dtype=np.float64, casting="same_kind")
        return np.asarray(moved)

    def _written(self, weight: Array, w: str, bias: Array, draft: Draft) -> Node | None:
        """The node with other weights and a bias; an Einsum where the weights have more letters than they had."""
        shape = draft.value(self.node.output).shape
        with np.errstate(over="ignore"):
            stored = bias.astype(self.weight.dtype)
        if not (np.isfinite(stored).all() and (weight is self.weight or np.isfinite(weight).all())):
            return None
        if stored.any() and not fits(stored.shape, shape):
            return None
        inputs, node = list(self.node.inputs), self.node
        if w != self.w:
            kept = "".join(c for c in w if c in self.x + self.y)
            weight = weight.reshape([n for c, n in zip(w, weight.shape, strict=True) if c in kept])
            terms = [self.x, kept] if self.slot == 0 else [kept, self.x]
            node = replace(node, op="Einsum", attributes={"equation": f"{','.join(terms)}->{self.y}"})
        if weight is not self.weight:
            place = 1 - self.slot
            inputs[place] = draft.constant(f"{inputs[place]}/folded", weight)
        name = draft.constant(f"{node.name}/bias", stored) if stored.any() else ""
        return replace(node, inputs=tuple(inputs), bias=name)


def fits(shape: tuple[int, ...], output: tuple[Dimension, ...] | None) -> bool:
    """Whether an array of this shape broadcasts to the output without making it larger."""
    return (
        output is not None
        and len(shape) <= len(output)
        and all(n in (1, size) for n, size in zip(shape[::-1], output[::-1], strict=False))
    )


def _aligned(part: Array, term: str) -> Array | None:
    """The array with an axis for each letter."""
    return part.reshape((1,) * (len(term) - part.ndim) + part.shape) if part.ndim <= len(term) else None


def _matmul(left: int, right: int) -> tuple[list[str], str]:
    """The letters of the operands of a MatMul, by their ranks, and those of the product."""
    most = max(left, right, 2) - 2
    batch = ascii_letters[:most]
    first = batch[most - max(left - 2, 0) :] + ("RI" if left > 1 else "I")
    second = batch[most - max(right - 2, 0) :] + ("IC" if right > 1 else "I")
    return [first, second], batch + "R" * (left > 1) + "C" * (right > 1)
