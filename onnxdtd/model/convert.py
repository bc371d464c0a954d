"""A model in a newer opset: onnx's converter, and what that gets wrong."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import onnx
from onnx import helper, version_converter

from onnxdtd.errors import UnsupportedError
from onnxdtd.types import Arrays

ASYMMETRIC_BEFORE = 11
"""Before this opset Resize and Upsample read at o / scale; later ones say how, and mean another thing by default."""


def converted(model: onnx.ModelProto, constants: Arrays, opset: int) -> onnx.ModelProto:
    """The same function in that opset. Raises UnsupportedError, one line, where onnx's converter gives up."""
    before = max(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    resizing = [node for node in model.graph.node if node.op_type in ("Resize", "Upsample")]
    scales = [_scales(node, constants) for node in resizing]
    try:
        newer = version_converter.convert_version(model, opset)
    except Exception as error:
        # The converter's errors come from C++ and have no common base of their own.
        raise UnsupportedError((str(error).splitlines() or [type(error).__name__])[0]) from None
    if before < ASYMMETRIC_BEFORE:
        # The converter keeps the order of the nodes, and not all names of what they make.
        resized = [node for node in newer.graph.node if node.op_type == "Resize"]
        for node, own in zip(resized, scales, strict=True):
            _as_before(node, own)
    return newer


def _scales(node: onnx.NodeProto, constants: Mapping[str, np.ndarray]) -> Collection[float]:
    """The factors of all axes, none where they are known at run time only."""
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    stated = attributes.get("scales")
    return list(stated if stated is not None else constants.get((*node.input, "", "")[1], np.zeros(0)))


def _as_before(node: onnx.NodeProto, scales: Collection[float]) -> None:
    """What the older operator did unasked: it takes the neighbour before or, where it shrinks, the one behind."""
    nearest = "ceil" if min(scales, default=1.0) < 1 else "floor"
    said = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": nearest}
    node.attribute.extend(helper.make_attribute(name, value) for name, value in said.items())
