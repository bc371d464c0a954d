"""ZipMap, the dictionaries at the end of a classifier, back to the scores that it was given."""

from __future__ import annotations

import json
from dataclasses import replace

from onnxdtd.model.canonise.draft import Draft, nodes
from onnxdtd.model.graph import Graph, Node

LABELS = "onnxdtd.labels"


def zipmap(graph: Graph) -> Graph:
    """{label_k: y_k} -> y: a ZipMap that makes an output is dropped, and the output is the array of its scores
    (N, classes). Its labels become the names of the classes, unless the model's metadata have names already.
    """
    draft = Draft(graph)
    metadata, count = dict(graph.metadata), 0
    for node in graph.nodes:
        if node.domain != "ai.onnx.ml" or node.op != "ZipMap" or draft.users(node.output):
            continue
        draft.values[node.output] = replace(draft.value(node.inputs[0]), name=node.output)
        draft.put(replace(node, op="Identity", domain="", attributes={}))
        metadata.setdefault(LABELS, json.dumps(_labels(node)))
        count += 1
    if not count:
        return graph
    return draft.graph(f"ZipMap dropped, so the scores are an array: {nodes(count)}").replace(
        metadata=metadata
    )


def _labels(node: Node) -> list[str]:
    texts = [text.decode("utf-8", "replace") for text in node.attributes.get("classlabels_strings", ())]
    return texts or [str(number) for number in node.attributes.get("classlabels_int64s", ())]
