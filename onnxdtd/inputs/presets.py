"""How pictures are made a model's input: a preset, a file, fields, and what the model's own shape tells."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

from onnxdtd.errors import InputError, UsageError
from onnxdtd.inputs.layout import channels_of, picture_layout, size_of
from onnxdtd.inputs.preprocess import Preprocess, read_fields
from onnxdtd.model.graph import Graph, Value

PRESETS: dict[str, dict[str, Any]] = {
    "imagenet": {"scale": 1 / 255, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    "caffe": {"color": "BGR", "mean": (103.939, 116.779, 123.68)},
    "unit": {"scale": 1 / 255},
    "symmetric": {"scale": 1 / 127.5, "mean": (1.0,)},
}
"""imagenet: torchvision's; caffe: BGR minus ImageNet's mean, as VGG and Keras' ResNet50 have it; unit: 0..1;
symmetric: -1..1."""
MARGIN = {"imagenet": 256 / 224}
"""The shorter side before the crop, as a multiple of the crop's, where the model fixes its size."""

Preparation = Preprocess | str | PathLike[str] | Mapping[str, Any]
"""A Preprocess, a preset's name, a .toml or .json file, or fields of Preprocess (and `preset`) by name."""


def preparation(graph: Graph, asked: Preparation | None) -> Preprocess | None:
    """How pictures for this model are prepared: as asked, else as the model's metadata say; None where neither does.

    What is left open is read off the model's one picture input: layout, grey for one channel, and a fixed size, to
    which the middle of the picture is scaled. Raises InputError, ModelError, and UsageError for no preset.
    """
    if isinstance(asked, Preprocess):
        return asked
    if asked is not None:
        return completed(graph, fields_of(asked))
    return Preprocess.from_metadata(graph.metadata)


def fields_of(asked: str | PathLike[str] | Mapping[str, Any]) -> dict[str, Any]:
    """The fields that a preset's name, a file's path or a mapping stands for; `preset` stays in, by its name."""
    if isinstance(asked, Mapping):
        fields = dict(asked)
        return {**_preset(fields["preset"]), **fields} if "preset" in fields else fields
    if asked in PRESETS:
        return {"preset": asked, **PRESETS[str(asked)]}
    if isinstance(asked, str) and "." not in asked:
        return _preset(asked)  # raises
    return read_fields(asked)


def completed(graph: Graph, fields: Mapping[str, Any]) -> Preprocess:
    """The fields with what the model's shape tells where they leave it open. InputError lists all faults."""
    values = [graph.value(name) for name in graph.inputs]
    pictures = [value for value in values if value.shape is None or len(value.shape) == 4]
    own = {name: value for name, value in fields.items() if name != "preset"}
    if len(pictures) != 1:
        return Preprocess.from_mapping(own)
    shape, learned = pictures[0].shape, picture_layout(pictures[0].shape)
    if "layout" not in own and learned is None and shape is not None:
        dims = ", ".join("?" if n in (None, "") else str(n) for n in shape)
        raise InputError(
            f"the model's input '{pictures[0].name}' ({dims}) does not tell where the channels of a picture are: "
            "give --layout NCHW or --layout NHWC"
        )
    layout = own.setdefault("layout", learned or "NCHW")
    if not isinstance(layout, str) or set(layout) != set("NCHW"):
        return Preprocess.from_mapping(own)  # which says what is wrong
    if channels_of(shape, layout) == 1:
        own.setdefault("color", "L")
    return Preprocess.from_mapping({**own, **_size(own, size_of(shape, layout), fields.get("preset"))})


def must_be(value: Value, prepare: Preprocess) -> str:
    """What is to be said where the model takes pictures in another layout than they are prepared in; else ""."""
    learned = picture_layout(value.shape)
    if learned in (None, prepare.layout):
        return ""
    return f"the model takes pictures as {learned}, they are prepared as {prepare.layout}: --layout {learned}"


def _size(own: Mapping[str, Any], size: tuple[int, int] | None, preset: Any) -> dict[str, Any]:
    """resize and crop that give a fixed size: of a square the middle, the picture keeping its proportions."""
    if size is None or own.get("crop") is not None:
        return {}
    if own.get("resize") is None:
        if size[0] != size[1]:
            return {"resize": size}
        return {"resize": round(size[0] * MARGIN.get(str(preset), 1)), "crop": size}
    return {"crop": size} if type(own["resize"]) is int else {}


def _preset(name: Any) -> dict[str, Any]:
    if name not in PRESETS:
        raise UsageError(
            f"no preset {name!r}; choose among {', '.join(PRESETS)}, or name a .toml or .json file"
        )
    return {"preset": name, **PRESETS[name]}


NO_PREPARATION = (
    "nothing says how the model wants its pictures: --preset imagenet, caffe, unit (0 to 1) or symmetric (-1 to 1), "
    "flags such as --resize 224 --scale 0.00392157, a file (--preprocess FILE.toml), or 'onnxdtd.preprocess' in the "
    "model's metadata"
)


def refuse_unprepared(path: object) -> InputError:
    """The error for a picture that nothing prepares."""
    return InputError(f"'{path}' is an image, and {NO_PREPARATION}")
