"""A model as the chain of layers that the recursive Taylor method decomposes: f = f_n ∘ ... ∘ f_1.

    f_l(a) = bend(affine(a))        a (N, inputs) -> (N, outputs), flat, float64, as variables of `tape`

A layer ends where a linear op follows an activation: Conv, Relu, MaxPool is one layer. What is linear at a point
is asked of the ops' sites; no op is written a second time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import numpy.typing as npt

from onnxdtd.errors import TargetError, UnsupportedError, UsageError
from onnxdtd.model.graph import Graph
from onnxdtd.model.point import Point
from onnxdtd.ops import OPS
from onnxdtd.plan.plan import Plan, needed
from onnxdtd.plan.seed import ask
from onnxdtd.plan.step import Step
from onnxdtd.plan.target import Target
from onnxdtd.theory.tape import Variable, gradient, linear
from onnxdtd.types import Array
from onnxdtd.walk.forward import Forward

Map = Callable[[Variable], Variable]
Shape = tuple[int, ...]

BENDS = tuple(sorted(op.name for op in OPS.values() if op.value is not None))
"""What may stand between linear ops: piecewise linear, with no constant part at the point."""

LARGEST_MATRIX = 1 << 26
"""Weights of one layer, written out; only the rules' roots ask for them."""


@dataclass(frozen=True)
class Layer:
    """f(a) = bend(affine(a)). neuronwise: bend is elementwise, so that each output belongs to one neuron."""

    name: str
    inputs: int
    outputs: int
    affine: Map
    bend: Map
    neuronwise: bool = True

    def __call__(self, a: Variable) -> Variable:
        """(N, inputs) -> (N, outputs)."""
        return self.bend(self.affine(a))

    @cached_property
    def weights(self) -> Array:
        """w_ji (outputs, inputs), one row per neuron. UsageError where outputs are no neurons, or too many."""
        cure = "give it a constant root or a function of your own"
        if not self.neuronwise:
            raise UsageError(
                f"layer {self.name} pools behind its activation, so no rule has roots there; {cure}"
            )
        if self.inputs * self.outputs > LARGEST_MATRIX:
            raise UsageError(
                f"layer {self.name} has {self.outputs} neurons of {self.inputs} weights, too many to give each a "
                f"root; {cure}"
            )
        origin = Variable(np.zeros((self.outputs, self.inputs)))
        rows: Array = gradient(self.affine(origin), origin, np.eye(self.outputs)).value
        return rows

    @cached_property
    def bias(self) -> Array:
        """b_j (outputs,)."""
        offsets: Array = self.affine(Variable(np.zeros((1, self.inputs)))).value[0]
        return offsets

    def only(self, j: int) -> Layer:
        """The layer with its output j alone."""
        if not self.neuronwise:
            raise UnsupportedError(
                f"{self.name}: the explained value is pooled; explain the value before the pool"
            )
        keep = np.eye(self.outputs)[:, [j]]
        return replace(self, outputs=1, affine=lambda a: self.affine(a) @ keep)


def dense(
    weights: npt.ArrayLike, bias: npt.ArrayLike = 0.0, *, relu: bool = True, name: str = "dense"
) -> Layer:
    """[W a + b]^+, or without relu W a + b, as a layer; weights (outputs, inputs)."""
    w = np.asarray(weights, np.float64)
    b = np.broadcast_to(np.asarray(bias, np.float64), len(w))
    return Layer(name, w.shape[1], w.shape[0], lambda a: a @ w.T + b, rectified if relu else identity)


def rectified(a: Variable) -> Variable:
    """[a]^+, with slope 0 at 0."""
    return a.where(a.value > 0)


def identity(a: Variable) -> Variable:
    """a itself."""
    return a


