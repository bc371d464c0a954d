"""The model as a score of perturbed inputs: the explained logit, and the class probability that goes with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from onnxdtd.errors import TargetError
from onnxdtd.explainer import Explainer
from onnxdtd.passes.embedded import token_ids
from onnxdtd.plan.batch import batch_axis, samples_first
from onnxdtd.plan.masks import masks
from onnxdtd.plan.target import Target
from onnxdtd.runs.batches import chunks, filled, fixed_batch, taken
from onnxdtd.types import Array, Arrays


class Scorer:
    """(N, K) logits and probabilities of N inputs, `batch` at a time (a model's own batch, where it is fixed).

    output: the first floating-point one by default. inputs: the floating-point ones, which can be perturbed; where
    there are none, those of tokens, in whose places another token can stand. masks: what says which of these count.
    probability: softmax of the logits; their sigmoid, where the graph ends in one; None for a single output without.
    """

    def __init__(self, explainer: Explainer, output: str | None, batch: int) -> None:
        graph = explainer.graph
        floats = [name for name in graph.outputs if graph.value(name).is_float]
        if (output not in floats) if output is not None else not floats:
            raise TargetError(
                f"no floating-point output{f' {output}' if output else ''}; there are {', '.join(floats) or 'none'}"
            )
        self.graph, self.output = graph, output or floats[0]
        self._target = graph.target(self.output)
        self._explainer = explainer
        self.inputs = tuple(name for name in graph.inputs if graph.value(name).is_float)
        self.tokens = not self.inputs
        self.masks: tuple[str, ...] = ()
        if self.tokens:
            self.inputs, self.masks = token_ids(explainer.plan(self.output)), masks(graph)
        if not self.inputs:
            raise TargetError("no input holds floating-point numbers or tokens, so none can be perturbed")
        self.fixed = fixed_batch(graph)
        self.batch = self.fixed or batch
        self.shape: tuple[int, ...] = ()

    def logits(self, feeds: Arrays) -> Array:
        """(N, K) float64 of the inputs (N, ...). TargetError for an output of several elements a class."""
        count = len(next(iter(feeds.values())))
        logits = []
        for rows in chunks(count, self.batch):
            part = taken(feeds, filled(rows, self.fixed))
            values = np.asarray(self._explainer.forward([self._target])(part)[self._target], np.float64)
            values = samples_first(values, batch_axis(self.graph, self._target, values.shape, part))
            self.shape = values.shape[1:]
            if sum(n > 1 for n in self.shape) > 1:
                raise TargetError(
                    f"output '{self.output}' has the shape {self.shape} behind the batch axis; "
                    "an evaluation scores one element of (N, classes)"
                )
            rows_in = len(next(iter(part.values())))
            if values.shape[:1] != (rows_in,) or not values.size:
                raise TargetError(
                    f"output '{self.output}' has the shape {values.shape} for {rows_in} inputs; an evaluation scores "
                    "one element of (N, classes)"
                )
            logits.append(values.reshape(len(values) if values.ndim else 1, -1)[: len(rows)])
        return np.concatenate(logits)

    def probabilities(self, logits: Array) -> Array | None:
        """(N, K)."""
        consumers = {node.op for node in self.graph.nodes if self._target in node.inputs}
        if self._target != self.output and "Sigmoid" in consumers:
            return np.asarray(1 / (1 + np.exp(-logits)))
        if logits.shape[1] < 2:
            return None
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(e / e.sum(axis=1, keepdims=True))

    def target(self, classes: Sequence[int] | npt.NDArray[np.intp]) -> Target:
        """What an Explainer takes for these classes, one for each sample."""
        if not self.shape:
            return Target(self.output)
        indices = [tuple(int(i) for i in np.unravel_index(c, self.shape)) for c in classes]
        return Target(self.output, tuple(indices))
