"""Any picture as a Taylor decomposition: the root function under which the recursion returns it.

Two layers, a = [W x]^+ and f = g . a. Let W hold the rows of the units that are active at x. With the lower root
0 (approached from x) and an upper root with Jacobian J, the recursion gives

    R(x) = (W^T (I - J)^T g) * x

For a wanted explanation r take q with W^T q = r / x, and J = I - g q^T / |g|^2: then (I - J)^T g = q, and R = r.
The root function is a~(a) = J a = a - g (q . a) / |g|^2. With sum r = f(x) it gives the root nearest to a, the very
point that w-square takes: nothing is chosen but how the root moves with a.

Source: after Sixt and Landgraf 2022, "A Rigorous Study of the Deep Taylor Decomposition", on roots that depend on
the input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from onnxdtd.errors import UsageError
from onnxdtd.theory.chain import Layer
from onnxdtd.theory.recursion import Decomposition, recursion
from onnxdtd.theory.root_functions import origin
from onnxdtd.theory.tape import Variable

Array = npt.NDArray[np.float64]

REACHABLE = 1e-6
"""The largest relative residual of W^T q = r / x with which a picture counts as reached."""


@dataclass(frozen=True)
class Root:
    """a~(a) = J a with J = I - g q^T / |g|^2, as a function for the recursion."""

    g: Array
    q: Array

    def __call__(self, a: Variable) -> Variable:
        return a - (a @ self.q[:, None]) * (self.g / (self.g @ self.g))

    @property
    def jacobian(self) -> Array:
        """J, written out."""
        return np.eye(len(self.g)) - np.outer(self.g, self.q) / (self.g @ self.g)


@dataclass(frozen=True)
class Justified:
    """wanted: r, scaled to sum r = f(x). root: the upper root function. residual: |W^T q - r / x| / |r / x|.

    honest: the recursion with constant roots, which is gradient x input. justified: with `root` above.
    """

    wanted: Array
    root: Root
    residual: float
    honest: Decomposition
    justified: Decomposition

    @property
    def error(self) -> float:
        """The largest difference between the explanation and the picture, relative to its largest value."""
        return float(abs(self.justified.relevance[0] - self.wanted).max() / abs(self.wanted).max())


def justify(layers: Sequence[Layer], x: npt.ArrayLike, picture: npt.ArrayLike) -> Justified:
    """The root function that makes `picture` the explanation of two layers at x.

    layers: a ReLU layer without bias and a linear one with a single output, f(x) > 0. picture: as many values as
    x, with a positive sum. UsageError where it cannot be: another chain, x zero where the picture is not, or r / x
    outside the row space of the active units' weights.
    """
    point = np.asarray(x, np.float64).reshape(-1)
    shape = np.asarray(picture, np.float64).reshape(-1)
    if len(layers) != 2 or layers[0].bias.any() or layers[1].bias.any() or layers[1].outputs != 1:
        raise UsageError("give two dense layers without bias, the second with the explained output alone")
    if shape.size != point.size or shape.sum() <= 0:
        raise UsageError(f"the picture needs {point.size} values, as the input has, and a positive sum")
    honest = recursion(layers, [origin, origin])(point)
    if honest.value <= 0:
        raise UsageError(
            f"f(x) = {honest.value:.4g}: a picture justifies a positive output; choose another target"
        )
    if np.any(shape[point == 0]):
        raise UsageError("the input is 0 where the picture is not, and R = c * x; standardise the input")
    wanted = shape * honest.value / shape.sum()
    over = np.divide(wanted, point, out=np.zeros_like(wanted), where=point != 0)
    active = honest.activations[1] > 0
    q = np.zeros(active.shape)
    q[active] = np.linalg.lstsq(layers[0].weights[active].T, over, rcond=None)[0]
    residual = float(np.linalg.norm(layers[0].weights.T @ q - over) / np.linalg.norm(over))
    if residual > REACHABLE:
        raise UsageError(
            f"the picture lies outside the row space of the {active.sum()} active units (residual {residual:.2g}); "
            f"take a wider layer: {point.size} inputs need as many active units"
        )
    root = Root(layers[1].weights[0], q)
    return Justified(wanted, root, residual, honest, recursion(layers, [origin, root])(point))
