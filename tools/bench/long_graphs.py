"""Long graphs of one pattern, repeated: what is slower than linear in the nodes shows on them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH, HIDDEN = 4, 2


class Chain:
    """A model in the making; `h` is the value that the next repetition reads. Weights are small, so that values
    stay finite."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.h = "x"
        self._numbers = count()
        self._rng = np.random.default_rng(0)

    def __call__(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Add a node; its first output. Those of a node with several are `NAME`, `NAME_1`, ..."""
        name = f"v{next(self._numbers)}"
        names = [name, *(f"{name}_{k}" for k in range(1, outputs))]
        self.nodes.append(helper.make_node(op, inputs, names, name=f"n{name}", **attributes))
        return name

    def constant(self, array: Any) -> str:
        """Add an initializer."""
        name = f"c{next(self._numbers)}"
        self.constants[name] = np.asarray(array)
        return name

    def weights(self, *shape: int) -> str:
        """Add small random weights."""
        return self.constant((np.asarray(self._rng.standard_normal(shape)) / 4).astype(np.float32))

    def model(self, *shape: int | str) -> onnx.ModelProto:
        """The model from x to `h`, both of this shape."""
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
        last = helper.make_node("Identity", [self.h], ["y"], "last")
        initializers = [numpy_helper.from_array(array, name) for name, array in self.constants.items()]
        outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)]
        graph = helper.make_graph([*self.nodes, last], "long", inputs, outputs, initializers)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _relus(c: Chain) -> None:
    c.h = c("Relu", c.h)


def _dense(c: Chain) -> None:
    c.h = c("Relu", c("Add", c("MatMul", c.h, c.weights(WIDTH, WIDTH)), c.weights(WIDTH)))


def _stages(c: Chain) -> None:
    c.h = c("Max", c("Relu", c.h), c("Relu", c.h))


def _forks(c: Chain) -> None:
    half = c("Split", c.h, c.constant([WIDTH // 2] * 2), outputs=2, axis=1)
    c.h = c("Relu", c("Concat", half, f"{half}_1", axis=1))


def _first_layers(c: Chain) -> None:
    c.h = c("Relu", c("Add", c.h, c("Gemm", "x", c.weights(WIDTH, WIDTH), c.weights(WIDTH))))


def _scales(c: Chain) -> None:
    c.h = c("Mul", c.h, c.constant(np.float32(1.0 + 2e-5)))


def _factors(c: Chain) -> None:
    """Each factor is another one, so that no two pieces are of one form."""
    c.h = c("Relu", c("Mul", c.h, c.weights()))


def _bounds(c: Chain) -> None:
    c.h = c("Min", c("Max", c.h, c.weights()), c.weights())


def _gates(c: Chain) -> None:
    c.h = c("Add", c.h, c("Mul", c.h, c("Sigmoid", c("Mul", c.h, c.weights(WIDTH)))))


def _norms(c: Chain) -> None:
    centred = c("Sub", c.h, c("ReduceMean", c.h, axes=[1]))
    variance = c("ReduceMean", c("Mul", centred, centred), axes=[1])
    inverse = c("Reciprocal", c("Sqrt", c("Add", variance, c.constant(np.float32(1e-2)))))
    c.h = c("Mul", centred, inverse)


def _attention(c: Chain) -> None:
    q, k, v = (c("MatMul", c.h, c.weights(WIDTH, WIDTH)) for _ in range(3))
    shares = c("Softmax", c("MatMul", q, c("Transpose", k, perm=[1, 0])), axis=-1)
    c.h = c("Add", c.h, c("MatMul", shares, v))


def _reshapes(c: Chain) -> None:
    batch = c("Slice", c("Shape", c.h), *(c.constant([i]) for i in (0, 1, 0)))
    c.h = c("Relu", c("Reshape", c.h, c("Concat", batch, c.constant([WIDTH]), axis=0)))


def _folded(c: Chain) -> None:
    weights = c("Transpose", c("Mul", c.weights(WIDTH, WIDTH), c.constant(np.float32(0.5))), perm=[1, 0])
    c.h = c("Relu", c("MatMul", c.h, weights))


def _lstm(c: Chain) -> None:
    """One step of an unrolled LSTM, whose state is `h` and `c`: (N, HIDDEN) each, side by side."""
    x = c("Slice", "x", *(c.constant([i]) for i in (0, WIDTH, 1)))
    h, state = (
        c("Slice", c.h, *(c.constant([i]) for i in (k * HIDDEN, (k + 1) * HIDDEN, 1))) for k in (0, 1)
    )
    both = [
        c("Gemm", v, c.weights(n, 4 * HIDDEN), c.weights(4 * HIDDEN)) for v, n in ((x, WIDTH), (h, HIDDEN))
    ]
    gates = c("Split", c("Add", *both), c.constant([HIDDEN] * 4), outputs=4, axis=1)
    entry, end, forget = (c("Sigmoid", gate) for gate in (gates, f"{gates}_1", f"{gates}_2"))
    cell = c("Add", c("Mul", forget, state), c("Mul", entry, c("Tanh", f"{gates}_3")))
    c.h = c("Concat", c("Mul", end, c("Tanh", cell)), cell, axis=1)


PATTERNS: dict[str, Callable[[Chain], None]] = {
    "relus": _relus, "dense": _dense, "stages": _stages, "forks": _forks, "first_layers": _first_layers,
    "scales": _scales, "factors": _factors, "bounds": _bounds, "gates": _gates, "norms": _norms,
    "attention": _attention, "reshapes": _reshapes, "folded": _folded, "lstm": _lstm,
}  # fmt: skip


def long_graph(pattern: str, nodes: int) -> onnx.ModelProto:
    """The pattern, repeated until the model has at least so many nodes."""
    chain = Chain()
    while len(chain.nodes) < nodes - 1:
        PATTERNS[pattern](chain)
    return chain.model("N", WIDTH)
