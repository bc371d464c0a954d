"""A function of the outputs' shapes as the target: each output that it weighs is explained, and they add up."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.errors import TargetError
from onnxdtd.explanation import Explanation
from onnxdtd.node_report import Numbers
from onnxdtd.plan.target import Function, Target, Weights
from onnxdtd.types import Array


def weighed(
    function: Function, outputs: Mapping[str, npt.NDArray[Any]], explain: Callable[[Target], Explanation]
) -> Explanation:
    """The explanation of sum over outputs of coefficients * output, the coefficients as the function gives them.

    Relevance is linear in what starts, so that of several outputs is the sum of theirs. Raises TargetError for
    coefficients of no output, or of another shape.
    """
    weights = function.call({name: array.shape for name, array in outputs.items()})
    if not isinstance(weights, Mapping) or not weights or set(weights) - set(outputs):
        names = ", ".join(f"'{name}'" for name in outputs)
        raise TargetError(
            f"the function must return coefficients by output name, a dict; the outputs are {names}"
        )
    parts = []
    for name, array in weights.items():
        try:
            coefficients = np.asarray(array, np.float64)
        except (TypeError, ValueError):
            raise TargetError(f"the coefficients of '{name}' are no array of numbers") from None
        parts.append(explain(Target(name, form=Weights(coefficients, "a weighted sum of outputs"))))
    return _sum(parts)


def _sum(parts: list[Explanation]) -> Explanation:
    """What several outputs of one input make together; `target` lists the elements of the first."""
    whole = parts[0]
    for part in parts[1:]:
        whole = dataclasses.replace(
            whole,
            relevance=_added(whole.relevance, part.relevance),
            kept=_added(whole.kept, part.kept),
            target_value=whole.target_value + part.target_value,
            seed=whole.seed + part.seed,
            nodes=(*whole.nodes, *part.nodes),
            constants=_each(whole.constants, part.constants),
            warnings=(*whole.warnings, *(w for w in part.warnings if w not in whole.warnings)),
        )
    return whole


def _added(some: Mapping[str, Array], more: Mapping[str, Array]) -> dict[str, Array]:
    return {**some, **{name: some[name] + r if name in some else r for name, r in more.items()}}


def _each(some: Mapping[str, Numbers], more: Mapping[str, Numbers]) -> dict[str, Numbers]:
    own = {kind: tuple(map(sum, zip(some[kind], a, strict=True))) for kind, a in more.items() if kind in some}
    return {**some, **more, **own}
