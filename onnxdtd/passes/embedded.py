"""A model from where its tokens are vectors: what cannot be moved by a little is taken where it can."""

from __future__ import annotations

import dataclasses
import glob
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import TensorProto

from onnxdtd.errors import TargetError, UsageError
from onnxdtd.explainer import Explainer
from onnxdtd.explanation import Explanation
from onnxdtd.inputs import token_number
from onnxdtd.inputs.tokenizer import role
from onnxdtd.model.graph import Graph, needs
from onnxdtd.ops import OPS
from onnxdtd.plan.inside import below
from onnxdtd.plan.plan import Plan
from onnxdtd.plan.step import Step
from onnxdtd.plan.target import Target
from onnxdtd.types import Array, Arrays


def tokens(plan: Plan) -> tuple[str, ...]:
    """The explained inputs that are looked up: integers and texts, without those that are only cast, which are
    numbers."""
    _, arrived = below(plan.steps, _values(plan))
    return tuple(name for name in plan.inputs if name not in plan.floats and name in arrived)


def token_ids(plan: Plan) -> tuple[str, ...]:
    """Those of them that say which token it is, not of which kind, or where."""
    return tuple(name for name in tokens(plan) if role(name) == "ids")


class Embedded:
    """One batch, with the values that its tokens are turned into as inputs.

    base: the explanation of x by one gradient pass. values: by name, what stands for tokens. explainer: of the model
    behind them, feeds: its inputs, target: the same elements as those of `base`. Raises TargetError where a
    sample explains several elements.
    """

    def __init__(self, explainer: Explainer, x: Any, target: Any) -> None:
        self._whole = explainer
        self.base = explainer.one_pass(x, target)
        plan = explainer.plan(self.base.output)
        self.values = _values(plan)
        behind = _behind(plan.graph, self.values)
        self.explainer = Explainer(
            behind, explainer.method, explainer.engine, providers=explainer.providers,
            bias=explainer.bias, rules=[*explainer.overrides, *_conditions(behind)],
        )  # fmt: skip
        every = {**self.base.inputs, **self._vectors(self.base.inputs)}
        self.feeds = {name: every[name] for name in self.explainer.inputs}
        self.target = one_element(self.base)

    def baseline(self, given: Any, token: int | str | None) -> dict[str, Any]:
        """What a user gives for the inputs that are floats, and for the others the vectors of one token at every
        place, or zero. Raises UsageError for a token that no input can take."""
        plan = self._whole.plan(self.base.output)
        own = given if isinstance(given, Mapping) else dict.fromkeys(plan.floats, given)
        if token is None:
            return {**own, **dict.fromkeys(self.values, 0.0)}
        names = token_ids(plan)
        if not names:
            raise UsageError("baseline_token: no explained input holds the numbers of tokens")
        number = token_number(self._whole.loaded.reader, token)
        return {**own, **self._vectors(replaced(self.base.inputs, names, number))}

    def back(self, e: Explanation) -> Explanation:
        """An explanation of the model behind, as one of the tokens: each has what its vectors were given."""
        start = {name: e.relevance[name] for name in self.values}
        walk = self._whole.by("gradient", engine="numpy")
        arrived = walk.one_pass(self.base.inputs, Target(self.base.output), start=start).relevance
        relevance = {**arrived, **{name: r for name, r in e.relevance.items() if name in self.base.relevance}}
        return dataclasses.replace(
            self.base, method=e.method, relevance=relevance, seed=e.seed, nodes=(), constants={}, extras=e.extras,
            warnings=tuple(dict.fromkeys((*self.base.warnings, *e.warnings))),
        )  # fmt: skip

    def _vectors(self, inputs: Arrays) -> dict[str, Array]:
        return self._whole.forward(self.values)(inputs)


def replaced(inputs: Arrays, names: Sequence[str], token: int) -> dict[str, Array]:
    """The inputs with one token at every place of the named ones. Raises UsageError where their type cannot hold it,
    or where they hold texts."""
    arrays = dict(inputs)
    for name in names:
        like = inputs[name]
        if like.dtype.kind not in "iu" or not np.iinfo(like.dtype).min <= token <= np.iinfo(like.dtype).max:
            raise UsageError(f"token {token} does not fit into '{name}' of {like.dtype}")
        arrays[name] = np.full_like(like, token)
    return arrays


def _values(plan: Plan) -> tuple[str, ...]:
    """The floats that an op makes of integers which are not among them: a vector or a code for each."""
    return tuple(
        value
        for step in plan.steps
        if step.op.family == "embedding" and not _keeps(plan.graph, step)
        for value in step.op.carried(step.node.outputs)
        if plan.graph.value(value).is_float
    )


def _keeps(graph: Graph, step: Step) -> bool:
    """Whether the op hands on the numbers that it reads, in another type; what it reads of a comparison with all of
    them are no numbers, and it makes a code of one place for each."""
    slots = {*step.slots}.intersection(OPS[step.node.domain, step.node.op].data or ())
    return any(graph.value(step.node.inputs[slot]).elem_type != TensorProto.BOOL for slot in slots)


def _behind(graph: Graph, values: Sequence[str]) -> Graph:
    nodes = tuple(node for node in graph.nodes if not set(values).intersection(node.outputs))
    cut = dataclasses.replace(graph, originals=(), notes=()).replace(nodes=nodes)
    inputs = tuple(name for name in (*values, *graph.inputs) if name in cut.consumers)
    return dataclasses.replace(cut, inputs=inputs)


def _conditions(graph: Graph) -> list[dict[str, str]]:
    """Rules by which the integers that are left, masks and what else is only compared, get no relevance."""
    integers = {name for name in graph.inputs if not graph.value(name).is_float}
    readers = {node.name for name in integers for node in graph.consumers.get(name, ())}
    names = [
        node.name
        for node in graph.nodes
        if node.name in readers
        and not any(graph.value(v).is_float for v in needs(node) if v not in graph.constants)
    ]
    return [{"name": glob.escape(name), "use": "stop"} for name in names]


def one_element(base: Explanation) -> Target:
    """The elements that an explanation is of, one for each sample. Raises TargetError for several."""
    if several := [len(indices) for indices in base.target if len(indices) != 1]:
        raise TargetError(
            f"a method of many passes explains one element of each sample, not {several[0]}; "
            "give one index, such as 0,0"
        )
    if base.batch_axis is None:  # all of the output is one sample's
        return Target(base.output, base.target[0][0])
    if base.outputs[base.output].ndim < 2:
        return Target(base.output)
    return Target(base.output, tuple(indices[0] for indices in base.target))
