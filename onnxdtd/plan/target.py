"""What a user may ask about an output: one element, several, a box, the difference of two classes.

A `Target` is the question; what it means for the values of one forward pass, `plan/seed.py` works out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.errors import TargetError
from onnxdtd.printing import is_whole
from onnxdtd.types import Dimension

Index = tuple[int, ...]
Coefficients = npt.NDArray[Any]
FORMS = (
    "an index (3), an index tuple (0,3), a slice (1,:,:), a class or output name, a name with index (logits:3), "
    "box:0, box:best, logits[last], A - B, A - rest, mask:FILE.npy, or top"
)


@dataclass(frozen=True)
class Part:
    """Elements by an index of which some entries are a slice, or None: the arg-max along that axis."""

    entries: tuple[int | slice | None, ...]


@dataclass(frozen=True)
class Box:
    """The class score of one detected box, counted by score from 0 on; `which` 0 is the best."""

    which: int


@dataclass(frozen=True)
class Last:
    """An element of the last position that is no padding; index: behind the position, None for its arg-max."""

    index: int | None = None


@dataclass(frozen=True, eq=False)
class Weights:
    """A number for each element: of one sample, for all alike, or of the whole output. said: in words."""

    coefficients: Coefficients
    said: str = "weights"


@dataclass(frozen=True)
class Against:
    """plus - minus; without minus the others, weighted by their softmax. said: in words."""

    plus: Target
    minus: Target | None
    said: str = "a difference"


@dataclass(frozen=True, eq=False)
class Function:
    """Coefficients by output name, from the outputs' shapes."""

    call: Callable[[Mapping[str, tuple[int, ...]]], Mapping[str, npt.ArrayLike]]


Form = Part | Box | Last | Weights | Against | Function


@dataclass(frozen=True)
class Target:
    """output: a name, or None for the default. index: behind the batch axis; or one such index per sample; None for
    `top`, what the output's shape and maker suggest. form: a question that is no plain index."""

    output: str | None = None
    index: Index | tuple[Index, ...] | None = None
    form: Form | None = None

    @property
    def per_sample(self) -> bool:
        """Whether each sample has its own index."""
        return self.index is not None and len(self.index) > 0 and isinstance(self.index[0], tuple)

    @property
    def shared(self) -> Index | None:
        """The one index of all samples; None where each has its own, or the question is another."""
        entries = tuple(entry for entry in self.index or () if not isinstance(entry, tuple))
        return entries if self.index is not None and len(entries) == len(self.index) else None

    @property
    def by_sample(self) -> bool:
        """Whether what is asked of a sample is known without the others."""
        if isinstance(self.form, Against):
            return self.form.plus.by_sample and (self.form.minus is None or self.form.minus.by_sample)
        return self.form is None or isinstance(self.form, Part)

    def of(self, samples: Sequence[int]) -> Target:
        """The same question, put to some of the samples."""
        if isinstance(form := self.form, Against):
            minus = form.minus and form.minus.of(samples)
            return replace(self, form=replace(form, plus=form.plus.of(samples), minus=minus))
        own = tuple(entry for entry in self.index or () if isinstance(entry, tuple))
        return replace(self, index=tuple(own[i] for i in samples)) if own else self

    @property
    def is_top(self) -> bool:
        """Whether nothing is asked for but what is explained by default."""
        return self.index is None and self.form is None


def parse_target(target: Any) -> Target:
    """From what Python callers say: None; 3; (0, 3); (1, slice(None)); a list or array with one index per sample; a
    function {output: shape} -> {output: coefficients}; a text as on the command line, which only a model's names can
    tell in full (`plan/target_text.py`). Raises TargetError for anything else."""
    match target:
        case None | Target():
            return target or Target()
        case str():
            from_text = plain_text(target)
            if from_text is not None:
                return from_text
        case bool():
            pass
        case int() | np.integer():
            return Target(None, (int(target),))
        case tuple() if target and all(isinstance(i, (int, np.integer, slice)) for i in target):
            return indexed(None, tuple(i if isinstance(i, slice) else int(i) for i in target))
        case list() | np.ndarray():
            rows = np.asarray(target)
            if rows.dtype.kind in "iu" and rows.ndim in (1, 2) and rows.size:
                return Target(None, tuple(tuple(int(i) for i in np.atleast_1d(row)) for row in rows))
        case _ if callable(target):
            return Target(form=Function(target))
    raise TargetError(f"target {target!r} is not understood; give {FORMS}")


