"""The models and what they read: sentences that are to find their paraphrase, files that are to be told apart, text
whose words are to be found."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

import onnxdtd
from onnxdtd.inputs import token_number
from tools.paths import ROOT
from tools.text_deletion.sentences import PAIRS, THAI

Array = np.ndarray
POOLED = "461"
"""The output of MiniLM's export that is the sentence's vector, the mean over its tokens."""
ENDS, SPACE, PADDING = 1024, 32, 256
NEAR, PER_SENTENCE = 8, 4
KINDS = (
    ".py",
    ".md",
    ".toml",
    ".yml",
    ".html",
    ".js",
    ".css",
    ".json",
    ".txt",
    ".h",
    ".pyi",
    ".c",
    ".svg",
    ".cfg",
)
PER_KIND = 1


@dataclass
class Task:
    """name, unit: in words. model: to be explained; inputs: for each text what it reads, and what is asked of it.
    removed(x, places): the input without what stands at these places. options: of methods of many passes. steps: of a
    removal curve, None for one token at a time."""

    name: str
    unit: str
    model: onnx.ModelProto
    inputs: list[tuple[dict[str, Array], int]]
    ids: str
    removable: Callable[[Array], Array]
    removed: Callable[[dict[str, Array], Array], dict[str, Array]]
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    steps: int | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    near: int | None = None
    """So far from the place that is asked about tokens are removed; None: everywhere."""
    together: bool = True
    """Whether several rows make a batch."""

    def __post_init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 2
        self._session = onnxruntime.InferenceSession(self.model.SerializeToString(), options)

    def values(self, rows: Sequence[dict[str, Array]], target: int) -> Array:
        """The explained number of each; shorter ones are filled up with zeros, which the mask does not count."""
        if not self.together and len(rows) > 1:
            return np.concatenate([self.values([row], target) for row in rows])
        longest = max(row[self.ids].shape[1] for row in rows)
        feeds = {
            name: np.concatenate(
                [np.pad(row[name], ((0, 0), (0, longest - row[name].shape[1]))) for row in rows]
            )
            for name in rows[0]
        }
        return np.asarray(self._session.run([self.model.graph.output[0].name], feeds)[0][:, target])


def sentences(model: Path, tokenizer: Path) -> Task:
    """MiniLM: the cosine of a sentence's vector with its paraphrase's; tokens are taken out of the text."""
    proto = onnx.load(model)
    del proto.graph.output[:]
    tokens = onnxdtd.Explainer(model, tokenizer=tokenizer)
    texts = [dict(tokens.feeds(text)) for text, _ in PAIRS]
    proto.graph.output.append(helper.make_tensor_value_info(POOLED, onnx.TensorProto.FLOAT, ["N", 384]))
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    vectors = np.concatenate([session.run([POOLED], dict(tokens.feeds(other)))[0] for _, other in PAIRS])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    del proto.graph.output[:]
    proto.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(vectors.T), "paraphrases"))
    proto.graph.node.extend([
        helper.make_node("LpNormalization", [POOLED], ["unit"], axis=-1, p=2),
        helper.make_node("MatMul", ["unit", "paraphrases"], ["cosine"]),
    ])  # fmt: skip
    proto.graph.output.append(
        helper.make_tensor_value_info("cosine", onnx.TensorProto.FLOAT, ["N", len(PAIRS)])
    )

    def removed(x: dict[str, Array], places: Array) -> dict[str, Array]:
        return {name: np.delete(array, places, axis=1) for name, array in x.items()}

    mask = token_number(tokens.loaded.reader, "mask")
    return Task(
        "MiniLM-L3: which paraphrase", "cosine", proto, [(x, i) for i, x in enumerate(texts)], "input_ids",
        lambda ids: np.arange(1, ids.shape[1] - 1), removed,
        {"occlusion": {"occlude": mask}, "integrated_gradients": {"steps": 32}},
    )  # fmt: skip


def files(model: Path) -> Task:
    """magika: the logit of the kind of a file, as it sees it; bytes are written over with spaces, a tenth at a
    time."""
    proto = onnx.load(model)
    logit = onnxdtd.Explainer(model).plan().target
    del proto.graph.output[:]
    proto.graph.output.append(helper.make_tensor_value_info(logit, onnx.TensorProto.FLOAT, ["N", 214]))
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    inputs = []
    for path in _paths():
        content = path.read_bytes().strip()
        x = np.full((1, 2 * ENDS), PADDING, np.int32)
        head, tail = content[:ENDS], content[-ENDS:]
        x[0, : len(head)] = list(head)
        x[0, 2 * ENDS - len(tail) :] = list(tail)
        inputs.append(({"bytes": x}, int(session.run(None, {"bytes": x})[0].argmax())))

    def removed(x: dict[str, Array], places: Array) -> dict[str, Array]:
        ids = x["bytes"].copy()
        ids[0, places] = SPACE
        return {"bytes": ids}

    return Task(
        "magika: which kind of file", "logit", proto, inputs, "bytes",
        lambda ids: np.flatnonzero(ids[0] != PADDING), removed,
        {"integrated_gradients": {"steps": 16}}, 10, {"occlusion": "a forward pass for each of 2,048 bytes"},
    )  # fmt: skip


def characters(model: Path) -> Task:
    """AttaCut: the logit that a word of Thai begins at a character, where it says so; characters near it are written
    over with one that it does not know. What it calls its characters lies beside the model."""
    proto = onnx.load(model)
    numbers = json.loads(model.with_name(f"{model.stem}-characters.json").read_text("utf-8"))
    unknown, name = numbers["<UNK>"], proto.graph.output[0].name
    del proto.graph.output[:]
    proto.graph.initializer.append(numpy_helper.from_array(np.array([0]), "first"))
    proto.graph.node.append(helper.make_node("Unsqueeze", [name, "first"], ["row"]))
    proto.graph.output.append(helper.make_tensor_value_info("row", onnx.TensorProto.FLOAT, [1, "T"]))
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    inputs = []
    for text in THAI:
        x = {"input": np.array([[numbers.get(c, unknown) for c in text]])}
        begins = np.flatnonzero(session.run(None, x)[0][0] > 0)
        inputs += [(x, int(at)) for at in begins[begins > 1][:PER_SENTENCE]]

    def removed(x: dict[str, Array], places: Array) -> dict[str, Array]:
        ids = x["input"].copy()
        ids[0, places] = unknown
        return {"input": ids}

    return Task(
        "AttaCut: where a word begins", "logit", proto, inputs, "input", lambda ids: np.arange(ids.shape[1]),
        removed, {"integrated_gradients": {"steps": 32}, "occlusion": {"occlude": unknown}}, near=NEAR,
        together=False,
    )  # fmt: skip


def _paths() -> list[Path]:
    """Files of the repository and of packages that it needs, the first of each kind that are long enough, by name."""
    places = [ROOT / name for name in ("onnxdtd", "docs", "tools", "tests", ".github")]
    places += [Path(np.__file__).parent, Path(onnx.__file__).parent, Path(onnxruntime.__file__).parent]
    found = sorted(
        path for place in places for path in place.rglob("*") if path.suffix in KINDS and path.is_file()
    )
    found = [
        path for path in [*ROOT.glob("*.*"), *found] if path.suffix in KINDS and path.stat().st_size > ENDS
    ]
    return [path for kind in KINDS for path in [p for p in found if p.suffix == kind][:PER_KIND]]
