"""One node between its inputs and y, and what relevance does there: for points that the examples do not draw."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper

from onnxdtd import Explainer
from onnxdtd.plan.plan import Plan
from onnxdtd.walk.backward import walk
from onnxdtd.walk.run import NumpyWalker

Array = np.ndarray


def model_of(
    op: str, feeds: dict[str, Array], opset: int, outputs: int = 1, **attributes: Any
) -> onnx.ModelProto:
    """One node that reads the feeds in their order; a name that starts with c is a constant."""
    names = [*(f"y{i or ''}" for i in range(outputs))]
    nodes = [helper.make_node(op, list(feeds), names, **attributes)]
    elem_types = {name: helper.np_dtype_to_tensor_dtype(x.dtype) for name, x in feeds.items()}
    inputs = [
        helper.make_tensor_value_info(name, elem_types[name], x.shape)
        for name, x in feeds.items()
        if name[0] != "c"
    ]
    constants = [onnx.numpy_helper.from_array(x, name) for name, x in feeds.items() if name[0] == "c"]
    graph = helper.make_graph(nodes, "one", inputs, [onnx.ValueInfoProto(name="y")], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model, data_prop=True)


def passed(
    op: str, feeds: dict[str, Any], *, rule: dict[str, Any] | str = "gradient", opset: int = 17, **more: Any
) -> tuple[Plan, dict[str, Array]]:
    """The plan, and the values of the forward pass."""
    arrays = {k: x if isinstance(x, np.ndarray) else np.array(x, np.float32) for k, x in feeds.items()}
    entry = {"use": rule} if isinstance(rule, str) else {"use": "epsilon", **rule}
    explainer = Explainer(model_of(op, arrays, opset, **more), "gradient", rules=[{"op": op, **entry}])
    plan = explainer.plan()
    forward = NumpyWalker(plan, explainer.providers).forward
    return plan, dict(forward({k: x for k, x in arrays.items() if k[0] != "c"}))


def relevance(op: str, feeds: dict[str, Any], r: Any = None, **more: Any) -> dict[str, Array]:
    """What arrives at the inputs if r (or 1 everywhere) starts at y."""
    plan, values = passed(op, feeds, **more)
    seed = np.ones_like(values["y"]) if r is None else np.array(r, np.float32)
    with np.errstate(all="raise", under="ignore"):
        return walk(plan, values, seed)