def plain_text(text: str) -> Target | None:
    """The index, index tuple or slices that a text is; `NAME` and `NAME:INDEX`; None for other forms."""
    if text.strip() == "top":
        return Target()
    if (entries := index_entries(text)) is not None:
        return indexed(None, entries)
    name, colon, tail = text.rpartition(":")
    if colon and tail.strip() == "top":
        return Target(name or None)
    if colon and (entries := index_entries(tail)) is not None:
        return indexed(name or None, entries)
    return Target(text) if text.strip() and not colon else None


def index_entries(text: str) -> tuple[int | slice | None, ...] | None:
    """`0,3`, `1,:,2:4`, `3,top` as entries; None for a text that is no index. A single `a:b` is none either: it reads
    as an output and an index."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) == 1 and parts[0] != ":" and ":" in parts[0]:
        return None
    entries: list[int | slice | None] = []
    for part in parts:
        ends = part.split(":")
        if part == "top" and len(parts) > 1:
            entries.append(None)
        elif len(ends) == 1 and whole(part):
            entries.append(int(part))
        elif len(ends) == 2 and all(end == "" or whole(end) for end in ends):
            entries.append(slice(*(int(end) if end else None for end in ends)))
        else:
            return None
    return tuple(entries)


def whole(text: str) -> bool:
    """Whether a text is a whole number that an axis may have."""
    return is_whole(text.removeprefix("-"))


def indexed(output: str | None, entries: tuple[int | slice | None, ...]) -> Target:
    """The target of these entries: a plain index where each of them is a number."""
    numbers = tuple(entry for entry in entries if isinstance(entry, int))
    if len(numbers) == len(entries):
        return Target(output, numbers)
    return Target(output, form=Part(entries))


def described(form: Form) -> str:
    """A question that is no plain index, in words."""
    match form:
        case Part(entries):
            return ",".join("top" if k is None else _spelled(k) for k in entries)
        case Box(which):
            return f"box:{which}"
        case Last(index):
            return "[last]" if index is None else f"[last],{index}"
        case Weights(_, said) | Against(_, _, said):
            return said
    return "a function"


def _spelled(entry: int | slice) -> str:
    if isinstance(entry, int):
        return str(entry)
    return ":".join("" if end is None else str(end) for end in (entry.start, entry.stop))


def check_target(target: Target, shape: Sequence[int | str | None] | None) -> None:
    """Raise TargetError where the model's own output shape tells that there is no such element.

    Of an output whose batch axis may be another than the first, only the number of indices is judged.
    """
    sizes = tuple(n for n in (shape or ())[1:] if isinstance(n, int))
    numbers = tuple(k for k in target.index or () if isinstance(k, int))
    if shape and len(sizes) == len(shape) - 1 and numbers and isinstance(shape[0], (str, type(None))):
        checked(numbers, sizes)


def checked(index: Index, shape: tuple[int, ...]) -> Index:
    """The index, counted from the start, in an output of this shape; TargetError where it has no such element."""
    counted(index, shape)
    for i, (k, n) in enumerate(zip(index, shape, strict=True)):
        if not -n <= k < n:
            raise TargetError(
                f"target {k} is out of range: the output has {n} elements on axis {i + 1} (0..{n - 1})"
            )
    return tuple(k % n for k, n in zip(index, shape, strict=True))


def counted(index: Sequence[Any], shape: tuple[Dimension, ...]) -> None:
    """Raise TargetError unless there is one entry for each axis."""
    if len(index) == len(shape):
        return
    example = ",".join("0" * len(shape)) or "top"
    entries = ",".join("top" if k is None else ":" if isinstance(k, slice) else str(k) for k in index)
    count = "1 index" if len(index) == 1 else f"{len(index)} indices"
    raise TargetError(f"target {entries} has {count}, the output {len(shape)} behind the batch axis "
                      f"{shape}; give one such as {example}")  # fmt: skip
