"""An example at open sizes: the model of an op whose axes all have names, and longer inputs that it takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime as ort

from tests.support.single_op import Array, Example, X, model_of

BATCHES = (1, 3)
LONGER = (lambda n: n + 1, lambda n: 2 * n, lambda n: n + 2, lambda n: 3 * n)


def opened(example: Example) -> onnx.ModelProto:
    """The example's model with a name in place of every length; axes of different inputs have different names."""
    model = model_of(example)
    for value in model.graph.input:
        for axis, size in enumerate(value.type.tensor_type.shape.dim):
            first = axis == 0 and not example.fixed
            size.dim_param = "N" if first else f"{value.name}_{axis}"
    (output,) = model.graph.output
    for size in output.type.tensor_type.shape.dim:
        size.Clear()
    return model


def longer(example: Example) -> Example:
    """The example with each axis longer that may be: alone, or with all that are as long."""
    session = _session(opened(example))
    for places in _axes(example):
        for grow in LONGER:
            other = _with(example, places, grow)
            if _runs(session, other):
                example = other
                break
    return example


def _axes(example: Example) -> Iterator[list[tuple[int, int]]]:
    """(operand, axis) of each axis that is no batch, and of those of one length together."""
    lengths: dict[int, list[tuple[int, int]]] = {}
    for i, operand in enumerate(example.inputs):
        for axis, length in enumerate(operand.shape if isinstance(operand, X) else ()):
            if axis or example.fixed:
                lengths.setdefault(length, []).append((i, axis))
    for together in lengths.values():
        yield from ([place] for place in together)
        if len(together) > 1:
            yield together


def _with(example: Example, places: list[tuple[int, int]], grow: object) -> Example:
    inputs = list(example.inputs)
    for i, axis in places:
        shape = list(inputs[i].shape)
        shape[axis] = grow(shape[axis])  # type: ignore[operator]
        inputs[i] = replace(inputs[i], shape=tuple(shape))
    return replace(example, inputs=tuple(inputs))


def _session(model: onnx.ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _runs(session: ort.InferenceSession, example: Example) -> bool:
    """Whether the model takes the example's lengths, of one sample and of several."""
    rank = len(session.get_outputs()[0].shape)
    try:
        ys = [session.run(None, _zeros(example, batch))[0] for batch in BATCHES]
    except Exception:  # onnxruntime's own, which have no common base
        return False
    return all(y.size and y.ndim == rank for y in ys)


def _zeros(example: Example, batch: int) -> dict[str, Array]:
    shapes = {f"x{i}": x.shape for i, x in enumerate(example.inputs) if isinstance(x, X)}
    return {
        name: np.zeros(shape if example.fixed else (batch, *shape[1:]), np.float32)
        for name, shape in shapes.items()
    }
