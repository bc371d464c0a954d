"""`predict_fn`: the model as a function of rows, for tools that ask a black box many times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from onnxdtd.errors import InputError, UsageError
from onnxdtd.explainer import Explainer
from onnxdtd.inputs import check_inputs
from onnxdtd.model.ending import Ending, endings
from onnxdtd.model.graph import Graph
from onnxdtd.model.unbatched import batched
from onnxdtd.plan.batch import batch_axis, samples_first
from onnxdtd.runs.batches import chunks, filled, fixed_batch, taken
from onnxdtd.settings import Model, graph_of
from onnxdtd.types import Array, Inputs
from onnxdtd.walk.forward import Forward, providers_for

ROWS = 32


class Predict:
    """p = f(x): N inputs -> (N, classes) float64, on one onnxruntime session, `batch` rows at a time.

    output: which one is predicted. how: `softmax` (the output is taken for logits), `exp` (for their logarithms),
    or `as it is`. rows: predicted so far. Made by `predict_fn`.
    """

    def __init__(self, graph: Graph, output: str, how: Ending, batch: int, forward: Forward) -> None:
        self.graph, self.output, self.rows = graph, output, 0
        self.how, self._forward = how, forward
        self._fixed = fixed_batch(graph)
        self._rows = self._fixed or batch

    def __call__(self, x: Inputs) -> Array:
        """x: (N, ...), rows (N, features) of an input that has more axes, or a dict by input name."""
        arrays = x if isinstance(x, Mapping) else dict.fromkeys(self.graph.inputs, x)
        feeds = {name: self._shaped(name, np.asarray(array)) for name, array in arrays.items()}
        counts = {len(array) if array.ndim else 0 for array in feeds.values()}
        if len(counts) != 1 or 0 in counts:
            raise InputError("predict_fn takes one row or more, as many in every input, batch axis first")
        (count,) = counts
        parts = [self._part(feeds, rows) for rows in chunks(count, self._rows)]
        self.rows += count
        return np.concatenate(parts)

    def _part(self, feeds: Mapping[str, Array], rows: npt.NDArray[np.intp]) -> Array:
        values = {v: self.graph.value(v) for v in self.graph.inputs}
        part = check_inputs(taken(feeds, filled(rows, self._fixed)), values)
        logits = np.asarray(self._forward(part)[self.output], np.float64)
        axis = batch_axis(self.graph, self.output, logits.shape, part)
        logits = samples_first(logits, axis)[: len(rows)]
        if self.how == "softmax":
            if logits.ndim != 2 or logits.shape[1] < 2:
                raise UsageError(
                    f"'{self.output}' of shape {logits.shape} holds no logits of several classes: "
                    "probabilities=False gives its values as they are"
                )
            logits = np.exp(logits - logits.max(axis=1, keepdims=True))
            return np.asarray(logits / logits.sum(axis=1, keepdims=True))
        return np.exp(logits) if self.how == "exp" else logits

    def _shaped(self, name: str, array: Array) -> Array:
        shape = self.graph.value(name).shape or ()
        if array.ndim == 2 and len(shape) > 2 and all(isinstance(n, int) for n in shape[1:]):
            sizes = [int(n) for n in shape[1:] if n is not None]
            if array.shape[1] == np.prod(sizes):
                return array.reshape(-1, *sizes)
        return array


def predict_fn(
    model: Model | Explainer,
    *,
    output: str | None = None,
    probabilities: bool = True,
    batch: int = ROWS,
    providers: Sequence[str] | str | None = None,
) -> Predict:
    """A predict function of an ONNX model, such as LIME, SHAP and Anchors take: N x features -> N x classes.

    model: as for `Explainer`, or an explainer, whose loaded model and sessions are then taken. output: by default
    the first with floating-point values. probabilities: softmax over the classes, unless the graph ends in a
    Softmax, a Sigmoid (each column is a probability of its own) or a Normalizer, or in a LogSoftmax, which is
    undone; casts and reshapes behind them do not count. The graph decides, never the values. A model that
    computes probabilities from other ops, or none: probabilities=False gives the output as it is. batch: rows of
    one pass; of a model with a fixed batch that many, the last filled up. Raises UsageError, ModelError,
    ProviderError; calls raise InputError.
    """
    model = model.batched if isinstance(model, Explainer) else batched(graph_of(model))
    graph = model.graph if isinstance(model, Explainer) else model
    floats = [name for name in graph.outputs if graph.value(name).is_float]
    if (output not in floats) if output is not None else not floats:
        raise UsageError(
            f"no floating-point output {output or ''}; the model has {', '.join(floats) or 'none'}"
        )
    if not isinstance(batch, int) or batch < 1:
        raise UsageError(f"batch is the number of rows of one pass, at least 1, not {batch!r}")
    output = output or floats[0]
    if isinstance(model, Explainer):
        how, forward = (
            model.loaded.endings[output],
            model.by(providers=providers or model.providers).forward([output]),
        )
    else:
        how, forward = endings(graph)[output], Forward(graph, [output], providers_for(providers))
    return Predict(graph, output, how if probabilities else "as it is", batch, forward)
