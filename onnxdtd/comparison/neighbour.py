"""The black-box neighbours: methods that only ask the model for probabilities, through packages of their own."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import inspect
import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from onnxdtd.comparison.parts import Parts
from onnxdtd.errors import UsageError
from onnxdtd.predict import Predict
from onnxdtd.types import Array

T = TypeVar("T", bound=Callable[..., Any])

EXTRA = 'pip install "onnxdtd[compare]"'
OWN = ("seed", "progress")


@dataclass(frozen=True)
class Question:
    """Why the model gives one class its probability at one input.

    parts: the input, cut into what is shown or covered together. label: the class. background: rows (K, columns) of
    a table, None for any other input or where none are given. names: of the columns.
    """

    predict: Predict
    parts: Parts
    label: int
    background: Array | None
    names: tuple[str, ...] | None

    def probabilities(self, shown: Array) -> Array:
        """(M, classes) of the input with only some of its parts shown: (M, parts), not 0 where shown."""
        return np.concatenate([self.predict(self.parts.at(rows)) for rows in _chunks(shown)])


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One neighbour: `explain(question, *, seed, **options)` returns relevance shaped like the input, and extras.

    package: who makes it, with its licence. modules: what must be importable. adds_up: relevance is meant to sum to
    the probability less that of the covered input.
    """

    name: str
    explain: Callable[..., tuple[Array, dict[str, Any]]]
    package: str
    modules: tuple[str, ...]
    adds_up: bool
    options: Mapping[str, Any]
    doc: str

    @property
    def installed(self) -> bool:
        """Whether its packages are there."""
        return all(importlib.util.find_spec(module) is not None for module in self.modules)

    def check(self, options: Mapping[str, Any] | None = None) -> None:
        """Raise UsageError where it is not installed, or has no such option."""
        if not self.installed:
            raise UsageError(f"{self.name} needs {self.package}, not installed here: {EXTRA}")
        unknown = sorted(set(options or ()) - set(self.options))
        if unknown:
            takes = ", ".join(self.options)
            raise UsageError(f"{self.name} has no option {', '.join(unknown)}; it takes {takes}")


NEIGHBOURS: dict[str, Neighbour] = {}


def neighbour(name: str, package: str, *modules: str, adds_up: bool = False) -> Callable[[T], T]:
    """Register a neighbour; its keyword-only parameters, `seed` aside, are its options."""

    def register(explain: T) -> T:
        parameters = inspect.signature(explain).parameters.values()
        options = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in OWN}
        doc = (explain.__doc__ or "").strip().split("\n")[0]
        NEIGHBOURS[name] = Neighbour(name, explain, package, modules, adds_up, options, doc)
        return explain

    return register


@contextlib.contextmanager
def quiet(seed: int) -> Iterator[None]:
    """Seeds NumPy's global generator, which these packages draw from, and leaves it as it was; their progress bars
    and warnings stay away."""
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        np.random.set_state(state)


def with_background(question: Question, rows: Array) -> Question:
    """The question with the rows that stand for "not this value"."""
    return dataclasses.replace(question, background=rows)


def _chunks(shown: Array, rows: int = 256) -> Iterator[Array]:
    for start in range(0, len(shown), rows):
        yield shown[start : start + rows]
