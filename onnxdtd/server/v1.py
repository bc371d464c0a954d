"""KServe's V1 protocol: `instances`, one a sample, and an answer for each of them.

An instance is the sample as nested lists, or a dict of these by input name. For a model of pictures {"b64": ...} is
the file of one; for a model with a tokenizer a text is a text. `parameters` are those of the other protocol.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import numpy as np

from onnxdtd.disk import parsed_json
from onnxdtd.errors import InputError
from onnxdtd.server.model import REST, Answer, Served
from onnxdtd.server.question import Question, asked
from onnxdtd.server.tensors import datatype_of, from_json, to_json
from onnxdtd.types import Array

ENCODED = "b64"


def read_request(served: Served, body: bytes, explains: bool) -> Question:
    """A request to predict or to explain. Raises InputError, TargetError, UsageError."""
    try:
        document = parsed_json(body)
    except ValueError as error:
        raise InputError(f"the body is no JSON: {error}") from None
    instances = document.get("instances") if isinstance(document, dict) else None
    if not isinstance(instances, list) or not instances:
        raise InputError('the body must be {"instances": [...]}, with one sample or more')
    parameters = document.get("parameters", {})
    if not isinstance(parameters, dict):
        raise InputError("'parameters' must be a JSON object")
    return asked(served.explainer, _inputs(served, instances), parameters, explains)


def _inputs(served: Served, instances: list[Any]) -> dict[str, Array] | list[str]:
    explainer = served.explainer
    if explainer.loaded.reader is not None and all(isinstance(text, str) for text in instances):
        return instances
    columns: dict[str, list[Any]]
    if all(isinstance(row, dict) and ENCODED not in row for row in instances):
        names = instances[0].keys()
        if any(row.keys() != names for row in instances):
            raise InputError("the instances do not all have the same inputs")
        columns = {name: [row[name] for row in instances] for name in names}
    elif len(explainer.inputs) == 1:
        columns = dict.fromkeys(explainer.inputs, instances)
    else:
        raise InputError(f"an instance is a dict of the inputs {', '.join(map(repr, explainer.inputs))}")
    return {name: _column(served, name, rows) for name, rows in columns.items()}


def _column(served: Served, name: str, rows: list[Any]) -> Array:
    if all(isinstance(row, dict) and row.keys() == {ENCODED} for row in rows):
        return np.array([*(_decoded(name, row[ENCODED]) for row in rows), None], object)[:-1]
    value = served.explainer.inputs.get(name)
    return from_json(name, "FP32" if value is None else datatype_of(value.dtype), rows)


def _decoded(name: str, text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise InputError(f"input '{name}': what stands under '{ENCODED}' is no base64") from None


def predictions(served: Served, answer: Answer) -> dict[str, Any]:
    """One for each instance: the output, or a dict of the outputs where there are several."""
    tensors = {name: answer.tensors[name] for name in served.explainer.graph.outputs}
    if len(tensors) == 1:
        (array,) = tensors.values()
        return {"predictions": _nested(array)}
    return {"predictions": _rows(tensors)}


def explanations(served: Served, answer: Answer) -> dict[str, Any]:
    """One for each instance: what was explained, the relevance of each input, and how it is shared out."""
    tensors, graph = answer.tensors, served.explainer.graph
    relevance = {
        name: tensors[f"relevance.{name}"] for name in graph.inputs if f"relevance.{name}" in tensors
    }
    words = ("target", "target_label", "target_value")
    rows = _rows({word: tensors[served.own(word)] for word in words})
    outputs, maps = (_rows(group) for group in ({n: tensors[n] for n in graph.outputs}, relevance))
    made = _nested(tensors[served.own("shares")])
    for i, row in enumerate(rows):
        row["shares"] = dict(zip([*relevance, REST], made[i], strict=True))
        row["relevance"], row["outputs"] = maps[i], outputs[i]
    return {"explanations": rows, "parameters": answer.notes}


def _rows(tensors: Mapping[str, Array]) -> list[dict[str, Any]]:
    columns = {name: _nested(array) for name, array in tensors.items()}
    counts = {len(column) for column in columns.values()}
    if len(counts) != 1:
        raise InputError("the outputs do not tell the samples apart: ask by the Open Inference Protocol, /v2")
    return [{name: column[i] for name, column in columns.items()} for i in range(counts.pop())]


def _nested(array: Array) -> list[Any]:
    """Nested lists, with null for what is not finite."""
    if array.dtype.kind == "f" and np.isfinite(array).all():
        return list(array.tolist())
    flat = np.array([*to_json(array), None], object)[:-1]
    return list(flat.reshape(array.shape).tolist())
