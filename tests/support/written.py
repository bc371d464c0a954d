"""What a tracer has written, as a file has it."""

from __future__ import annotations

import onnx

from onnxdtd.primitives import Tracer


def written(tracer: Tracer) -> list[onnx.NodeProto]:
    """Its nodes."""
    graph = onnx.GraphProto()
    return [node.write(graph) for node in tracer.nodes]
