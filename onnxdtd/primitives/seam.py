"""The seam between the two engines: a primitive has a NumPy body and an ONNX meaning, and picks by its arguments.

Positional arguments are arrays, keyword arguments are attributes. If any array is `Traced`, the primitive adds
nodes to that array's tracer and returns a `Traced`; otherwise it computes. Ops, rules and the walk are written once,
in primitives and in the operators + - * /, and so run on both engines.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import numpy as np

from onnxdtd.primitives.traced import Tracer, tracer_of

# np.ndarray (eager) or Traced. Ops and rules may ask for shape, dtype and ndim, and use + - * / and the
# primitives; nothing else is common to both. A Traced shape may hold names for symbolic dimensions.
Array = Any

F = TypeVar("F", bound=Callable[..., Any])


def primitive(
    onnx_op: str = "", *, as_inputs: tuple[str, ...] = (), trace: Callable[..., Any] | None = None
) -> Callable[[F], F]:
    """Declare a primitive: the decorated function is its NumPy body.

    onnx_op: the ONNX operator of the same arguments; the keywords named in `as_inputs`, lists of sizes (see
    `sizes`), become int64 inputs, the others attributes. trace: instead of one operator, a function of the same
    signature that builds the traced result out of other primitives.
    """

    def declare(eager: F) -> F:
        @functools.wraps(eager)
        def call(*arrays: Any, **attributes: Any) -> Any:
            tracer = tracer_of(*arrays, *[list(attributes[key]) for key in as_inputs])
            if tracer is None:
                return eager(*arrays, **attributes)
            if trace is not None:
                return trace(*arrays, **attributes)
            numbers = [vector(attributes.pop(key)) for key in as_inputs]
            return tracer.emit(onnx_op, *arrays, *numbers, **attributes)

        declared: Any = call
        declared.primitive = onnx_op or eager.__name__
        return cast(F, declared)

    return declare


def tracer_among(*arrays: Any) -> Tracer:
    """The tracer of arguments of which one is traced, as it is where a traced body runs."""
    tracer = tracer_of(*arrays)
    assert tracer is not None  # else the NumPy body would run
    return tracer


def at_hand(*arrays: Any) -> bool:
    """Whether the values can be looked at now: False where one of them belongs to a graph that is being written."""
    return tracer_of(*arrays) is None


def vector(numbers: Sequence[Any]) -> Any:
    """int64 numbers one behind the other; of those that a graph computes each is a vector of one."""
    tracer = tracer_of(*numbers)
    if tracer is None:
        return np.asarray(numbers, np.int64)
    parts = [np.array([n], np.int64) if at_hand(n) else n for n in numbers]
    return tracer.emit("Concat", *parts, axis=0) if len(parts) > 1 else parts[0]
