"""What a compiled walk depends on, as one number: equal digests, equal ONNX models."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx

from onnxdtd.plan.plan import Plan
from onnxdtd.version import __version__
from onnxdtd.walk.forward import RUNTIME_VERSION


def digest(plan: Plan) -> str:
    """sha256 over the graph, its weights, the rule of every node, the target, and the versions of what compiles.

    Weights count by content: a model whose weights lie in other files has a digest of its own without them.
    """
    versions = (__version__, onnx.__version__, RUNTIME_VERSION)
    steps = [(s.node.name, s.slots, s.op.kind, s.op.family, spelled(s.pruned)) for s in plan.steps]
    found = hashlib.sha256(repr((versions, plan.target, plan.seed, plan.finish, plan.inputs, steps)).encode())
    found.update(plan.graph.to_proto(constants=False).SerializeToString(deterministic=True))
    for name, array in plan.graph.constants.items():
        found.update(repr((name, array.dtype.str, array.shape)).encode())
        if array.dtype == object:
            found.update(repr(array.tolist()).encode())
        else:
            found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def spelled(thing: Any) -> str:
    """A rule, written out in full and the same in every process: functions by name, sets in order."""
    if dataclasses.is_dataclass(thing):
        fields = [f"{f.name}={spelled(getattr(thing, f.name))}" for f in dataclasses.fields(thing)]
        return f"{_named(type(thing))}({', '.join(fields)})"
    if isinstance(thing, (frozenset, set)):
        return f"{{{', '.join(sorted(map(spelled, thing)))}}}"
    if isinstance(thing, (tuple, list)):
        return f"[{', '.join(map(spelled, thing))}]"
    return _named(thing) if callable(thing) else repr(thing)


def _named(thing: Callable[..., Any]) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"
