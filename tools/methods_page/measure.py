"""The two evaluations and the comparisons, each in a folder of its own, where it goes on if it was stopped."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import onnxdtd
from onnxdtd.metrics import Evaluation
from tools.methods_page.asked import CONTROLS
from tools.methods_page.data import MODELS, Array, Inputs

NEIGHBOURS = ("lime", "kernel_shap")
SEEDS = range(1, 11)


@dataclass(frozen=True)
class Study:
    """An evaluation as it is asked for. settings: of `evaluate`; options: of a method, where its defaults take too
    long; left_out: methods, and why."""

    settings: dict[str, Any]
    options: Mapping[str, Mapping[str, Any]]
    left_out: Mapping[str, str]


STUDIES = {
    "digits": Study({}, {}, {}),
    "photos": Study(
        {"steps": 6, "fills": ("mean", "blur"), "draws": 2, "batch": 4},
        {"integrated_gradients": {"steps": 8}, "smoothgrad": {"samples": 8},
         "occlusion": {"patch": 32, "stride": 32}},
        {"taylor": "its search takes 112 gradients and 792 forward passes for one explanation, "
                   "and an input's scores need four explanations"},
    ),
}  # fmt: skip


def evaluated(name: str, inputs: Inputs, work: Path) -> tuple[Evaluation, dict[str, str]]:
    """All native methods that the model allows and both controls, by all metrics; and why not the other methods."""
    study, path = STUDIES[name], MODELS / f"{inputs.model}.onnx"
    methods: dict[str, Any] = {}
    refused: dict[str, str] = {}
    for method in (*onnxdtd.METHODS, *onnxdtd.PASSES):
        if method in study.left_out:
            continue
        options = study.options.get(method, {})
        explainer = onnxdtd.Explainer(path, method, input_range=inputs.input_range, options=options)
        try:
            explainer(inputs.x[:1])
            methods[method] = explainer
        except onnxdtd.UnsupportedError as error:
            refused[method] = str(error).splitlines()[0]
    methods |= {control: control for control in CONTROLS}

    def tell(done: int, total: int) -> None:
        if sys.stderr.isatty():
            print(f"\r{name}: {done} of {total}", end="", file=sys.stderr)

    settings = study.settings | {"progress": tell}
    return _evaluate(inputs, methods, work / name, settings), refused


def chance(inputs: Inputs, work: Path) -> Array:
    """(seeds, N, scores): the control `constant` by regions, its ties broken anew by each seed; where few inputs
    leave an interval in doubt."""
    scores = []
    for seed in SEEDS:
        settings = STUDIES["photos"].settings | {"metrics": "region_perturbation", "seed": seed}
        evaluation = _evaluate(inputs, "constant", work / f"chance_{seed}", settings)
        columns = [evaluation.scores.index(score) for score in evaluation.headlines]
        scores.append(evaluation.values["constant"][:, columns])
    return np.stack(scores)


def _evaluate(inputs: Inputs, methods: Any, out: Path, settings: dict[str, Any]) -> Evaluation:
    path = MODELS / f"{inputs.model}.onnx"
    return onnxdtd.evaluate(path, inputs.x, methods, input_range=inputs.input_range, out=out, **settings)


def compared(inputs: Inputs, number: int, folder: Path, targets: Sequence[Any] = (None,)) -> dict[str, Any]:
    """compare.json of one input by all native methods, LIME and KernelSHAP, and the maps beside it."""
    if not (folder / "compare.json").exists():
        path, x, methods = (
            MODELS / f"{inputs.model}.onnx",
            inputs.x[number : number + 1],
            ["all", *NEIGHBOURS],
        )
        onnxdtd.compare(path, x, methods, targets, input_range=inputs.input_range, repeats=0).save(folder)
    told: dict[str, Any] = json.loads((folder / "compare.json").read_text("utf-8"))
    return told


def maps(folder: Path, target: int = 0) -> dict[str, Array]:
    """The relevance of one comparison, by method; one that is equal to another is told by its own name, too."""
    with np.load(folder / "relevance.npz") as arrays:
        split = {tuple(name.split("/", 2)): array for name, array in arrays.items()}
    by = {method: array for (number, method, _), array in split.items() if number == str(target)}
    equal: dict[str, str] = json.loads((folder / "compare.json").read_text("utf-8"))["equal"]
    return by | {method: by[stand] for method, stand in equal.items() if stand in by}
