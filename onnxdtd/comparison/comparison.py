"""The result of a comparison and its folder: compare.json, arrays, compare.png. docs/compare.md tells all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.comparison.clock import Timing
from onnxdtd.comparison.picture import Sheet, draw
from onnxdtd.errors import InputError
from onnxdtd.folder import plain, read_manifest, write_folder
from onnxdtd.hints import converted, made
from onnxdtd.npz import describe, read_arrays, write_arrays
from onnxdtd.types import Array

SCHEMA = "onnxdtd.compare/1"
MANIFEST = "compare.json"
PICTURE = "compare.png"
RELEVANCE, INPUTS = "relevance.npz", "inputs.npz"


@dataclass(frozen=True, eq=False)
class Cell:
    """One method's answer for one target. relevance: by input name, one sample, without the batch axis.

    started: the relevance that the method shares out, arrived: what the inputs got of it; adds_up: whether the
    method means these to be equal. extras: what it found out besides. method: the name that the result bears.
    """

    relevance: Mapping[str, Array]
    started: float
    arrived: float
    adds_up: bool
    extras: Mapping[str, Any]
    warnings: tuple[str, ...]
    method: str = ""

    @property
    def share(self) -> float | None:
        """arrived / started, None where the method does not mean them to be equal, or nothing started."""
        return self.arrived / self.started if self.adds_up and self.started else None


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several methods, side by side, for one sample and one or more targets.

    targets: in words; values: their logits. cells: by (target's number, method). similarity: for each target by
    measure (`cosine`, `spearman`, `top10`) the matrix (methods, methods). forward, timings: wall time of the model's
    forward pass, and of each method for the first target that it explains. refused: methods that the model or the
    target does not allow, with the reason. equal: methods that are not shown, since another one, whose name follows,
    gives every target the same relevance. covers: how the neighbours cover parts of the input, "" without them.
    features: names of a table's columns.
    """

    methods: tuple[str, ...]
    targets: tuple[str, ...]
    values: tuple[float, ...]
    cells: Mapping[tuple[int, str], Cell]
    similarity: tuple[Mapping[str, Array], ...]
    forward: Timing
    timings: Mapping[str, Timing]
    refused: Mapping[str, str]
    equal: Mapping[str, str]
    covers: str
    sample: int
    engine: str
    inputs: Mapping[str, Array]
    model: Mapping[str, Any]
    versions: Mapping[str, str]
    features: tuple[str, ...] | None = None

    @classmethod
    def load(cls, directory: str | Path) -> Comparison:
        """Read what `save` has written. InputError where it is missing, damaged or of another schema."""
        document, folder = read_manifest(directory, SCHEMA), Path(directory)
        if "relevance" not in document:
            raise InputError(
                f"'{folder / MANIFEST}' is of a version that did not tell of its maps: compare again"
            )
        try:
            arrays = read_arrays(folder / RELEVANCE, document["relevance"])
            answers = converted(document["targets"], tuple[Mapping[str, Any], ...])
            fields = {**document, "inputs": read_arrays(folder / INPUTS, document["inputs"])}
            fields["targets"] = [answer["target"] for answer in answers]
            fields["values"] = [answer["value"] for answer in answers]
            fields["similarity"] = tuple(
                {name: _matrix(rows, len(document["methods"])) for name, rows in answer["similarity"].items()}
                for answer in answers
            )
            fields["cells"] = {
                (n, m): made(Cell, {**entry, "method": m, "relevance": _of(arrays, f"{n}/{m}/")})
                for n, answer in enumerate(answers)
                for m, entry in answer["methods"].items()
            }
            return made(cls, fields)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            problem = f"it lacks {error}" if isinstance(error, KeyError) else error
            raise InputError(f"'{folder / MANIFEST}' is not as documented: {problem}") from None

    def multiple(self, method: str) -> float:
        """Its wall time, in forward passes."""
        return self.timings[method].seconds / self.forward.seconds

    def document(self) -> dict[str, Any]:
        """The content of compare.json."""
        fields = {
            k: v for k, v in vars(self).items() if k not in ("cells", "similarity", "timings", "inputs")
        }
        timings = {m: {**vars(t), "forward_passes": self.multiple(m)} for m, t in self.timings.items()}
        results = [self._by_target(number, text) for number, text in enumerate(self.targets)]
        fields |= {"forward": vars(self.forward), "timings": timings, "targets": results}
        fields["inputs"] = {name: describe(x) for name, x in self.inputs.items()}
        fields["relevance"] = {name: describe(r) for name, r in self.arrays().items()}
        return dict(plain({name: value for name, value in fields.items() if name != "values"}))

    def _by_target(self, number: int, text: str) -> dict[str, Any]:
        cells = {m: self.cells[number, m] for m in self.methods if (number, m) in self.cells}
        names = ("started", "arrived", "share", "adds_up", "extras", "warnings")
        return {
            "target": text,
            "value": self.values[number],
            "methods": {m: {name: getattr(cell, name) for name in names} for m, cell in cells.items()},
            "similarity": {k: _null(matrix) for k, matrix in self.similarity[number].items()},
        }

    def arrays(self) -> dict[str, Array]:
        """The content of relevance.npz: by target's number, method and input, as in "0/dtd/image"."""
        return {
            f"{number}/{method}/{name}": r
            for (number, method), cell in self.cells.items()
            for name, r in cell.relevance.items()
        }

    def sheet(self, picture: npt.ArrayLike | None = None, **more: Any) -> Sheet:
        """What the figure shows: the first input."""
        name, x = next(iter(self.inputs.items()))
        maps = {key: cell.relevance[name] for key, cell in self.cells.items()}
        captions = {m: _caption(self.multiple(m)) for m in self.methods}
        lines = [f"{t}   {v:.4g}" for t, v in zip(self.targets, self.values, strict=True)]
        shown = {"names": self.features, **more}
        return Sheet(x, self.methods, tuple(lines), maps, captions, picture=picture, **shown)

    def save(
        self,
        directory: str | Path,
        *,
        overwrite: bool = True,
        picture: npt.ArrayLike | None = None,
        **more: Any,
    ) -> Path:
        """Write compare.json, relevance.npz, inputs.npz and, where the input's shape has one, compare.png: whole or
        not at all.

        picture: an image input as it was before it was prepared, (H, W, 3). more: `layout`, `names` of columns.
        """

        def fill(unfinished: Path) -> dict[str, Any]:
            write_arrays(unfinished / RELEVANCE, self.arrays())
            write_arrays(unfinished / INPUTS, self.inputs)
            draw(self.sheet(picture, **more), unfinished / PICTURE)
            return self.document()

        return write_folder(directory, SCHEMA, fill, overwrite=overwrite)


def _caption(multiple: float) -> str:
    return f"{multiple:,.0f} × forward" if multiple >= 10 else f"{multiple:.1f} × forward"


def _of(arrays: Mapping[str, Array], place: str) -> dict[str, Array]:
    """The arrays of one cell, by input name."""
    return {name.removeprefix(place): r for name, r in arrays.items() if name.startswith(place)}


def _matrix(rows: Any, count: int) -> Array:
    matrix = np.array(rows, np.float64)  # of None it makes NaN
    if matrix.shape != (count, count):
        raise ValueError("'similarity' is of another shape")
    return matrix


def _null(matrix: Array) -> list[list[float | None]]:
    return [[None if np.isnan(v) else float(v) for v in row] for row in matrix]
