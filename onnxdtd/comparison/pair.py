"""Two models on one input: both maps for the same target, what each answers, and how alike the maps are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.comparison.agreement import matrices, seen
from onnxdtd.comparison.comparison import INPUTS, RELEVANCE
from onnxdtd.comparison.picture import Sheet, draw
from onnxdtd.errors import InputError, UsageError
from onnxdtd.explainer import Explainer
from onnxdtd.explanation import Explanation
from onnxdtd.folder import plain, write_folder
from onnxdtd.npz import describe, write_arrays
from onnxdtd.plan.target import Target
from onnxdtd.runs.batches import fixed_batch
from onnxdtd.types import Array, Inputs

SCHEMA = "onnxdtd.pair/1"
MANIFEST = "pair.json"
PICTURE = "pair.png"
SHOWN = 3


@dataclass(frozen=True, eq=False)
class Pair:
    """Two models, side by side, for one sample and one or more targets.

    names: of the models, told apart. explanations: for each target that of the first and of the second model; both
    explain the same element. similarity: for each target by measure (`cosine`, `spearman`, `top10`) one number, NaN
    where a map has nothing to compare. distance: for each target the largest difference of the explained outputs,
    None where their shapes differ. inputs: the sample, by the first model's names.
    """

    names: tuple[str, str]
    explanations: tuple[tuple[Explanation, Explanation], ...]
    similarity: tuple[Mapping[str, float], ...]
    distance: tuple[float | None, ...]
    row: int
    sample: int
    inputs: Mapping[str, Array]

    def document(self) -> dict[str, Any]:
        """The content of pair.json."""
        first = self.explanations[0]
        models = [
            {
                **e.model,
                "name": name,
                "method": e.method,
                "output": e.output,
                "engine": e.engine,
                "notes": e.notes,
            }
            for e, name in zip(first, self.names, strict=True)
        ]
        targets = [self._by_target(number) for number in range(len(self.explanations))]
        inputs = {name: describe(x) for name, x in self.inputs.items()}
        relevance = {name: describe(r) for name, r in self.arrays().items()}
        fields = {"models": models, "targets": targets, "sample": self.sample, "features": first[0].features}
        return dict(
            plain({**fields, "inputs": inputs, "relevance": relevance, "versions": first[0].versions})
        )

    def _by_target(self, number: int) -> dict[str, Any]:
        pair = self.explanations[number]
        keys = ("index", "label", "value")
        likeness = {name: None if np.isnan(v) else v for name, v in self.similarity[number].items()}
        return {
            "target": pair[0].label(self.row),
            "values": [float(e.target_value[self.row]) for e in pair],
            "top": [[dict(zip(keys, row, strict=True)) for row in e.top(SHOWN, self.row)] for e in pair],
            "same_class": len({e.top(1, self.row)[0][0] for e in pair}) == 1,
            "distance": self.distance[number],
            "arrived": [
                float(sum(r[self.row].sum(dtype=np.float64) for r in e.relevance.values())) for e in pair
            ],
            "similarity": likeness,
            "warnings": [list(e.warnings) for e in pair],
        }

    def arrays(self) -> dict[str, Array]:
        """The content of relevance.npz: by target's number, the model's (0 or 1) and input, as in "0/1/image"."""
        return {
            f"{number}/{which}/{name}": r[self.row]
            for number, pair in enumerate(self.explanations)
            for which, e in enumerate(pair)
            for name, r in e.relevance.items()
        }

    def sheet(self, picture: npt.ArrayLike | None = None, **more: Any) -> Sheet:
        """What the figure shows: the first input, a model a column."""
        maps = {
            (number, name): next(iter(e.relevance.values()))[self.row]
            for number, pair in enumerate(self.explanations)
            for e, name in zip(pair, self.names, strict=True)
        }
        captions = {name: e.method for e, name in zip(self.explanations[0], self.names, strict=True)}
        lines = tuple(
            f"{first.label(self.row)}   {first.target_value[self.row]:.4g} and {other.target_value[self.row]:.4g}, "
            f"cosine {likeness['cosine']:.3f}"
            for (first, other), likeness in zip(self.explanations, self.similarity, strict=True)
        )
        x = next(iter(self.inputs.values()))
        shown = {"names": self.explanations[0][0].features, **more}
        return Sheet(x, self.names, lines, maps, captions, picture=picture, **shown)

    def save(
        self,
        directory: str | Path,
        *,
        overwrite: bool = True,
        picture: npt.ArrayLike | None = None,
        **more: Any,
    ) -> Path:
        """Write pair.json, relevance.npz, inputs.npz and, where the input has a shape to draw, pair.png."""

        def fill(unfinished: Path) -> dict[str, Any]:
            write_arrays(unfinished / RELEVANCE, self.arrays())
            write_arrays(unfinished / INPUTS, self.inputs)
            draw(self.sheet(picture, **more), unfinished / PICTURE)
            return self.document()

        return write_folder(directory, SCHEMA, fill, overwrite=overwrite)


def compare_models(
    model: Explainer, other: Explainer, x: Inputs, targets: Sequence[Any] = (None,), *, sample: int = 0
) -> Pair:
    """Explain one sample by two models with equal inputs, for the same targets, which the first model settles.

    What `auto` takes for the first model serves both. Inputs go by their names; models of one input each need not
    agree on its name. Raises UsageError or InputError where the inputs are not equal, TargetError where the second
    model has no such element, and what `Explainer` raises.
    """
    model, other = model.batched, other.batched
    feeds = dict(model.feeds(x))
    count = min((len(array) for array in feeds.values() if array.ndim), default=1)
    if not 0 <= sample < count:
        raise UsageError(f"sample {sample} is not in a batch of {count}: count from 0")
    fixed = fixed_batch(model.graph) is not None
    if not fixed and count > 1:
        feeds = {name: array[sample : sample + 1] for name, array in feeds.items()}
    row = sample if fixed else 0
    alike = _renamed(model, other, feeds)
    pairs = [_both(model, other, feeds, alike, target, row) for target in targets]
    similarity, distance = [], []
    for first, second in pairs:
        maps = [seen(next(iter(e.relevance.values()))[row]) for e in (first, second)]
        if maps[0].shape != maps[1].shape:
            raise InputError(f"the models explain inputs of shapes {maps[0].shape} and {maps[1].shape}")
        similarity.append({k: float(m[0, 1]) for k, m in matrices(maps).items()})
        y, z = first.outputs[first.output], second.outputs[second.output]
        distance.append(float(np.abs(y - z).max(initial=0.0)) if y.shape == z.shape else None)
    shown = {name: feeds[name][row] for name in pairs[0][0].relevance}
    return Pair(_told_apart(pairs[0]), tuple(pairs), tuple(similarity), tuple(distance), row, sample, shown)


def _renamed(model: Explainer, other: Explainer, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The inputs by the second model's names."""
    names, others = model.graph.inputs, other.graph.inputs
    if {*names} == {*others}:
        return dict(feeds)
    if len(names) == len(others) == 1:
        return {others[0]: feeds[names[0]]}
    raise UsageError(
        f"the models have other inputs, {', '.join(names)} and {', '.join(others)}: there is nothing to compare"
    )


def _both(
    model: Explainer, other: Explainer, feeds: Inputs, alike: Inputs, target: Any, row: int
) -> tuple[Explanation, Explanation]:
    """Both explanations of one target: of the very element that the first model explains, if it is one."""
    first = model(feeds, target)
    elements = first.target[row]
    if len(elements) == 1:
        output = first.output if first.output in other.graph.outputs else None
        target = Target(output, elements[0] or None)
    return first, other.by(first.method)(alike, target)


def _told_apart(pair: tuple[Explanation, Explanation]) -> tuple[str, str]:
    """Names of two models: their files', with the folder or a number where these are equal."""
    paths = [Path(e.model.get("path") or e.model.get("name") or "model") for e in pair]
    names = [path.stem for path in paths]
    if names[0] == names[1]:
        names = [f"{path.parent.name}/{path.stem}" for path in paths]
    return (names[0], names[1]) if names[0] != names[1] else (f"{names[0]} 1", f"{names[1]} 2")
