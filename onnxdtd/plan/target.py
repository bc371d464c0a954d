"""What is explained: which element of the output, in each sample, and with how much relevance to start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from onnxdtd.errors import TargetError

Index = tuple[int, ...]


@dataclass(frozen=True)
class Target:
    """output: a name, or None for the default. index: behind the batch axis, None for `top` (the arg-max of the
    last axis, each sample and position its own); or one such index per sample."""

    output: str | None = None
    index: Index | tuple[Index, ...] | None = None

    @property
    def per_sample(self) -> bool:
        """Whether each sample has its own index."""
        return self.index is not None and len(self.index) > 0 and isinstance(self.index[0], tuple)


def parse_target(target: Any) -> Target:
    """From what a user may say: None or `top`; 3; (0, 3); "3"; "0,3"; "logits"; "logits:3"; "logits:top"; a list
    or array with one index per sample. Raises TargetError for anything else."""
    match target:
        case None | Target():
            return target or Target()
        case str():
            return _parse_text(target)
        case bool():
            pass
        case int() | np.integer():
            return Target(None, (int(target),))
        case tuple() if all(isinstance(i, (int, np.integer)) for i in target) and target:
            return Target(None, tuple(int(i) for i in target))
        case list() | np.ndarray():
            rows = np.asarray(target)
            if rows.dtype.kind in "iu" and rows.ndim in (1, 2) and rows.size:
                return Target(None, tuple(tuple(int(i) for i in np.atleast_1d(row)) for row in rows))
    raise TargetError(f"target {target!r} is not understood; give {FORMS}")


FORMS = "an index (3), an index tuple (0,3), an output name (logits), a name with index (logits:3), or top"


def _parse_text(text: str) -> Target:
    name, colon, tail = text.rpartition(":")
    where = tail if colon else text
    if where.strip() == "top":
        return Target(name or None)
    parts = where.split(",")
    if all(p.strip().lstrip("-").isdigit() for p in parts):
        return Target(name or None, tuple(int(p) for p in parts))
    return Target(text)


def seed_mask(target: Target, output: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """True at the elements of the output (N, ...) that are explained. Raises TargetError out of range."""
    if not output.size:
        raise TargetError(f"the output is empty, of shape {output.shape}: nothing to explain")
    if output.ndim == 0:
        if target.index not in (None, ()):
            raise TargetError("the output is a single number: the only target is top")
        return np.ones((), bool)
    if target.index is None:
        if output.ndim == 1:
            return np.ones(output.shape, bool)
        return np.asarray(output.argmax(axis=-1)[..., None] == np.arange(output.shape[-1]))
    mask = np.zeros(output.shape, bool)
    if target.per_sample:
        if len(target.index) != len(output):
            raise TargetError(
                f"{len(target.index)} targets for {len(output)} samples; give one each, or one for all"
            )
        rows: Sequence[Any] = target.index
    else:
        rows = [target.index] * len(output)
    for i, index in enumerate(rows):
        mask[(i, *checked(index, output.shape[1:]))] = True
    return mask


def check_target(target: Target, shape: Sequence[int | str | None] | None) -> None:
    """Raise TargetError where the model's own output shape tells that there is no such element."""
    sizes = tuple(n for n in (shape or ())[1:] if isinstance(n, int))
    whole = tuple(k for k in target.index or () if isinstance(k, int))
    if shape and len(sizes) == len(shape) - 1 and whole:
        checked(whole, sizes)


def checked(index: Index, shape: tuple[int, ...]) -> Index:
    """The index, counted from the start, in an output of this shape; TargetError where it has no such element."""
    if len(index) != len(shape):
        example = ",".join("0" * len(shape)) or "top"
        given = ",".join(map(str, index))
        count = "1 index" if len(index) == 1 else f"{len(index)} indices"
        raise TargetError(f"target {given} has {count}, the output {len(shape)} behind the batch axis "
                          f"{shape}; give one such as {example}")  # fmt: skip
    for i, (k, n) in enumerate(zip(index, shape, strict=True)):
        if not -n <= k < n:
            raise TargetError(
                f"target {k} is out of range: the output has {n} elements on axis {i + 1} (0..{n - 1})"
            )
    return tuple(k % n for k, n in zip(index, shape, strict=True))


def seed_relevance(
    kind: Literal["value", "positive", "one"], mask: npt.NDArray[np.bool_], logits: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    """The relevance that the walk starts with: at the mask the logit, max(0, logit), or 1; 0 elsewhere."""
    match kind:
        case "one":
            return mask.astype(logits.dtype)
        case "positive":
            logits = np.maximum(logits, 0)
    return np.where(mask, logits, np.zeros((), logits.dtype))


def explained(mask: npt.NDArray[np.bool_]) -> tuple[tuple[Index, ...], ...]:
    """The explained indices of each sample, behind the batch axis."""
    if mask.ndim == 0:
        return (((),),)
    found: list[list[Index]] = [[] for _ in mask]
    for sample, *index in zip(*(axis.tolist() for axis in np.nonzero(mask)), strict=True):
        found[sample].append(tuple(index))
    return tuple(map(tuple, found))


def per_sample(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """(N,), the sum over each sample's elements."""
    return np.asarray(rows(values, samples(values)).sum(axis=1, dtype=np.float64))


def samples(output: npt.NDArray[Any]) -> int:
    """The number of samples in an output: the length of its first axis, 1 for a single number."""
    return len(output) if output.ndim else 1


def rows(array: npt.NDArray[Any], samples: int) -> npt.NDArray[Any]:
    """(samples, D): each sample's part of the array. One whose first axis does not count the samples, such as the
    relevance of an input that all of them share, stands whole in each row."""
    if array.ndim and len(array) == samples:
        return array.reshape(samples, -1)
    return np.broadcast_to(array.reshape(1, -1), (samples, array.size))
