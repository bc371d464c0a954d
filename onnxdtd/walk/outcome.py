"""What a run of an engine is asked, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from onnxdtd.linear import Claim
from onnxdtd.plan.seed import Seed
from onnxdtd.plan.step import Step
from onnxdtd.plan.target import Target
from onnxdtd.types import Arrays
from onnxdtd.walk.backward import tell_nobody, watch_nothing

SUMS_BYTES = 1 << 28
"""Of activations, up to which the sums made of them are kept beside."""


@dataclass(frozen=True)
class Outcome:
    """outputs: of the model. logits: the explained value. seed: what of it is explained. relevance: of each float
    input. kept: of each value that the plan keeps. begun: where relevance started inside, of each sample, how
    much. constants: what those of each kind took, of each sample, where no books are kept of each node."""

    outputs: dict[str, npt.NDArray[Any]]
    logits: npt.NDArray[Any]
    seed: Seed
    relevance: dict[str, npt.NDArray[Any]]
    kept: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    begun: npt.NDArray[np.float64] | None = None
    constants: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass
class Snapshot:
    """The inside of a model at one input, filled by the NumPy engine for further walks from there.

    values: every activation that the walk reads. sums: what rules made of them, None where that takes much memory.
    """

    values: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    sums: dict[Any, Any] | None = None

    def fill(self, values: dict[str, npt.NDArray[Any]]) -> None:
        """Take the values, and room for sums, which are about as large."""
        self.values = values
        arrays = [a for value in values.values() for a in (value if isinstance(value, list) else [value])]
        self.sums = {} if sum(array.nbytes for array in arrays) <= SUMS_BYTES else None


class Books(Protocol):
    """Who is told of a walk, see `backward.Strand`."""

    def observe(self, step: Step, r: Any, shares: tuple[Any, ...]) -> None:
        """Told of each node."""

    def listen(self, step: Step, output: str) -> Claim:
        """Who is told of a node's losses."""

    def part(self, feeds: Arrays) -> Books:
        """Books of some of the samples."""

    def join(self, parts: Sequence[Books]) -> None:
        """Take in the books of all samples, part by part."""


class Nobody:
    """Books that nobody keeps."""

    observe, listen = staticmethod(watch_nothing), staticmethod(tell_nobody)

    def part(self, feeds: Arrays) -> Books:
        """The same."""
        return self

    def join(self, parts: Sequence[Books]) -> None:
        """Nothing."""


@dataclass(frozen=True, eq=False)
class Asked:
    """A target, and who keeps the books of the walk from it: of the NumPy engine only."""

    target: Target
    books: Books = Nobody()  # noqa: RUF009 (it has no state)

    def of(self, rows: npt.NDArray[np.intp], feeds: Arrays) -> Asked:
        """The same of some of the samples, which feeds are of."""
        return Asked(self.target.of(rows.tolist()), self.books.part(feeds))
