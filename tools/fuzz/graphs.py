"""Random graphs of ordinary operators, on which both engines, batches and the file's own output must agree."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from onnxdtd import Explainer
from onnxdtd.errors import OnnxdtdError
from tools.fuzz.words import pick

METHODS = ("attnlrp", "dtd", "gradient_x_input")
SMOOTH = (
    "Relu", "Sigmoid", "Tanh", "Elu", "Selu", "Softplus", "Softsign", "LeakyRelu", "HardSigmoid", "HardSwish", "Gelu",
    "Mish", "Erf", "Celu", "Abs", "Neg", "Identity", "Sin", "Cos", "Atan", "Sign", "Floor", "ThresholdedRelu",
)  # fmt: skip
WIDTH = 6


@dataclass(frozen=True)
class Verdict:
    """refused: why, "" where it was answered. differences: what does not agree. ops: of the graph."""

    refused: str
    differences: tuple[str, ...]
    ops: tuple[str, ...]


class Grammar:
    """Nodes are added behind values that are there; `rows` are (N, 6), `maps` (N, 3, 6, 6)."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, op: str, *inputs: str, **attributes: object) -> str:
        """A node; the name of its output."""
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], f"n{len(self.nodes)}", **attributes))
        return name

    def weight(self, *shape: int, positive: bool = False) -> str:
        """A constant of random numbers."""
        w = self.rng.standard_normal(shape) / np.sqrt(max(1, shape[-1] if shape else 1))
        return self.constant((np.abs(w) + 0.1 if positive else w).astype(np.float32))

    def constant(self, array: np.ndarray) -> str:
        """A constant."""
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def row(self, values: list[str]) -> str:
        """One more (N, 6)."""
        x, other = pick(self.rng, values[-3:]), pick(self.rng, values)
        match int(self.rng.integers(14)):
            case 0:
                return self.add("Gemm", x, self.weight(WIDTH, WIDTH), self.weight(WIDTH), transB=1)
            case 1:
                return self.add("Add", self.add("MatMul", x, self.weight(WIDTH, WIDTH)), self.weight(WIDTH))
            case 2:
                return self.add(pick(self.rng, ("Add", "Sub", "Mul", "Max", "Min")), x, other)
            case 3:
                return self.add(pick(self.rng, ("Softmax", "LogSoftmax")), x, axis=-1)
            case 4:
                scale, shift = self.weight(WIDTH), self.weight(WIDTH)
                return self.add("LayerNormalization", x, scale, shift, axis=-1)
            case 5:
                both = self.add("Concat", x, other, axis=1)
                return self.add(
                    "Gather", both, self.constant(self.rng.integers(2 * WIDTH, size=WIDTH)), axis=1
                )
            case 6:
                return self.add("Mul", x, self.weight(WIDTH))
            case 7:
                mean = self.add("ReduceMean", x, self.constant(np.array([1])), keepdims=1)
                return self.add("Sub", x, mean)
            case 8:
                part = self.add("Slice", x, *(self.constant(np.array([n])) for n in (1, 5, 1)))
                return self.add("Pad", part, self.constant(np.array([0, 1, 0, 1])))
            case 9:
                low, high = self.constant(np.float32(-0.7)), self.constant(np.float32(0.9))
                return self.add("Clip", x, low, high)
            case 10:
                cube = self.add("Reshape", x, self.constant(np.array([0, 2, 3])))
                turned = self.add("Transpose", cube, perm=[0, 2, 1])
                return self.add("Reshape", turned, self.constant(np.array([0, WIDTH])))
            case 11:
                return self.add("Einsum", x, self.weight(WIDTH, WIDTH), equation="ni,ij->nj")
            case 12:
                return self.add("Where", self.add("Greater", x, other), x, other)
            case _:
                return self.add(pick(self.rng, SMOOTH), x)

    def map(self, values: list[str]) -> str:
        """One more (N, 3, 6, 6)."""
        x, other = pick(self.rng, values[-3:]), pick(self.rng, values)
        match int(self.rng.integers(8)):
            case 0:
                groups = pick(self.rng, (1, 3))
                kernel = self.weight(3, 3 // groups, 3, 3)
                return self.add("Conv", x, kernel, self.weight(3), pads=[1, 1, 1, 1], group=groups)
            case 1:
                kind = pick(self.rng, ("MaxPool", "AveragePool"))
                return self.add(kind, x, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1])
            case 2:
                more = (self.weight(3), self.weight(3), self.weight(3), self.weight(3, positive=True))
                return self.add("BatchNormalization", x, *more)
            case 3:
                return self.add("InstanceNormalization", x, self.weight(3), self.weight(3))
            case 4:
                small = self.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
                scales = self.constant(np.array([1, 1, 2, 2], np.float32))
                return self.add("Resize", small, "", scales, mode=pick(self.rng, ("nearest", "linear")))
            case 5:
                return self.add(pick(self.rng, ("Add", "Mul", "Max")), x, other)
            case 6:
                return self.add("ConvTranspose", x, self.weight(3, 3, 3, 3), pads=[1, 1, 1, 1])
            case _:
                return self.add(pick(self.rng, SMOOTH), x)

    def model(self) -> tuple[onnx.ModelProto, tuple[int, ...]]:
        """A graph of some nodes, and the shape of a sample."""
        values, shape = ["x"], (WIDTH,)
        if self.rng.random() < 0.4:
            shape = (3, WIDTH, WIDTH)
            for _ in range(int(self.rng.integers(2, 7))):
                values.append(self.map(values))
            flat = self.add("Flatten", self.add("GlobalAveragePool", values[-1]), axis=1)
            values = [self.add("Gemm", flat, self.weight(WIDTH, 3), self.weight(WIDTH), transB=1)]
        for _ in range(int(self.rng.integers(2, 8))):
            values.append(self.row(values))
        y = self.add("Gemm", values[-1], self.weight(4, WIDTH), self.weight(4), transB=1)
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *sizes])
            for name, sizes in (("x", shape), (y, (4,)))
        ]
        graph = helper.make_graph(self.nodes, "random", ends[:1], ends[1:], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), shape


