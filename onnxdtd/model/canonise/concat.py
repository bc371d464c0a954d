"""A scale and a shift behind a Concat, on its parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnxdtd.model.canonise.batch_normalization import behind_sums, step_of
from onnxdtd.model.canonise.chains import chain, value_like
from onnxdtd.model.canonise.contraction import fits
from onnxdtd.model.canonise.draft import Draft, free, nodes, static
from onnxdtd.model.canonise.steps import Step, back, data_of, may_give_way
from onnxdtd.model.graph import Graph, Node
from onnxdtd.model.units import inputs_in_units, units


def concat(graph: Graph) -> Graph:
    """a (x, y) + c = (a1 x + c1, a2 y + c2): a scale or a shift behind a Concat is one on each of its parts where
    some part may take it: a weighted sum, or a graph input, of which it is a change of units. A Transpose or a
    Reshape may stand between. Where something else reads a value between, that keeps a copy.
    """
    draft, count = Draft(graph), 0
    takers = behind_sums(graph, draft) | inputs_in_units(graph)
    for node in graph.nodes:
        passes = may_give_way(node, draft) or (node.op == "Concat" and not node.domain)
        if passes and not takers.isdisjoint(node.inputs):
            takers.add(node.output)
    at_inputs = units(graph)
    waiting = [node for node in reversed(graph.nodes) if node.name not in at_inputs]
    while waiting:
        node = waiting.pop()
        steps = _parted(node, takers, draft) if data_of(node, draft) in takers else None
        if steps is not None:
            waiting += reversed(steps)
            count += 1
    return draft.graph(f"scale or shift behind a Concat put on its parts: {nodes(count)}") if count else graph


def _parted(node: Node, takers: set[str], draft: Draft) -> list[Node] | None:
    """The steps on the parts, which are put in the place of this one; None where there are none."""
    value, moves = data_of(node, draft), list[Node]()
    step = step_of(node, draft)
    while step is not None and value in takers and (maker := draft.maker(value)) is not None:
        if maker.op == "Concat" and not maker.domain:
            parts = None if draft.is_captured(value) else _parts(maker, step, draft)
            if parts is None:
                return None
            made, inputs = list[Node](), list[str]()
            for part, own in zip(maker.inputs, parts, strict=True):
                if part in draft.constants:
                    moved = own.scale * draft.constants[part] + own.shift
                    inputs.append(draft.constant(f"{part}/scaled", moved.astype(draft.constants[part].dtype)))
                    continue
                steps = _written(node, part, own, draft)
                inputs.append(steps[-1].output if steps else part)
                made += steps
            draft.remove(node)
            pairs = [(maker, replace(maker, inputs=tuple(inputs))), *((m, m) for m in reversed(moves))]
            takers.update(chain(pairs, node, draft))
            takers.update(step.output for step in made)
            return made
        step = back(maker, step, draft)
        moves.append(maker)
        value = data_of(maker, draft)
    return None


def _parts(join: Node, step: Step, draft: Draft) -> list[Step] | None:
    """The step of each part of a Concat; None where a length is not known along which it varies."""
    shapes = [draft.value(part).shape for part in join.inputs]
    rank = draft.rank(join.output)
    if rank is None or any(shape is None or len(shape) != rank for shape in shapes):
        return None
    if not all(fits(numbers.shape, draft.value(join.output).shape) for numbers in (step.scale, step.shift)):
        return None
    axis = join.attributes["axis"] % rank
    lengths = static(shape[axis] for shape in shapes if shape is not None)
    places = None if lengths is None else np.cumsum(lengths)[:-1]
    cuts = []
    for numbers in (step.scale, step.shift):
        aligned = numbers.reshape((1,) * (rank - numbers.ndim) + numbers.shape)
        if aligned.shape[axis] == 1:
            cuts.append([aligned] * len(shapes))
        elif places is None or lengths is None or aligned.shape[axis] != sum(lengths):
            return None
        else:
            cuts.append(np.split(aligned, places, axis))
    return [Step(scale, shift) for scale, shift in zip(*cuts, strict=True)]


def _written(node: Node, part: str, step: Step, draft: Draft) -> list[Node]:
    """The step on one value, as a product and a sum."""
    made = list[Node]()
    for op, numbers, idle in (("Mul", step.scale, 1), ("Add", step.shift, 0)):
        if not (numbers == idle).all():
            number = draft.constant(f"{node.name}/{op}", numbers.astype(draft.value(part).dtype))
            scaled = value_like(part, draft)
            made.append(Node(free(f"{node.name}/{op}", draft.nodes), op, (part, number), (scaled,)))
            draft.put(made[-1], at=node)
            part = scaled
    return made
