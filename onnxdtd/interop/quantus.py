"""Quantus, a collection of metrics for explanations, on ONNX models (Hedström et al. 2023).

metric = quantus.FaithfulnessCorrelation(...)
model = onnxdtd.interop.quantus_model("model.onnx")
metric(model=model, x_batch=x, y_batch=y, a_batch=None,
       explain_func=onnxdtd.interop.quantus_explain_func, explain_func_kwargs={"method": "dtd"})
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from onnxdtd.errors import UsageError
from onnxdtd.passes import Explainer
from onnxdtd.predict import predict_fn
from onnxdtd.settings import Source
from onnxdtd.types import Array

LAYERS = {"Conv": 1, "ConvTranspose": 1, "Gemm": 1, "MatMul": 1}
"""Operators with weights, and the slot of these."""


def quantus_explain_func(
    model: Any, inputs: npt.ArrayLike, targets: Any, *, method: str = "auto", **kwargs: Any
) -> Array:
    """Relevance (N, ...) of each sample's own target, for Quantus's `explain_func`.

    model: what `quantus_model` made, with the weights that it has now; or a path, bytes, an onnx.ModelProto; or an
    Explainer, whose method then counts. inputs: (N, ...), cast to the model's floating-point type. targets: (N,)
    classes. kwargs: of `Explainer`, such as input_range; what Quantus adds itself (`device`) is dropped.
    """
    kwargs.pop("device", None)
    if not isinstance(model, Explainer):
        source: Source = model.to_onnx() if hasattr(model, "to_onnx") else model
        model = Explainer(source, method, **kwargs)
    classes = [int(target) for target in np.asarray(targets).ravel()]
    relevance = model(np.asarray(inputs), classes).relevance
    if len(relevance) != 1:
        raise UsageError(f"quantus explains models of one input, not {', '.join(relevance)}")
    return next(iter(relevance.values()))


def quantus_model(model: Source) -> Any:
    """The model as a torch.nn.Module that onnxruntime runs, which is what Quantus takes; in evaluation mode.

    Its output is the ONNX model's (of the first floating-point one), so softmax=True is for models that give logits.
    Layers with weights are its children; randomisation tests draw them anew from a normal distribution with each
    tensor's mean and deviation (Adebayo et al. 2018). It has no gradients and no hidden representations to offer.
    Raises UsageError where torch, which Quantus needs for this, is missing.
    """
    return _module()(_proto(model)).eval()


@cache
def _module() -> Any:
    try:
        torch: Any = importlib.import_module("torch")
    except ImportError:
        raise UsageError(
            "torch is not installed here, and Quantus needs it: pip install torch quantus"
        ) from None

    class Layer(torch.nn.Module):  # type: ignore[misc]  # torch has no types where it is not installed
        """The weights of one ONNX node."""

        def __init__(self, weight: Array) -> None:
            super().__init__()
            self.mean, self.deviation = float(weight.mean()), float(weight.std())
            self.weight = torch.nn.Parameter(torch.from_numpy(weight.copy()), requires_grad=False)

        def reset_parameters(self) -> None:
            """Draw them anew."""
            self.weight.normal_(self.mean, self.deviation)

    class OnnxModule(torch.nn.Module):  # type: ignore[misc]  # likewise
        """An ONNX model whose weights can be changed, and which onnxruntime runs."""

        def __init__(self, model: onnx.ModelProto) -> None:
            super().__init__()
            self._model, self._names = model, _layers(model)
            tensors = {t.name: t for t in model.graph.initializer}
            for i, name in enumerate(self._names):
                self.add_module(f"layer_{i}", Layer(numpy_helper.to_array(tensors[name])))

        def to_onnx(self) -> onnx.ModelProto:
            """The model with the weights of now."""
            changed = onnx.ModelProto()
            changed.CopyFrom(self._model)
            now = dict(zip(self._names, self.parameters(), strict=True))
            for tensor in changed.graph.initializer:
                if tensor.name in now:
                    tensor.CopyFrom(numpy_helper.from_array(now[tensor.name].numpy(), tensor.name))
            return changed

        def forward(self, x: Any) -> Any:
            """The output, (N, classes), by a session that is kept until weights change."""
            versions = tuple(weight._version for weight in self.parameters())
            kept = self.__dict__.get("_kept")
            if kept is None or kept[0] != versions:
                kept = versions, predict_fn(self.to_onnx(), probabilities=False)
                self.__dict__["_kept"] = kept
            return torch.from_numpy(kept[1](x.numpy())).to(x.dtype)

        def __getstate__(self) -> dict[str, Any]:
            """A copy makes its own session."""
            return {name: value for name, value in self.__dict__.items() if name != "_kept"}

    return OnnxModule


def _proto(model: Source) -> onnx.ModelProto:
    """A copy that holds its weights, whatever the source."""
    if isinstance(model, onnx.ModelProto):
        return model
    return onnx.load_from_string(model) if isinstance(model, bytes) else onnx.load(model)


def _layers(model: onnx.ModelProto) -> list[str]:
    """The weights of each layer that has any, in the order of the graph, each once."""
    constants = {t.name for t in model.graph.initializer}
    nodes = [node.input[LAYERS[node.op_type]] for node in model.graph.node if node.op_type in LAYERS]
    return [name for name in dict.fromkeys(nodes) if name in constants]
