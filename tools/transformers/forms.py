"""The forms in which a network is deployed: who writes the file, what it is fed, whose relevance is compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort

from onnxdtd.model.graph import Value
from onnxdtd.types import Array
from tools.transformers.environments import python, run

Arrays = dict[str, Array]


@dataclass(frozen=True)
class Form:
    """make(folder, name): write the file, "" or what went wrong. file: below the architecture's folder. only: the
    architectures that have it. fixed: inputs that are constants. renamed: what the plain export calls its inputs.
    reference: what its relevance is compared with, below the same folder."""

    make: Callable[[Path, str], str]
    file: str
    only: tuple[str, ...] = ()
    fixed: Mapping[str, Array] | None = None
    renamed: Mapping[str, str] | None = None
    reference: str = "reference.npz"


def _exported(folder: Path, name: str) -> str:
    return run(python(folder, "export"), ["tools.transformers.export", str(folder), name])


def _fused(form: str) -> Callable[[Path, str], str]:
    def make(folder: Path, name: str) -> str:
        return run(python(folder, "export"), ["tools.transformers.optimise", str(folder), name, form])

    return make


def _optimum(*options: str) -> Callable[[Path, str], str]:
    def make(folder: Path, name: str) -> str:
        out = folder / name / ("optimum" if options else "optimum-merged")
        arguments = ["--model", str(folder / name / "checkpoint"), "--task", TASKS[name], "--opset", "18"]
        arguments += (*options, *(("--nb_max_frames", FRAMES) if name == "whisper" else ()))
        return run(
            python(folder, "optimum"),
            ["optimum.commands.optimum_cli", "export", "onnx", *arguments, str(out)],
        )

    return make


def _genai(precision: str) -> Callable[[Path, str], str]:
    def make(folder: Path, name: str) -> str:
        own = folder / name
        out = own / ("genai" if precision == "fp32" else f"genai-{precision}")
        paths = ["-i", str(own / "checkpoint"), "-o", str(out), "-c", str(folder / "cache")]
        arguments = ["onnxruntime_genai.models.builder", *paths, "-p", precision, "-e", "cpu"]
        problem = run(python(folder, "genai"), arguments)
        if problem or precision == "fp32":
            return problem
        return run(python(folder, "export"), ["tools.transformers.rounded", str(folder), name, out.name])

    return make


TASKS = {
    **dict.fromkeys(("bert", "distilbert", "roberta", "modernbert", "deberta"), "text-classification"),
    **dict.fromkeys(("gpt2", "llama", "qwen2", "qwen3", "gemma3", "phi3"), "text-generation-with-past"),
    **dict.fromkeys(("vit", "swin", "convnext"), "image-classification"),
    "t5": "text2text-generation-with-past", "clip": "zero-shot-image-classification",
    "whisper": "audio-classification",
}  # fmt: skip
"""What optimum calls that which an architecture does; it has no Mixtral."""
FRAMES = "32"
"""Of the sound that the network of Whisper's kind takes, see tools/transformers/architectures.py."""
_WHOLE = tuple(name for name in TASKS if name not in ("t5", "clip"))
_BUILT = ("llama", "qwen2", "qwen3", "gemma3", "phi3")
_PAIR = {"input_ids": "decoder_input_ids"}
_NO_PAST = {"use_cache_branch": np.array([False])}
FORMS: dict[str, Form] = {
    "script": Form(_exported, "script.onnx"),
    "dynamo": Form(lambda folder, name: "", "dynamo.onnx"),  # written with the former
    "script, fused": Form(_fused("script"), "script-fused.onnx"),
    "dynamo, fused": Form(_fused("dynamo"), "dynamo-fused.onnx"),
    "optimum": Form(_optimum("--no-post-process"), "optimum/model.onnx", _WHOLE),
    "optimum, decoder": Form(
        _optimum("--no-post-process"), "optimum/decoder_model.onnx", ("t5",), None, _PAIR
    ),
    "optimum, merged": Form(_optimum(), "optimum-merged/decoder_model_merged.onnx", ("t5",), _NO_PAST, _PAIR),
    "genai": Form(_genai("fp32"), "genai/model.onnx", _BUILT),
    "genai, int4": Form(
        _genai("int4"), "genai-int4/model.onnx", _BUILT, reference="genai-int4/reference.npz"
    ),
}


def feeds(values: Mapping[str, Value], x: Arrays, folder: Path, renamed: Mapping[str, str]) -> Arrays:
    """What a file takes, of the inputs of the plain export, with places, an empty past and what its encoder makes."""
    ids = x[renamed.get("input_ids", "input_ids")] if "input_ids" in x else np.zeros((0, 0))
    arrays = {}
    for name, value in values.items():
        if name == "encoder_hidden_states":
            encoder = ort.InferenceSession(folder / "optimum" / "encoder_model.onnx")
            [arrays[name]] = encoder.run(None, {key: x[key] for key in ("input_ids", "attention_mask")})
        elif name.startswith("past"):
            arrays[name] = _empty(value, len(ids), name)
        elif name == "position_ids":
            arrays[name] = np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
        elif name == "token_type_ids":
            arrays[name] = np.zeros_like(ids)
        else:
            arrays[name] = x[{"encoder_attention_mask": "attention_mask", **renamed}.get(name, name)]
    return arrays


def _empty(value: Value, batch: int, name: str) -> Array:
    """(batch, heads, 0, size); an encoder's keys, which that branch does not read, have a place."""
    assert value.shape is not None
    heads, size = (n if isinstance(n, int) else 16 for n in (value.shape[1], value.shape[3]))
    return np.zeros((batch, heads, int("encoder" in name), size), np.float32)
