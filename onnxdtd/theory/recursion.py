"""The recursive Taylor method: relevance as a first-order expansion of relevance, layer by layer.

    R^n(a_n) = a_n                                                            (the explained logit)
    R^l(a_l) = sum_j  d R_j^{l+1}(f_l(a)) / d a |_{a = root_j(a_l)}  *  (a_l - root_j(a_l))

The derivative is that of the whole function R_j^{l+1}, in which the roots of the layers above move with their
argument. The part R_j^{l+1}(f_l(root_j)), zero only at a true root, is left unresolved and reported.

Source: Sixt and Landgraf 2022, "A Rigorous Study of the Deep Taylor Decomposition", TMLR.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxdtd.errors import UsageError
from onnxdtd.explainer import Explainer
from onnxdtd.theory.chain import Layer, layers_of
from onnxdtd.theory.root_functions import Constant, Own, RootFunction, RuleRoot, check_size
from onnxdtd.theory.tape import Variable, gradient
from onnxdtd.types import Array


@dataclass(frozen=True)
class Decomposition:
    """The result of the recursion at one input.

    value: f(x). activations: a_l, input first, logit last. relevance: R^l(a_l), of the same shapes. roots: of each
    layer at a_l, (1, inputs) where all upper neurons share one, else (outputs, inputs). unresolved:
    R_j^{l+1}(f_l(root_j)) of each layer, (outputs,).
    """

    activations: tuple[Array, ...]
    relevance: tuple[Array, ...]
    roots: tuple[Array, ...]
    unresolved: tuple[Array, ...]

    @property
    def value(self) -> float:
        """The explained logit."""
        return float(self.activations[-1][0])


@dataclass(frozen=True)
class Recursion:
    """Layers f_1..f_n, of which the last has one output, and a root function for each."""

    layers: tuple[Layer, ...]
    roots: tuple[RootFunction, ...]

    def relevance(self, level: int, a: Variable) -> Variable:
        """R^level at the points a (N, d) -> (N, d), differentiable; levels count from 0, the input."""
        if level == len(self.layers):
            return a
        terms, _, _ = self._expand(level, a)
        return terms.sum(1)

    def _expand(self, level: int, a: Variable) -> tuple[Variable, Variable, Variable]:
        """Terms and roots (N, J, d), and relevance at the roots (N, J, outputs); J is 1 where one root serves all."""
        layer, (count, inputs) = self.layers[level], a.shape
        roots = self.roots[level](a, layer)
        if roots.shape == (count, inputs):
            roots = roots.reshape(count, 1, inputs)
        if roots.shape not in ((count, 1, inputs), (count, layer.outputs, inputs)):
            raise UsageError(
                f"the root of layer {level} ({layer.name}) has shape {roots.shape}; give ({count}, {inputs}), or "
                f"({count}, {layer.outputs}, {inputs}) for one root per upper neuron"
            )
        check_size(roots.shape, layer)
        each = roots.shape[1]
        points = roots.reshape(count * each, inputs)
        above = self.relevance(level + 1, layer(points))
        # A root of its own differentiates R_j alone; one root for all, their sum.
        seed = np.tile(np.eye(each), (count, 1)) if each == layer.outputs else np.ones(above.shape)
        slope = gradient(above, points, seed).reshape(count, each, inputs)
        roots = points.reshape(count, each, inputs)
        terms = slope * (a.reshape(count, 1, inputs) - roots)
        return terms, roots, above.reshape(count, each, layer.outputs)

    def __call__(self, x: npt.ArrayLike) -> Decomposition:
        """Decompose f at one input, of any shape."""
        a = [Variable(np.asarray(x, np.float64).reshape(1, -1))]
        for layer in self.layers:
            a.append(Variable(layer(a[-1]).value))
        relevance, roots, unresolved = [], [], []
        for level in range(len(self.layers)):
            terms, where, above = self._expand(level, a[level])
            relevance.append(terms.value.sum(1)[0])
            roots.append(where.value[0])
            left = above.value[0]
            unresolved.append(np.diagonal(left) if len(left) == left.shape[1] else left[0])
        return Decomposition(
            activations=tuple(point.value[0] for point in a),
            relevance=(*relevance, a[-1].value[0]),
            roots=tuple(roots),
            unresolved=tuple(unresolved),
        )

    def factors(self, x: npt.ArrayLike, level: int, steps: int = 9) -> Array:
        """c_j = R_j^{l+1}(f_l(a)) / f_l(a)_j on the segment from a_l to root_j, (outputs, steps).

        The training-free rules assume that c_j is constant there. The last step stops short of the root, where
        the quotient is 0 / 0; NaN where the neuron is not active at a_l.
        """
        decomposition = self(x)
        layer, a = self.layers[level], decomposition.activations[level]
        share = np.linspace(0.0, 1.0, steps, endpoint=False)[:, None]
        rows = []
        for j in range(layer.outputs):
            root = decomposition.roots[level][min(j, len(decomposition.roots[level]) - 1)]
            upper = layer(Variable(a + share * (root - a)))
            r = self.relevance(level + 1, Variable(upper.value)).value[:, j]
            active = upper.value[:, j] > 0
            rows.append(np.divide(r, upper.value[:, j], out=np.full(steps, np.nan), where=active))
        return np.array(rows)


def recursion(layers: Sequence[Layer], roots: Sequence[Any] | str) -> Recursion:
    """Layers with a root function each.

    roots: one for each layer, or one rule's name for all. A name (epsilon, gamma, wsquare, zbox, zplus) or a
    `RuleRoot` with its parameters; an array, which stays where it is; a function of a; see `root_functions`.
    UsageError unless there is one for each layer and the last layer has one output.
    """
    functions = [roots] * len(layers) if isinstance(roots, str) else list(roots)
    if len(functions) != len(layers):
        raise UsageError(f"{len(functions)} root functions for {len(layers)} layers; give one for each")
    if layers[-1].outputs != 1:
        raise UsageError(
            f"the last layer has {layers[-1].outputs} outputs; keep the explained one: layer.only(j)"
        )
    return Recursion(tuple(layers), tuple(_root_function(root) for root in functions))


def recursive_taylor(
    explainer: Explainer,
    x: npt.ArrayLike | Mapping[str, npt.ArrayLike],
    target: Any = None,
    roots: Sequence[Any] | str = "zplus",
) -> Decomposition:
    """Decompose one element of a model's output at one sample; the roots are those of `recursion`.

    For chains of linear ops, ReLU, LeakyReLU and max pooling, of moderate size: with one root per neuron the
    cost is the product of the layers' widths. Raises UnsupportedError for other models.
    """
    question = explainer.loaded.question(target)
    feeds = explainer.feeds(x)
    explainer = explainer.at(feeds)
    layers, flat = layers_of(explainer.plan(question.output), feeds, question, explainer.providers)
    return recursion(layers, roots)(flat)


def _root_function(root: Any) -> RootFunction:
    if isinstance(root, str):
        return RuleRoot(root)
    if isinstance(root, (RuleRoot, Constant, Own)):
        return root
    return Own(root) if callable(root) else Constant(np.asarray(root, np.float64))