def compare(seed: int, tolerance: float = 2e-3) -> Verdict:
    """One random graph by each method. tolerance: in parts of the largest relevance, since float32 rounds."""
    rng = np.random.default_rng(seed)
    model, shape = Grammar(rng).model()
    x = rng.standard_normal((3, *shape)).astype(np.float32)
    ops = tuple(node.op_type for node in model.graph.node)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    [y] = ort.InferenceSession(model.SerializeToString(), options).run(None, {"x": x})
    differences: list[str] = []
    refused = ""
    for method in METHODS:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                plain = Explainer(model, method)
                whole = plain(x, 1)
                traced = Explainer(model, method, engine="onnx")(x, 1)
                alone = [plain(x[i : i + 1], 1).relevance["x"] for i in range(3)]
        except OnnxdtdError as error:
            refused = f"{method}: {error}"
            continue
        r, one = whole.relevance["x"], np.concatenate(alone)
        scale = max(float(np.abs(r).max()), float(np.abs(y).max()) * 1e-3, 1e-9)
        if np.abs(whole.target_value - y[:, 1]).max() > 1e-4 * max(1.0, float(np.abs(y).max())):
            differences.append(f"{method}: the logit")
        if not np.abs(r - traced.relevance["x"]).max() <= tolerance * scale:
            differences.append(
                f"{method}: the engines, {np.abs(r - traced.relevance['x']).max() / scale:.2g}"
            )
        if not np.abs(r - one).max() <= tolerance * scale:
            differences.append(f"{method}: the batch, {np.abs(r - one).max() / scale:.2g}")
    return Verdict(refused, tuple(differences), ops)
