"""Weights that a rule makes of a model's own, written as nodes instead of stored a second time.

onnxruntime computes them when a session starts, so that a run takes as long as with stored ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from onnxdtd.primitives import Tracer
from onnxdtd.primitives.call import renamed
from onnxdtd.primitives.stored import SMALL, stored
from onnxdtd.primitives.traced import PREFIX

Weights = Literal["all", "store", "derive"]


def derive(tracer: Tracer, kept: Mapping[Any, Any], weights: Mapping[Any, Any], how: Weights) -> None:
    """Replace constants of the tracer by the nodes that make them.

    kept: what the walk derived, by (node, map, weight map); weights: of each (node, map). how: `all` are stored,
    or of each weight at most one (`store`: the file at most doubles what its rules change), or none (`derive`).
    """
    copied, walked = set(), len(tracer.nodes)
    for key, made in kept.items():
        *place, change = key if isinstance(key, tuple) else (key,)
        w = weights.get(tuple(place))
        if how == "all" or not isinstance(w, np.ndarray) or not isinstance(made, np.ndarray):
            continue
        (own, *order), (data, *same) = stored(w), stored(made)
        label, base = tracer.label(data), tracer.label(own)
        if label is None or base is None or data.nbytes <= SMALL or own.shape != data.shape or order != same:
            continue
        if label not in tracer.constants or not label.startswith(PREFIX):
            continue
        if how == "store" and base not in copied:
            copied.add(base)
            continue
        derived = change(tracer.constant(own))
        if derived.name == label:  # the tracer knew its value at once and keeps it under this name
            continue
        tracer.nodes.append(renamed(derived.name, label, f"{label}_derived"))
        del tracer.constants[label]
    # What makes constants stands before the walk that reads them.
    tracer.nodes = [*tracer.nodes[walked:], *tracer.nodes[:walked]]
