"""The explained network: a wide ReLU layer and a readout, without biases, fitted to the shipped digits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from tools.paths import MODELS

Array = npt.NDArray[np.float64]

TRAIN = 800
PENALTY = 1e-3  # in units of the mean squared activation
MEAN, SCALE = 0.1307, 0.3081  # of MNIST's pixels, as is customary


def digits() -> tuple[Array, npt.NDArray[np.int64]]:
    """The shipped MNIST digits (1000, 784), standardised, so that the ground is not zero; and their labels."""
    shipped = np.load(MODELS / "mnist_heldout.npz")
    return (shipped["images"].reshape(-1, 784) / 255 - MEAN) / SCALE, shipped["labels"]


def fit(units: int, seed: int) -> tuple[Array, Array, float]:
    """W (units, 784), G (10, units) and the accuracy on the digits that were left out.

    W is random (He et al. 2015) and G a ridge regression on one-hot labels: a random-feature network. It is
    trained in a second, and wide enough for the active rows of W to span all pictures.
    """
    rng = np.random.default_rng(seed)
    x, labels = digits()
    w = rng.standard_normal((units, x.shape[1])) * np.sqrt(2 / x.shape[1])
    order = rng.permutation(len(x))
    train, held = order[:TRAIN], order[TRAIN:]
    a = np.maximum(x @ w.T, 0)
    kernel = a[train] @ a[train].T
    ridge = PENALTY * np.trace(kernel) / TRAIN * np.eye(TRAIN)
    g = np.linalg.solve(kernel + ridge, np.eye(10)[labels[train]]).T @ a[train]
    return w, g, float(((a[held] @ g.T).argmax(1) == labels[held]).mean())


def model(w: Array, g: Array) -> onnx.ModelProto:
    """The network as ONNX, in float64."""
    nodes = [
        helper.make_node("MatMul", ["image", "w"], ["z"], "hidden"),
        helper.make_node("Relu", ["z"], ["a"], "relu"),
        helper.make_node("MatMul", ["a", "g"], ["logits"], "readout"),
    ]
    shapes = {"image": ["N", w.shape[1]], "logits": ["N", len(g)]}
    image, logits = (helper.make_tensor_value_info(k, TensorProto.DOUBLE, v) for k, v in shapes.items())
    constants = [numpy_helper.from_array(np.ascontiguousarray(c.T), name) for c, name in ((w, "w"), (g, "g"))]
    graph = helper.make_graph(nodes, "random_features", [image], [logits], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
