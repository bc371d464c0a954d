"""What a compiled walk depends on, as one number: equal digests, equal ONNX models."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import secrets
import weakref
from functools import partial
from typing import Any

import numpy as np
import onnx

from onnxdtd.plan.plan import Plan
from onnxdtd.plan.step import everywhere
from onnxdtd.version import __version__
from onnxdtd.walk.forward import RUNTIME_VERSION

OURS = __name__.split(".")[0]
PROCESS = f"#{secrets.token_hex(8)}-"
"""What the name of a function of someone else's is followed by, and its number: another process may have another
function by that name, or the same one with other code."""

_numbers: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
_next = itertools.count()
_digests: dict[int, str] = {}


def digest(plan: Plan) -> str:
    """Of a plan, worked out once; see `_digest`."""
    key = id(plan)
    if key not in _digests:
        _digests[key] = _digest(plan)
        weakref.finalize(plan, _digests.pop, key, None)
    return _digests[key]


def _digest(plan: Plan) -> str:
    """sha256 over the graph, its weights, the op and the rule of every node, the target, and the versions of what
    compiles.

    Weights count by content: a model whose weights lie in other files has a digest of its own without them.
    """
    versions = (__version__, onnx.__version__, RUNTIME_VERSION)
    conditions = tuple(plan.graph.all_conditions.items())
    about = (
        versions,
        plan.target,
        plan.seed,
        plan.finish,
        plan.inputs,
        plan.inside,
        plan.graph.max_steps,
        conditions,
        _steps(plan),
    )
    content = hashlib.sha256(repr(about).encode())
    content.update(plan.graph.to_proto(constants=False).SerializeToString(deterministic=True))
    for name, array in (*plan.graph.constants.items(), *plan.graph.background.items()):
        content.update(repr((name, array.dtype.str, array.shape)).encode())
        if array.dtype == object:
            content.update(repr(array.tolist()).encode())
        else:
            content.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return content.hexdigest()


def lasting(plan: Plan) -> bool:
    """Whether another process would find the same digest: only where all ops and rules are the package's own."""
    return PROCESS not in repr(_steps(plan))


def _steps(plan: Plan) -> list[Any]:
    return [
        (s.node.name, s.slots, s.op.kind, s.op.family, spelled(s.op.site), spelled(s.pruned))
        for s in everywhere(plan.steps)
    ]


def spelled(thing: Any) -> str:
    """A rule, written out in full and the same in every process: functions by name, sets in order. Functions and
    classes of someone else's are told apart by which they are, since their code is not known by their names."""
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):
        fields = [f"{f.name}={spelled(getattr(thing, f.name))}" for f in dataclasses.fields(thing)]
        return f"{spelled(type(thing))}({', '.join(fields)})"
    if isinstance(thing, (frozenset, set)):
        return f"{{{', '.join(sorted(map(spelled, thing)))}}}"
    if isinstance(thing, (tuple, list)):
        return f"[{', '.join(map(spelled, thing))}]"
    if isinstance(thing, dict):
        return f"dict{spelled(list(thing.items()))}"
    if isinstance(thing, partial):
        return f"partial{spelled([thing.func, thing.args, sorted(thing.keywords.items())])}"
    if isinstance(thing, np.ndarray):
        return f"{thing.dtype.str}{thing.shape}{hashlib.sha256(np.ascontiguousarray(thing).tobytes()).hexdigest()}"
    if not callable(thing):
        return repr(thing)
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    name = f"{named.__module__}.{named.__qualname__}"
    return name if name.startswith(f"{OURS}.") else f"{name}{PROCESS}{_number(thing)}"


def _number(thing: Any) -> int:
    """Of the thing itself, as long as it lives; of what cannot be remembered, a new one each time."""
    try:
        if thing not in _numbers:
            _numbers[thing] = next(_next)
        return _numbers[thing]
    except TypeError:  # neither hashed nor referred to weakly
        return next(_next)
