"""The result of one explanation: its values, sums over them, and its folder on disk.

It computes nothing but sums. `docs/explanation.md` describes every field and every file.
"""

from __future__ import annotations

import builtins
import dataclasses
import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from onnxdtd.conservation import Conservation, lost
from onnxdtd.errors import TargetError, UsageError
from onnxdtd.folder import write_folder
from onnxdtd.inputs.tokenizer import Tokenizer, spelling_of
from onnxdtd.kept import KeptTables, tables
from onnxdtd.node_report import NodeReport, Numbers
from onnxdtd.npz import write_arrays
from onnxdtd.pictures import drawing_room
from onnxdtd.records import ARRAYS, SCHEMA, document_of, printed, read_fields
from onnxdtd.tokens import Spelling, Token
from onnxdtd.types import Array

Index = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Explanation:
    """Relevance of every input element for one output element (or several) of each of N samples.

    inputs, outputs: arrays by name. relevance: by input name, floats and tokens only, the input's shape. output:
    name of the explained output. target: for each sample the explained indices behind the batch axis: `((285,),
    ...)` in one sample of a classifier, one index for each position where each position's arg-max is explained,
    `((),)` for an output (N,). target_value, seed: (N,), the explained logit (summed over the sample's indices,
    each times its coefficient) and the relevance that started. question: what is explained in words, where indices
    do not say it. batch_axis: of the explained output, None where all of it is one sample's. class_axis: behind the
    batch axis, along which the labels lie. corners: left, top, right, bottom of each sample's explained box, in
    pixels of the input. reason: why `method="auto"` chose the method, else "". model: name, path (or None), sha256,
    opset, producer. notes: what canonisation did. labels: class names along the class axis of the output. features:
    names of a table's columns. kept: the relevance that arrived at values inside the model, each shaped like its
    value, where `keep` asked for it. only: the channels that it was restricted to, by value and axis. start: the
    values at which it started, if not at the target. past: those of the explained inputs that hold what a decoder
    has read before. masks: the inputs that say what counts, and get no relevance. texts: of inputs of tokens, how
    each sample's are written. constants: of engine onnx, without nodes: what those of each kind took, of each
    sample. extras: what a method of many passes tells besides: numbers, words, or lists with one for each sample.
    findings, sentence: how far to trust it, by the cheapest audits (docs/audit.md); empty where none were run.
    """

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    relevance: Mapping[str, Array]
    output: str
    target: tuple[tuple[Index, ...], ...]
    target_value: Array
    seed: Array
    method: str
    reason: str
    engine: str
    provider: str
    nodes: tuple[NodeReport, ...]
    model: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    labels: tuple[str, ...] | None = None
    features: tuple[str, ...] | None = None
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    question: str = ""
    batch_axis: int | None = 0
    class_axis: int = -1
    corners: tuple[tuple[float, float, float, float] | None, ...] = ()
    kept: Mapping[str, Array] = dataclasses.field(default_factory=dict)
    only: Mapping[str, Mapping[str, list[int]]] = dataclasses.field(default_factory=dict)
    start: tuple[str, ...] = ()
    past: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    texts: Mapping[str, tuple[Spelling, ...]] = dataclasses.field(default_factory=dict)
    constants: Mapping[str, Numbers] = dataclasses.field(default_factory=dict)
    extras: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    findings: tuple[Mapping[str, Any], ...] = ()
    sentence: str = ""

    @property
    def conservation(self) -> Conservation:
        """What started, arrived and was lost: in total, node by node, and of each sample."""
        arrays, count = [*self.relevance.values()], len(self.seed)
        each, sizes = (sum(sum_by_sample(part(r), count) for r in arrays) for part in (np.asarray, np.abs))
        return Conservation(
            target=float(np.sum(self.seed, dtype=np.float64)),
            relevance=math.fsum(float(np.sum(r, dtype=np.float64)) for r in arrays),
            lost=lost(self.nodes, self.constants),
            nodes=self.nodes,
            kinds=self.constants,
            targets=tuple(map(float, self.seed)),
            relevances=tuple(map(float, np.broadcast_to(each, count))),
            size=math.fsum(float(np.sum(np.abs(r), dtype=np.float64)) for r in arrays),
            sizes=tuple(map(float, np.broadcast_to(sizes, count))),
        )

    def of_past(self, sample: int = 0) -> float:
        """The relevance in one sample of what was read before; 0 where there is no past, or an empty one."""
        count, sample = len(self.seed), self._sample(sample)
        each = [np.broadcast_to(sum_by_sample(self.relevance[name], count), count) for name in self.past]
        return math.fsum(float(amounts[sample]) for amounts in each)

    def tokens(self, tokenizer: Tokenizer | None = None, *, sample: int = 0, name: str = "") -> list[Token]:
        """The tokens of one sample in reading order, each with its word and its relevance (docs/text.md).

        tokenizer: what writes them, by default the explainer's; or a list with a name for each. name: of the input,
        by default the first of tokens. Raises UsageError where there is none.
        """
        name = name or next(iter(self.texts), "")
        if name not in self.texts:
            raise UsageError(f"input '{name}' is not of tokens" if name else "no input is of tokens")
        own = self.texts[name][self._sample(sample)]
        if tokenizer is not None:
            own = spelling_of(tokenizer, self.inputs[name][sample], own.padding)
        return own.rows(self.relevance[name][sample])

    def tables(self, sample: int = 0) -> KeptTables:
        """What was kept at values inside, of one sample: by layer, by head, by token (docs/inside.md)."""
        length = next((self.inputs[name].shape[1] for name in self.texts), 0)
        return tables(self.kept, self._sample(sample), len(self.target), length)

    @property
    def rules(self) -> dict[str, str]:
        """The rule of every node, by node name."""
        return {node.name: node.rule for node in self.nodes}

    def top(self, k: int = 5, sample: int = 0) -> list[tuple[Index, str, float]]:
        """The k largest elements of the explained output in one sample: index, class name (or ""), value."""
        output, sample = self.outputs[self.output], self._sample(sample)
        values = np.asarray(output if self.batch_axis is None else np.take(output, sample, self.batch_axis))
        order = np.argsort(-values, axis=None, kind="stable")[:k]
        indices = [tuple(map(int, np.unravel_index(i, values.shape))) for i in order]
        return [(index, self.class_name(index), float(values[index])) for index in indices]

    def label(self, sample: int = 0) -> str:
        """What is explained in one sample, in words: "class 285 'Egyptian cat'", "index 3, 7"."""
        indices = self.target[self._sample(sample)]
        if len(indices) != 1:
            return self._several(indices)
        if self.question and not self.corners:
            return self.question
        (index,) = indices
        if index == ():
            return f"'{self.output}'"
        name = self.class_name(index)
        if name and len(index) == 1:
            return f"class {index[0]} '{name}'"
        return f"index {', '.join(map(str, index))}" + (f" '{name}'" if name else "")

    def _several(self, indices: tuple[Index, ...]) -> str:
        """Several elements in words: those of one class, or by the question, or by their number."""
        if self.question:
            return self.question
        classes = {index[self.class_axis] for index in indices if len(index) > 1}
        if len(classes) == 1:
            name = self.class_name(indices[0])
            return f"class {classes.pop()}" + (f" '{name}'" if name else "") + f" at {len(indices)} positions"
        return f"{len(indices)} elements of '{self.output}'"

    def class_name(self, index: Index) -> str:
        """The class of an index behind the batch axis, as the model's metadata name it, else ""."""
        if not self.labels or not index:
            return ""
        shape = list(self.outputs[self.output].shape)
        if self.batch_axis is not None:
            shape.pop(self.batch_axis)
        surplus = shape[self.class_axis] - len(self.labels)
        # A detector's rows begin with four numbers of the box, and with its own score where it has one.
        place = index[self.class_axis] - (surplus if len(shape) == 2 and surplus in (4, 5) else 0)
        return self.labels[place] if 0 <= place < len(self.labels) else ""

    def _sample(self, sample: int) -> int:
        if not -len(self.target) <= sample < len(self.target):
            raise TargetError(f"sample {sample} is not in a batch of {len(self.target)}: count from 0")
        return sample

    def __repr__(self) -> str:
        return printed(self)

    def __eq__(self, other: object) -> bool:
        """Equal fields; arrays by value, NaN equal to NaN."""
        return isinstance(other, Explanation) and self.document() == other.document()

    def document(self) -> dict[str, Any]:
        """The content of `explanation.json`: everything but the arrays, of which it holds the digests."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return document_of(fields, self.conservation)

    def save(
        self,
        directory: str | Path,
        *,
        overwrite: bool = True,
        extras: Callable[[Path], object] | None = None,
        picture: Any = None,
    ) -> Path:
        """Write relevance.npz, inputs.npz, outputs.npz, kept.npz if there is any, explanation.json, heatmap.png, and
        of tables and of several samples what docs/explanation.md lists, whole or not at all. picture: what the first
        sample's heatmap is laid over, (H, W, 3) uint8. extras(folder) may write further files into the unfinished
        folder. An earlier result is replaced if `overwrite`. UsageError, and nothing touched, if the folder holds
        anything else.
        """

        def fill(unfinished: Path) -> dict[str, Any]:
            for group in [group for group in ARRAYS if getattr(self, group) or group != "kept"]:
                write_arrays(unfinished / f"{group}.npz", getattr(self, group))
            drawing_room().fill(self, unfinished, picture)
            if extras is not None:
                extras(unfinished)
            return self.document()

        return write_folder(directory, SCHEMA, fill, overwrite=overwrite)

    def show(self, sample: int = 0) -> Image.Image:
        """The heatmap of one sample as a PIL image, which a notebook displays; elsewhere a viewer opens, if there is
        one. Raises UsageError where there is nothing to draw."""
        image = Image.open(io.BytesIO(drawing_room().picture(self, self._sample(sample))))
        if "get_ipython" not in vars(builtins):
            image.show()
        return image

    def html(self, sample: int = 0) -> str:
        """HTML of one sample: of a text its coloured words, else the heatmap; what it says, and the warnings."""
        return str(drawing_room().page(self, self._sample(sample)))

    def _repr_html_(self) -> str:
        """What a notebook shows: the first sample."""
        return self.html()

    @classmethod
    def load(cls, directory: str | Path) -> Explanation:
        """Read a folder that `save` wrote; InputError where it is missing, damaged or of another schema."""
        return cls(**read_fields(directory, cls))


def sum_by_sample(r: Array, count: int) -> Array:
    """The sum of each sample; NaN where r has no batch axis."""
    if r.ndim and len(r) == count:
        return np.asarray(np.sum(r.reshape(count, -1), axis=1, dtype=np.float64))
    return np.full(count, np.sum(r, dtype=np.float64) if count == 1 else np.nan)
