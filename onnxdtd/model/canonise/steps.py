"""y = a x + c elementwise, by whichever op, and what it is in front of or behind an op that only moves values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce

import numpy as np

from onnxdtd.model.canonise.draft import Draft, static
from onnxdtd.model.graph import Node
from onnxdtd.model.units import is_step
from onnxdtd.types import Array, Dimension

_RESHAPING = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")
_SCALING = ("Mul", "Div", "Neg")
_LARGEST = 1 << 24
"""Elements up to which a constant is spread over the axes that a Reshape splits or joins."""


@dataclass(frozen=True)
class Step:
    """scale and shift: float64, broadcast to x as NumPy does, and never x to them."""

    scale: Array
    shift: Array

    @classmethod
    def read(cls, node: Node, rank: int | None, draft: Draft) -> Step | None:
        """The node's step over an x of this rank; None for another op, where a number is not finite, and where the
        constants copy x along an axis."""
        if draft.opset < 7 or node.domain or node.bias or not is_step(node, draft.constants):
            return None
        if node.op == "BatchNormalization":
            step = _of_batch_normalization(node, rank, draft)
        else:
            step = _of_arithmetic(node, draft)
        fits = step is not None and (rank is None or max(step.scale.ndim, step.shift.ndim) <= rank)
        if step is None or not fits or not step.is_finite or _copies(step, node, draft):
            return None
        return step

    @property
    def is_finite(self) -> bool:
        """Whether every number of it is."""
        return bool(np.isfinite(self.scale).all() and np.isfinite(self.shift).all())

    @property
    def only_shifts(self) -> bool:
        """Whether the scale is 1."""
        return bool((self.scale == 1).all())


def _copies(step: Step, node: Node, draft: Draft) -> bool:
    """Whether x has one element, or a number of them by a name, along an axis where a constant has several."""
    sizes = draft.value(data_of(node, draft)).shape or ()
    return any(
        size > 1 and (own == 1 or isinstance(own, str))
        for part in (step.scale, step.shift)
        for size, own in zip(part.shape[::-1], sizes[::-1], strict=False)
    )


def may_give_way(node: Node, draft: Draft) -> bool:
    """Whether another step may go through the node (`back` and `forth` say how), or find it merged away."""
    moves = not node.domain and (node.op in _RESHAPING or node.op == "Transpose")
    return moves or is_step(node, draft.constants)


def data_of(node: Node, draft: Draft) -> str:
    """The one value that a step or a move reads."""
    return next((value for value in node.inputs if value not in draft.constants), "")


def _of_batch_normalization(node: Node, rank: int | None, draft: Draft) -> Step | None:
    """a = gamma / sqrt(var + epsilon), c = beta - a mean, at inference with constants."""
    if rank is None or rank < 2 or any(node.outputs[1:]):
        return None
    if node.attributes.get("training_mode", 0) or not node.attributes.get("spatial", 1):
        return None
    constant = [array for slot in (1, 2, 3, 4) if (array := draft.array(node, slot)) is not None]
    if len(constant) < 4 or len({array.shape for array in constant}) > 1:
        return None
    gamma, beta, mean, variance = (
        array.astype(np.float64).reshape(-1, *[1] * (rank - 2)) for array in constant
    )
    with np.errstate(all="ignore"):
        scale = gamma / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
        return Step(scale, beta - scale * mean)


def _of_arithmetic(node: Node, draft: Draft) -> Step | None:
    """Of an Add, Sub, Sum, Mul, Div or Neg with constants."""
    numbers = [draft.constants[v].astype(np.float64) for v in node.inputs if v in draft.constants]
    one, zero = np.ones(()), np.zeros(())
    with np.errstate(all="ignore"):
        match node.op:
            case "Neg":
                return Step(-one, zero)
            case "Mul":
                return Step(numbers[0], zero)
            case "Div":
                return Step(1 / numbers[0], zero)
            case "Add" | "Sum":
                return Step(one, reduce(np.add, numbers, zero))
            case "Sub" if node.inputs[1] in draft.constants:
                return Step(one, -numbers[0])
            case "Sub":
                return Step(-one, numbers[0])
    return None


def back(move: Node, step: Step, draft: Draft) -> Step | None:
    """The step t' with t(move(x)) = move(t'(x)); None if the node is no move, or there is none."""
    x, y = data_of(move, draft), move.output
    if move.domain or draft.is_captured(y):
        return None
    if move.op in _SCALING and (by := Step.read(move, draft.rank(x), draft)) is not None:
        with np.errstate(all="ignore"):
            shifted = Step(step.scale, step.shift / by.scale if step.shift.any() else step.shift)
        return shifted if shifted.is_finite else None
    return _through(move, step, y, x, draft)


def forth(move: Node, value: str, step: Step, draft: Draft) -> Step | None:
    """The step t' with move(t(x)) = t'(move(x)), where t makes this value; None if the node is no move, or there is
    none."""
    x, y = data_of(move, draft), move.output
    if move.domain or draft.is_captured(y) or draft.is_captured(value):
        return None
    if move.op == "Concat":
        return _joined(move, value, step, draft)
    if move.op in _SCALING and (by := Step.read(move, draft.rank(x), draft)) is not None:
        return Step(step.scale, by.scale * step.shift)
    return _through(move, step, x, y, draft)


def _joined(join: Node, value: str, step: Step, draft: Draft) -> Step | None:
    """The step over what a Concat makes, of which other parts take nothing."""
    shapes = [draft.value(part).shape for part in join.inputs]
    if any(shape is None or len(shape) != len(shapes[0] or ()) for shape in shapes):
        return None
    rank = len(shapes[0] or ())
    axis = join.attributes["axis"] % rank
    lengths = static(shape[axis] for shape in shapes if shape is not None)
    parts = []
    for part, idle in ((step.scale, 1.0), (step.shift, 0.0)):
        if (part == idle).all():
            parts.append(np.full((1,) * rank, idle))
            continue
        aligned = part.reshape((1,) * (rank - part.ndim) + part.shape)
        around = (aligned.shape[:axis], aligned.shape[axis + 1 :])
        if lengths is None or math.prod((*around[0], sum(lengths), *around[1])) > _LARGEST:
            return None
        pieces = [
            np.broadcast_to(aligned if name == value else idle, (*around[0], n, *around[1]))
            for name, n in zip(join.inputs, lengths, strict=True)
        ]
        parts.append(np.concatenate(pieces, axis))
    return Step(*parts)


def _through(move: Node, step: Step, here: str, there: str, draft: Draft) -> Step | None:
    """The step over the value `there`, on the other side of a Transpose or a Reshape."""
    before, after = draft.value(here).shape, draft.value(there).shape
    if before is None or after is None or move.inputs[:1] != (data_of(move, draft),):
        return None
    parts = []
    for part in (step.scale, step.shift):
        aligned = part.reshape((1,) * (len(before) - part.ndim) + part.shape)
        if move.op == "Transpose":
            order = list(move.attributes.get("perm", range(len(before))[::-1]))
            parts.append(aligned.transpose(order if there == move.output else np.argsort(order)))
        elif move.op in _RESHAPING and (moved := _reshaped(aligned, before, after)) is not None:
            parts.append(moved)
    return Step(*parts) if len(parts) == 2 else None


def _reshaped(part: Array, before: tuple[Dimension, ...], after: tuple[Dimension, ...]) -> Array | None:
    """A constant that broadcasts to `before` as it broadcasts to `after`: the axes in front and behind that both
    have stay, those between are spread, and joined again where nothing varies along them."""
    head = _alike(before, after)
    tail = _alike(before[head:][::-1], after[head:][::-1])
    inner, outer = before[head : len(before) - tail], after[head : len(after) - tail]
    front, middle = part.shape[:head], part.shape[head : len(before) - tail]
    end = part.shape[len(before) - tail :]
    if math.prod(middle) == 1:
        return part.reshape(*front, *[1] * len(outer), *end)
    sizes, made = static(inner), static(outer)
    if sizes is None or made is None or math.prod(sizes) != math.prod(made):
        return None
    if any(n not in (1, size) for n, size in zip(middle, sizes, strict=True)):
        return None
    if math.prod((*front, *sizes, *end)) > _LARGEST:
        return None
    spread = np.broadcast_to(part, (*front, *sizes, *end)).reshape(*front, *made, *end)
    for axis in range(head, head + len(made)):
        first = spread.take([0], axis)
        spread = first if (spread == first).all() else spread
    return spread


def _alike(before: tuple[Dimension, ...], after: tuple[Dimension, ...]) -> int:
    """How many sizes from the first on are the same; one that is not known is where all behind it makes as much."""
    count = 0
    while count < min(len(before), len(after)):
        here, there = before[count], after[count]
        if (here is None or here != there) and not (
            not isinstance(here, int)
            and not isinstance(there, int)
            and (sizes := static(before[count + 1 :])) is not None
            and (made := static(after[count + 1 :])) is not None
            and math.prod(sizes) == math.prod(made)
        ):
            break
        count += 1
    return count
