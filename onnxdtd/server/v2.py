"""The Open Inference Protocol, version 2: what a request means, what a model says of itself, and answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onnxdtd.disk import parsed_json
from onnxdtd.errors import InputError
from onnxdtd.explainer import Explainer
from onnxdtd.model.graph import Value
from onnxdtd.server.model import REST, Answer, Served
from onnxdtd.server.question import Question, asked
from onnxdtd.server.tensors import DATATYPES, datatype_of, from_bytes, from_json, to_bytes, to_json
from onnxdtd.types import Array

HEAD_LENGTH = "Inference-Header-Content-Length"
VERSION = "1"
_LARGEST_AXIS = 2**40


@dataclass(frozen=True, eq=False)
class Request:
    """question: to the model. outputs: the names that are asked for, None for all, and whether each comes as bytes
    (`binary` for all). id: told back."""

    question: Question
    outputs: Mapping[str, bool] | None
    binary: bool
    id: str


def metadata(served: Served) -> dict[str, Any]:
    """What a model takes and returns; -1 stands for a size that is open."""
    explainer, graph = served.explainer, served.explainer.graph
    inputs, axes = served.explained
    added = [
        *(_described(f"relevance.{name}", graph.value(name)) for name in inputs),
        {"name": served.own("target"), "datatype": "INT64", "shape": [-1, *([axes] if axes > 1 else [])]},
        {"name": served.own("target_label"), "datatype": "BYTES", "shape": [-1]},
        {"name": served.own("target_value"), "datatype": "FP64", "shape": [-1]},
        {"name": served.own("shares"), "datatype": "FP64", "shape": [-1, len(inputs) + 1]},
    ]
    return {
        "name": served.name,
        "versions": [VERSION],
        "platform": "onnxdtd_onnx",
        "inputs": [_described(name, value) for name, value in explainer.inputs.items()],
        "outputs": [*(_described(name, graph.value(name)) for name in graph.outputs), *added],
        "parameters": {"method": explainer.method, "engine": explainer.engine},
    }


def _described(name: str, value: Value) -> dict[str, Any]:
    sizes = [
        size if isinstance(size, int) else -1 for size in ((None,) if value.shape is None else value.shape)
    ]
    return {"name": name, "datatype": datatype_of(value.dtype), "shape": sizes}


def read_request(served: Served, body: bytes, head: str | None) -> Request:
    """A request to infer. head: bytes of its JSON, where tensors follow it. Raises InputError, TargetError,
    UsageError."""
    length = _length(head, body)
    document = _document(body[:length])
    outputs = _outputs(served, document.get("outputs"))
    parameters = dict(_mapping(document.get("parameters", {}), "parameters"))
    binary = parameters.pop("binary_data_output", False) is True
    arrays, place = dict[str, Array](), length
    for tensor in _list(document.get("inputs"), "inputs"):
        name, datatype, shape, own = _tensor(tensor)
        if name in arrays:
            raise InputError(f"input '{name}' is sent twice")
        size = own.get("binary_data_size")
        if size is None:
            arrays[name] = from_json(name, datatype, tensor.get("data"), shape)
        elif "data" in tensor or not _is_count(size) or place + size > len(body):
            raise InputError(f"input '{name}': binary_data_size and what was sent do not agree")
        else:
            arrays[name] = from_bytes(name, datatype, body[place : place + size], shape)
            place += size
    if place != len(body):
        raise InputError(f"{len(body) - place} bytes follow the last tensor that is named")
    question = asked(served.explainer, arrays, parameters, _explains(served.explainer, outputs))
    return Request(question, outputs, binary, str(document.get("id", "")))


def _explains(explainer: Explainer, outputs: Mapping[str, bool] | None) -> bool:
    """Whether anything but the model's own outputs is asked for."""
    return outputs is None or any(name not in explainer.graph.outputs for name in outputs)


def written_answer(served: Served, request: Request, answer: Answer) -> tuple[bytes, dict[str, str]]:
    """The body and the headers of an answer."""
    names = list(answer.tensors) if request.outputs is None else list(request.outputs)
    head: dict[str, Any] = {"model_name": served.name, "model_version": VERSION}
    head |= {"id": request.id} if request.id else {}
    head |= {"parameters": answer.notes} if answer.notes else {}
    tail, outputs = list[bytes](), []
    if missing := [name for name in names if name not in answer.tensors]:
        raise InputError(f"no {', '.join(missing)} here: this input's relevance goes elsewhere")
    for name in names:
        array = answer.tensors[name]
        output: dict[str, Any] = {
            "name": name, "datatype": datatype_of(array.dtype), "shape": list(array.shape)
        }  # fmt: skip
        parameters: dict[str, Any] = {}
        if name == served.own("shares"):
            inputs = [n.removeprefix("relevance.") for n in answer.tensors if n.startswith("relevance.")]
            parameters["columns"] = json.dumps([*inputs, REST])
        if request.binary if request.outputs is None else request.outputs[name] or request.binary:
            tail.append(to_bytes(array))
            parameters["binary_data_size"] = len(tail[-1])
        else:
            output["data"] = to_json(array)
        outputs.append(output | ({"parameters": parameters} if parameters else {}))
    text = json.dumps({**head, "outputs": outputs}, allow_nan=False, separators=(",", ":")).encode()
    if not tail:
        return text, {"Content-Type": "application/json"}
    headers = {"Content-Type": "application/octet-stream", HEAD_LENGTH: str(len(text))}
    return b"".join([text, *tail]), headers


def _length(head: str | None, body: bytes) -> int:
    if head is None:
        return len(body)
    if not head.isdecimal() or len(head) > 18 or int(head) > len(body):
        raise InputError(f"{HEAD_LENGTH} is the number of bytes of the JSON, at most those of the body")
    return int(head)


def _document(text: bytes) -> Mapping[str, Any]:
    try:
        return _mapping(parsed_json(text), "the body")
    except ValueError as error:
        raise InputError(f"the body is no JSON: {error}") from None


def _outputs(served: Served, listed: Any) -> dict[str, bool] | None:
    if listed is None:
        return None
    possible = [tensor["name"] for tensor in metadata(served)["outputs"]]
    outputs: dict[str, bool] = {}
    for output in _list(listed, "outputs"):
        name = str(_mapping(output, "an output").get("name"))
        if name not in possible:
            raise InputError(f"there is no output {name!r}: {', '.join(possible)}")
        own = _mapping(output.get("parameters", {}), "parameters")
        outputs[name] = own.get("binary_data", False) is True
    return outputs or None


def _tensor(tensor: Any) -> tuple[str, str, list[int], Mapping[str, Any]]:
    fields = _mapping(tensor, "an input")
    name, datatype, shape = fields.get("name"), fields.get("datatype"), fields.get("shape")
    if not isinstance(name, str):
        raise InputError("an input has no name")
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise InputError(f"input '{name}': datatype is one of {', '.join(DATATYPES)}, not {datatype!r}")
    if not isinstance(shape, list) or not all(_is_count(size) for size in shape):
        raise InputError(f"input '{name}': shape is a list of sizes, not {shape!r}")
    return name, datatype, shape, _mapping(fields.get("parameters", {}), "parameters")


def _is_count(size: Any) -> bool:
    return isinstance(size, int) and not isinstance(size, bool) and 0 <= size < _LARGEST_AXIS


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{what} must be a JSON object")
    return value


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(f"'{what}' must be a JSON list")
    return value
