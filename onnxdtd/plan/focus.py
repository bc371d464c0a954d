"""What a user asks of values inside the model: relevance to keep, channels to restrict it to, where it starts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from onnxdtd.errors import Faults, InputError, UsageError
from onnxdtd.model.graph import Graph
from onnxdtd.model.names import values_named
from onnxdtd.plan.plan import Inside
from onnxdtd.types import Array

Channels = int | Sequence[int]
Only = Mapping[str, Channels | Mapping[int, Channels]]
CHANNELS = 1
"""The axis that channels lie on, where no other is named: of (N, C, H, W), and of the features of (N, F)."""


class Asks(TypedDict, total=False):
    """What a user may ask of values inside, by names and patterns."""

    keep: str | Sequence[str]
    only: Only | None
    start: Mapping[str, npt.ArrayLike] | None


@dataclass(frozen=True, eq=False)
class Focus:
    """keep: the values whose relevance is returned. only: of each value and axis, the channels at which relevance
    goes on. start: the relevance that begins at each value, where it does not begin at the target."""

    keep: tuple[str, ...] = ()
    only: Mapping[str, Mapping[int, tuple[int, ...]]] = field(default_factory=dict)
    start: Mapping[str, Array] = field(default_factory=dict)

    @property
    def inside(self) -> Inside:
        """What of it shapes a plan: the names and axes."""
        masked = tuple((name, tuple(axes)) for name, axes in self.only.items())
        return Inside(self.keep, masked, tuple(self.start))

    def masks(self, shapes: Mapping[str, Sequence[int]]) -> dict[str, npt.NDArray[np.bool_]]:
        """For each restricted value True at its channels; 1 long on all other axes. shapes: of the values in this
        run.

        Raises UsageError, a line for each axis or channel that is not there.
        """
        masks, faults = {}, Faults()
        for name, axes in self.only.items():
            with faults:
                masks[name] = _mask(name, axes, shapes[name])
        faults.stop()
        return masks

    def begin(self, values: Mapping[str, Any]) -> dict[str, Array]:
        """The relevance that starts at each value, shaped like it and of its type. values: have shape and dtype.

        Raises InputError for one that is neither shaped like its value nor like one sample of it.
        """
        begins, faults = {}, Faults()
        for name, r in self.start.items():
            shape = tuple(values[name].shape)
            with faults:
                if r.shape not in (shape, (1, *shape[1:]), shape[1:]):
                    raise InputError(
                        f"start: '{name}' is of shape {shape}, the relevance of shape {r.shape}; give one number for "
                        f"each element, or one sample {shape[1:]} for all"
                    )
                begins[name] = np.broadcast_to(r, shape).astype(values[name].dtype)
        faults.stop()
        return begins


NOWHERE = Focus()


def focus_of(
    graph: Graph,
    keep: str | Sequence[str] = (),
    only: Only | None = None,
    start: Mapping[str, npt.ArrayLike] | None = None,
    arrives: Collection[str] | None = None,
) -> Focus:
    """The names and patterns of a user, as values of the graph; see `Explainer.__call__`.

    arrives: the values that relevance comes to, the only ones that a pattern means. Raises UsageError, a line for
    each name that is not there, and for channels and relevance that cannot be right.
    """
    faults = Faults()
    kept: list[str] = []
    restricted: dict[str, dict[int, tuple[int, ...]]] = {}
    begins: dict[str, Array] = {}
    for pattern in [keep] if isinstance(keep, str) else keep:
        with faults:
            kept += _values(graph, pattern, arrives)
    for pattern, channels in (only or {}).items():
        with faults:
            axes = _axes(pattern, channels)
            for name in _inner(graph, _values(graph, pattern, arrives), "only"):
                for axis, places in axes.items():  # a value may be named twice, once by its node
                    before = restricted.setdefault(name, {}).get(axis, ())
                    restricted[name][axis] = tuple(sorted({*before, *places}))
    with faults:
        begins = start_values(graph, start)
    faults.stop()
    return Focus(tuple(dict.fromkeys(kept)), restricted, begins)


def start_values(graph: Graph, start: Mapping[str, npt.ArrayLike] | None) -> dict[str, Array]:
    """The relevance that starts, by value. Raises UsageError."""
    begins, faults = {}, Faults()
    for pattern, r in (start or {}).items():
        with faults:
            relevance = _relevance(pattern, r)
            begins.update(dict.fromkeys(_inner(graph, _values(graph, pattern, None), "start"), relevance))
    faults.stop()
    return begins


def _values(graph: Graph, pattern: str, arrives: Collection[str] | None) -> list[str]:
    """The values that a pattern means; those that relevance comes to, where there is one."""
    names = values_named(graph, [pattern])
    return [name for name in names if arrives is None or name in arrives] or names


def _inner(graph: Graph, names: list[str], what: str) -> list[str]:
    inputs = [name for name in names if name in graph.inputs]
    if inputs and len(inputs) == len(names):
        raise UsageError(
            f"{what}: '{inputs[0]}' is an input of the model, where relevance ends; name a value inside it"
        )
    return [name for name in names if name not in inputs]


def _axes(name: str, channels: Channels | Mapping[int, Channels]) -> dict[int, tuple[int, ...]]:
    axes = channels if isinstance(channels, Mapping) else {CHANNELS: channels}
    return {_whole(name, axis): _channels(name, places) for axis, places in axes.items()}


def _channels(name: str, channels: Channels) -> tuple[int, ...]:
    array = np.atleast_1d(np.asarray(channels))
    if array.ndim != 1 or not array.size or array.dtype.kind not in "iu" or (array < 0).any():
        raise UsageError(
            f"only: the channels of '{name}' are whole numbers from 0 on, such as [3, 17], not {channels!r}"
        )
    return tuple(sorted({*array.tolist()}))


def _whole(name: str, axis: Any) -> int:
    if not isinstance(axis, (int, np.integer)) or isinstance(axis, bool):
        raise UsageError(f"only: an axis of '{name}' is a whole number, not {axis!r}")
    return int(axis)


def _relevance(name: str, r: npt.ArrayLike) -> Array:
    try:
        array = np.asarray(r, np.float64)
    except (TypeError, ValueError):
        raise InputError(f"start: the relevance of '{name}' is no array of numbers") from None
    if not np.isfinite(array).all():
        raise InputError(f"start: the relevance of '{name}' is not finite everywhere")
    return array


def _mask(name: str, axes: Mapping[int, tuple[int, ...]], shape: Sequence[int]) -> npt.NDArray[np.bool_]:
    mask = np.ones((1,) * len(shape), bool)
    for axis, channels in axes.items():
        if not -len(shape) <= axis < len(shape):
            raise UsageError(f"only: '{name}' of shape {tuple(shape)} has no axis {axis}")
        if channels[-1] >= shape[axis]:
            raise UsageError(
                f"only: '{name}' has {shape[axis]} channels on axis {axis}, 0 to {shape[axis] - 1}; there is no "
                f"{channels[-1]}"
            )
        chosen = np.zeros(shape[axis], bool)
        chosen[list(channels)] = True
        mask = mask & chosen.reshape([-1 if a == axis % len(shape) else 1 for a in range(len(shape))])
    return mask
