"""Support vector machines with a kernel: a smooth function of the input, at the point its Jacobian."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from onnxdtd.errors import UnsupportedError
from onnxdtd.linear import LinearMap, Site
from onnxdtd.model.point import Point
from onnxdtd.primitives import matmul, operator, reduce_sum
from onnxdtd.registry import op


@op("SVMRegressor", kind="norm", family="kernel", domain="ai.onnx.ml")
def svm_regressor(point: Point) -> Site:
    """y = sum_i c_i K(v_i, x) + rho, K: exp(-g |v - x|^2), (g v x + c)^d or tanh(g v x + c); if linear, Gemm.

    Rules see the Jacobian J at the point, R = x J' r / y; what y has beyond J x is the bias.
    """
    if point.attribute("one_class", 0):
        raise UnsupportedError(
            f"{point.node}: one_class makes +1 or -1 of the score; export the model with its decision function"
        )
    x = point.x
    count, dtype = point.attribute("n_supports"), x.dtype
    vectors = np.array(point.attribute("support_vectors"), dtype).reshape(count, -1)
    coefficients = np.array(point.attribute("coefficients"), dtype).reshape(1, count)
    # y = sum_i c_i k(h_i): slopes are c_i k'(h_i); and h_i = g (v_i x) + ..., with -g |x|^2 for the distance.
    slopes = coefficients * _slope(point, x, vectors)
    radial = point.attribute("kernel_type") == "RBF"
    pull = reduce_sum(slopes, axes=(1,)) * x if radial else 0.0
    jacobian = matmul(slopes, vectors) - pull

    def apply(w: Any, v: Any) -> Any:
        return reduce_sum(jacobian * v, axes=(1,))

    def adjoint(w: Any, r: Any) -> Any:
        return jacobian * r

    return point.site(LinearMap(None, apply, adjoint), bias=point.output - apply(None, x))


def _slope(point: Point, x: Any, vectors: Any) -> Any:
    """dK(v_i, x) / d(v_i x), for each support vector; for the distance also what multiplies v_i - x."""

    def run(name: str, *arrays: Any) -> Any:
        return operator(name, *arrays, opset=13)

    gamma, shift, degree = (np.asarray(p, x.dtype) for p in point.attribute("kernel_params"))
    products = matmul(x, vectors.T)
    kernels: dict[str, Callable[[], Any]] = {
        "RBF": lambda: run("Exp", -gamma * _distances(x, products, vectors)) * (2.0 * gamma),
        "POLY": lambda: run("Pow", gamma * products + shift, degree - 1) * (degree * gamma),
        "SIGMOID": lambda: (1.0 - _square(run("Tanh", gamma * products + shift))) * gamma,
    }
    return kernels[point.attribute("kernel_type")]()


def _distances(x: Any, products: Any, vectors: Any) -> Any:
    """|x - v_i|^2 = |x|^2 - 2 x v_i + |v_i|^2."""
    return reduce_sum(x * x, axes=(1,)) - 2.0 * products + (vectors * vectors).sum(axis=1)


def _square(x: Any) -> Any:
    return x * x
