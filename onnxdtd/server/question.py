"""What a request asks of a model, whatever protocol it came by: inputs, what to explain, and how."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from onnxdtd.errors import Faults, InputError, TargetError, UsageError, one_line
from onnxdtd.explainer import Explainer
from onnxdtd.inputs import open_image
from onnxdtd.plan.target import Target
from onnxdtd.plan.target_text import Names, read_target
from onnxdtd.settings import check_names
from onnxdtd.types import Array, Arrays

PARAMETERS = ("target", "method", "audit")
TOP = Target()


@dataclass(frozen=True, eq=False)
class Question:
    """feeds: checked. explains: or else only predicts. method: None for the server's. said: the target as it was
    written. audit: how far to trust it, too."""

    feeds: Arrays
    explains: bool = True
    method: str | None = None
    target: Target = TOP
    said: str = ""
    audit: bool = False

    @property
    def rows(self) -> int | None:
        """Samples, where each input has as many; None where they cannot be told."""
        counts = {len(array) if array.ndim else 0 for array in self.feeds.values()}
        return counts.pop() if len(counts) == 1 and 0 not in counts else None

    @property
    def kind(self) -> tuple[Any, ...]:
        """Equal for those that one pass can answer: what they ask differs in an index at most."""
        target = self.target.output if _is_index(self.target) else self.said
        shapes = tuple((name, array.shape[1:], array.dtype.str) for name, array in self.feeds.items())
        return (self.explains, self.method, _is_index(self.target), target, shapes)

    @property
    def elements(self) -> int:
        """Of all its inputs."""
        return sum(array.size for array in self.feeds.values())


def asked(
    explainer: Explainer, inputs: Mapping[str, Any] | list[Any], parameters: Mapping[str, Any], explains: bool
) -> Question:
    """A question to a model. inputs: arrays by name, of which BYTES for an input of pictures are their files; or a
    list of texts, for a model with a tokenizer. All faults at once: InputError, TargetError, UsageError."""
    faults, target = Faults(), TOP
    feeds: Arrays = {}
    with faults:
        feeds = explainer.feeds(inputs if isinstance(inputs, list) else _decoded(explainer, inputs))
    unknown = sorted(parameters.keys() - set(PARAMETERS))
    with faults:
        if unknown:
            raise UsageError(
                f"there is no parameter {', '.join(map(repr, unknown))}: {', '.join(PARAMETERS)}"
            )
    said = parameters.get("target", "top")
    with faults:
        target = target_of(explainer, said)
    method = parameters.get("method")
    with faults:
        if method is not None and not isinstance(method, str):
            raise UsageError(f"method is a name, not {method!r}")
        if method is not None:
            check_names(method, explainer.engine, explainer.bias)
    audit = parameters.get("audit", False)
    with faults:
        if not isinstance(audit, bool):
            raise UsageError(f"audit is true or false, not {audit!r}")
    faults.stop()
    own = None if method == explainer.method else method
    return Question(feeds, explains, own, target, str(said), audit and explains)


def target_of(explainer: Explainer, said: Any) -> Target:
    """An index, or a text as on the command line; but a mask is a file of the server's, which nobody may name."""
    if isinstance(said, int) and not isinstance(said, bool):
        return Target(None, (said,))
    if not isinstance(said, str):
        raise TargetError(f"a target is an index or a text, not {said!r}")
    names = Names(explainer.graph.outputs, explainer.loaded.labels or (), files=False)
    return read_target(said, names)


def together(questions: list[Question]) -> Target:
    """The target of questions of one kind that share a pass: an index for each row."""
    first = questions[0].target
    if not _is_index(first) or len(questions) == 1:
        return first
    rows: list[Any] = [question.target.index for question in questions for _ in range(question.rows or 1)]
    return Target(first.output, tuple(rows))


def _is_index(target: Target) -> bool:
    return target.form is None and target.shared is not None


def _decoded(explainer: Explainer, inputs: Mapping[str, Any]) -> dict[str, Array]:
    """Files of pictures, sent as BYTES, as the model's input."""
    arrays = dict(inputs)
    for name, array in inputs.items():
        value = explainer.inputs.get(name)
        if value is None or not value.is_float or array.dtype != object:
            continue
        if explainer.preprocess is None:
            raise InputError(
                f"input '{name}' was sent as BYTES, and nothing says how the model wants its pictures: start the "
                "server with --preset or --preprocess"
            )
        pictures = [explainer.preprocess(_picture(name, file)) for file in array.reshape(-1)]
        if not pictures:
            raise InputError(f"input '{name}' holds no picture")
        arrays[name] = np.concatenate(pictures)
    return arrays


def _picture(name: str, file: Any) -> Image.Image:
    try:
        with Image.open(io.BytesIO(file if isinstance(file, bytes) else b"")) as picture:
            if picture.width * picture.height > (Image.MAX_IMAGE_PIXELS or 1 << 62):
                raise InputError(
                    f"input '{name}': a picture of {picture.width} x {picture.height} is too large"
                )
            return open_image(picture)
    except InputError:
        raise
    except Exception as error:  # Pillow's readers raise anything
        raise InputError(f"input '{name}' holds no picture that can be read: {one_line(error)}") from None
