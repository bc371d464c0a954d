"""`summarise`: the rows of a job added up, one after the other."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from onnxdtd.datasets import Results
from onnxdtd.errors import InputError
from onnxdtd.inputs import Tokenizer
from onnxdtd.lessons.classes import class_of
from onnxdtd.lessons.lesson import Lesson
from onnxdtd.lessons.parts import TOKEN, part_name, parts_of
from onnxdtd.lessons.tokens import Tokens, tokens_of
from onnxdtd.types import Array


def summarise(
    results: Results | str | Path, *, tokenizer: Tokenizer | None = None, model: Any = None, data: Any = None
) -> Lesson:
    """The lesson of a job. A row's class is its label, else what was predicted, else what was explained.

    With r the relevance of a row, part p gets sum over p of |r|, averaged over the rows of a class. Of a picture the
    parts are channels and the cells of a grid of 7 by 7; of two other axes the last is that of features, the first
    that of positions; of one, features. Of a text they are positions and tokens, as far as its model and its data are
    where the manifest says, or are named (model, data); tokenizer: by which tokens are written instead of their
    numbers. Raises InputError where no relevance is stored, and what these raise.
    """
    results = results if isinstance(results, Results) else Results(results)
    if not any(name.startswith("relevance.") for name in results.columns):
        raise InputError(f"'{results.folder}' holds no relevance: run batch with --store relevance")
    tokens = tokens_of(results, tokenizer, model, data)
    rows: Counter[str] = Counter()
    fired: dict[str, Counter[str]] = defaultdict(Counter)
    sums = Sums()
    for row, words in zip(results, _words(results, tokens), strict=False):
        name = class_of(row)
        rows[name] += 1
        fired[name].update(row["findings"])
        sums.add(name, row["relevance"], words)
    return Lesson(
        dict(sorted(rows.items())),
        {
            name: {f: n / rows[name] for f, n in sorted(counts.items())}
            for name, counts in sorted(fired.items())
        },
        (*sums.parts(rows, results.manifest.get("features")), *sums.words(rows, tokens)),
        sums.left_out,
        results.folder,
    )


def _words(results: Results, tokens: Tokens | None) -> Iterator[dict[str, Array]]:
    """The tokens of each row, by input; none where inputs are no texts."""
    return itertools.repeat({}) if tokens is None else tokens.read(results)


class Sums:
    """Absolute relevance and its share of the row's, (2, parts), by class, input and kind; of tokens by number."""

    def __init__(self) -> None:
        self._parts: dict[tuple[str, str, str], Array] = {}
        self._tokens: dict[tuple[str, str], dict[int, Array]] = defaultdict(dict)
        self.left_out = 0

    def add(self, name: str, relevance: Mapping[str, Array], words: Mapping[str, Array]) -> None:
        """One row more, of class `name`."""
        sizes = {of: np.abs(r.astype(np.float64)) for of, r in relevance.items()}
        total = math.fsum(float(r.sum()) for r in sizes.values() if np.isfinite(r).all())
        if not all(np.isfinite(r).all() for r in sizes.values()):
            self.left_out += 1
            return
        for of, r in sizes.items():
            for kind, amounts in parts_of(r, of in words).items():
                both = np.stack([amounts, amounts / total if total else np.zeros_like(amounts)])
                before = self._parts.get((name, of, kind), np.zeros((2, 0)))
                size = max(before.shape[1], both.shape[1])  # rows of texts differ in length
                wide, more = (np.pad(a, [(0, 0), (0, size - a.shape[1])]) for a in (before, both))
                self._parts[name, of, kind] = wide + more
        for of, numbers in words.items():
            counted = self._tokens[name, of]
            for number, amount in zip(numbers.tolist(), sizes[of].reshape(-1).tolist(), strict=True):
                both = np.array([amount, amount / total if total else 0.0])
                counted[number] = counted.get(number, np.zeros(2)) + both

    def parts(self, rows: Mapping[str, int], features: list[str] | None) -> Iterator[dict[str, Any]]:
        """A mapping for each part but tokens."""
        for (name, of, kind), (means, shares) in sorted(self._parts.items()):
            for i, (mean, share) in enumerate(zip(means.tolist(), shares.tolist(), strict=True)):
                part = part_name(kind, i, features, len(means))
                yield _line(name, of, kind, part, mean, share, rows[name])

    def words(self, rows: Mapping[str, int], tokens: Tokens | None) -> Iterator[dict[str, Any]]:
        """A mapping for each token, those of the largest mean first."""
        for (name, of), counted in sorted(self._tokens.items()):
            for number, (mean, share) in sorted(counted.items(), key=lambda entry: (-entry[1][0], entry[0])):
                part = str(number) if tokens is None else tokens.name(number)
                yield _line(name, of, TOKEN, part, float(mean), float(share), rows[name])


def _line(name: str, of: str, kind: str, part: str, mean: float, share: float, rows: int) -> dict[str, Any]:
    return {
        "class": name,
        "input": of,
        "kind": kind,
        "part": part,
        "mean": mean / rows,
        "share": share / rows,
    }