def layers_of(
    plan: Plan, feeds: Mapping[str, Array], target: Target, providers: Sequence[str]
) -> tuple[tuple[Layer, ...], Array]:
    """The chain from a plan's input to one element of its target, and the input, flat, in float64.

    feeds: one sample. Raises UnsupportedError, listing every node that bends smoothly or joins several paths;
    UsageError for more than one sample, TargetError for more than one explained element.
    """
    _check_chain(plan)
    x = feeds[plan.inputs[0]]
    if len(x) != 1:
        raise UsageError(f"the recursion takes one sample, not {len(x)}; call it for each")
    values = Forward(plan.graph, [*needed(plan), plan.output], list(providers))(feeds)
    explained = np.flatnonzero(ask(target, plan.graph, plan.output, values, feeds).mask)
    if len(explained) != 1:
        raise TargetError(
            f"the recursion explains one number, the target has {len(explained)}; give an index"
        )
    constants = {
        k: v.astype(np.float64) if v.dtype.kind == "f" else v for k, v in plan.graph.constants.items()
    }
    # For this sample, what follows from sizes is a constant.
    constants |= {step.node.bias: values[step.node.bias] for step in plan.steps if step.node.bias in values}
    graph = plan.graph.replace(constants=constants)
    shapes = {name: value.shape[1:] for name, value in values.items()}
    layers = [_layer(graph, affine, bend, shapes) for affine, bend in _grouped(plan.steps)]
    return (*layers[:-1], layers[-1].only(int(explained[0]))), np.asarray(x, np.float64).reshape(-1)


def _check_chain(plan: Plan) -> None:
    faults, before = [], plan.inputs[0]
    for step in plan.steps:
        if len(step.slots) > 1 or step.node.inputs[step.slots[0]] != before:
            faults.append(
                f"{step.node}: the recursion follows a single path, and this node joins or splits paths"
            )
        elif step.op.kind not in ("linear", "route") and step.op.value is None:
            faults.append(f"{step.node}: the recursion takes linear ops and {', '.join(BENDS)} only")
        before = step.node.output
    if faults:
        raise UnsupportedError(faults)


def _grouped(steps: Sequence[Step]) -> list[tuple[list[Step], list[Step]]]:
    """Linear steps with the bends that follow them, layer by layer."""
    groups: list[tuple[list[Step], list[Step]]] = [([], [])]
    for step in steps:
        straight = step.op.kind in ("linear", "route")
        if straight and groups[-1][1]:
            groups.append(([], []))
        groups[-1][0 if straight else 1].append(step)
    return groups


def _layer(graph: Graph, affine: Sequence[Step], bend: Sequence[Step], shapes: Mapping[str, Shape]) -> Layer:
    first = (*affine, *bend)[0]
    begin = shapes[first.node.inputs[first.slots[0]]]
    middle = shapes[affine[-1].node.output] if affine else begin
    end = shapes[bend[-1].node.output] if bend else middle
    run = partial(_run, graph, shapes=shapes)
    return Layer(
        name=(affine or bend)[-1].node.name,
        inputs=math.prod(begin),
        outputs=math.prod(end),
        affine=partial(run, affine, begin),
        bend=partial(run, bend, middle),
        neuronwise=all(step.op.kind == "elementwise" for step in bend),
    )


def _run(
    graph: Graph, steps: Sequence[Step], begin: Shape, a: Variable, *, shapes: Mapping[str, Shape]
) -> Variable:
    """The steps one after the other, from flat to flat; each is the linear map that its site is at the point."""
    count = len(a.value)
    if any(step.op.kind != "elementwise" for step in steps):
        a = a.reshape(count, *begin)
    for step in steps:
        node, x = step.node, a.value
        # Linear sites read the shape of their output only; whoever reads its values would spread NaN.
        y = np.broadcast_to(np.nan, (count, *shapes[node.output]))
        point = Point(node, graph, step.slots, {node.inputs[step.slots[0]]: x, node.output: y})
        if step.op.value is not None:
            point = replace(point, values={**point.values, node.output: step.op.value(point)})
        site = step.build(point)
        (at,) = site.maps
        a = linear(a, partial(at.apply, at.weights), partial(at.adjoint, at.weights))
        a = a if site.bias is None else a + site.bias
    return a.reshape(count, math.prod(a.shape[1:]))
