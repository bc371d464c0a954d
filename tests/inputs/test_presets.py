"""Presets, and what a model's own shape tells of the pictures that it takes; names from files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from onnxdtd.errors import InputError, UsageError
from onnxdtd.inputs import PRESETS, Preprocess, names_of, preparation
from onnxdtd.inputs.given import feeds_of
from onnxdtd.inputs.layout import picture_layout
from onnxdtd.model.graph import Graph
from onnxdtd.model.load import load
from tests.support.model_text import model


def graph(*shape: Any) -> Graph:
    dims = ", ".join(map(str, shape))
    return load(model(f"(float[{dims}] x) => (float[{dims}] y) {{ y = Relu(x) }}"))


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        (("N", 3, 224, 224), "NCHW"),
        (("N", 224, 224, 3), "NHWC"),
        (("N", "H", "W", 1), "NHWC"),
        (("N", 1, "H", "W"), "NCHW"),
        (("N", 3, 5, 3), None),
        (("N", "C", "H", "W"), None),
        (("N", 4, 8, 8), None),
        (("N", 3), None),
        (None, None),
    ],
)
def test_the_channels_of_a_shape_decide_the_layout(shape: Any, layout: str | None) -> None:
    assert picture_layout(shape) == layout


@pytest.mark.parametrize(
    ("preset", "pixel", "values"),
    [
        ("unit", (0, 51, 255), (0.0, 0.2, 1.0)),
        ("symmetric", (0, 51, 255), (-1.0, -0.6, 1.0)),
        ("caffe", (0, 51, 255), (255 - 103.939, 51 - 116.779, 0 - 123.68)),
        ("imagenet", (0, 51, 255), (-0.485 / 0.229, (0.2 - 0.456) / 0.224, (1 - 0.406) / 0.225)),
    ],
)
def test_a_preset_scales_as_its_frameworks_do(preset: str, pixel: Any, values: Any) -> None:
    prepare = preparation(graph("N", 3, 2, 2), preset)
    assert prepare is not None
    array = prepare(np.full((2, 2, 3), pixel, np.uint8))
    np.testing.assert_allclose(array[0, :, 1, 1], values, rtol=1e-6)


def test_what_a_preset_leaves_open_is_read_off_the_model() -> None:
    square = preparation(graph("N", 224, 224, 3), "imagenet")
    assert square == Preprocess(**PRESETS["imagenet"], resize=256, crop=(224, 224), layout="NHWC")
    assert preparation(graph("N", 1, 28, 28), "unit") == Preprocess(
        color="L", scale=1 / 255, resize=28, crop=(28, 28)
    )
    assert preparation(graph("N", 3, 48, 192), "unit") == Preprocess(scale=1 / 255, resize=(48, 192))
    assert preparation(graph("N", 3, "H", "W"), "unit") == Preprocess(scale=1 / 255)
    assert preparation(graph("N", 3, 32, 32), {"resize": 40}) == Preprocess(resize=40, crop=(32, 32))
    assert preparation(graph("N", 3, 32, 32), {"preset": "unit", "crop": 32}) == Preprocess(
        scale=1 / 255, crop=32
    )
    assert preparation(graph("N", 3, 32, 32), None) is None


def test_what_cannot_be_read_off_is_asked_for() -> None:
    with pytest.raises(
        InputError, match=r"'x' \(N, C, H, W\) does not tell .* give --layout NCHW or --layout NHWC"
    ):
        preparation(graph("N", "C", "H", "W"), "unit")
    prepare = preparation(graph("N", "C", "H", "W"), {"preset": "unit", "layout": "NHWC"})
    assert prepare == Preprocess(scale=1 / 255, layout="NHWC")
    with pytest.raises(
        UsageError, match="no preset 'imagnet'; choose among imagenet, caffe, unit, symmetric"
    ):
        preparation(graph("N", 3, 2, 2), "imagnet")


class Tensor:
    """As torch has it: NumPy reads it only when it is detached and on the CPU."""

    def __init__(self, array: Any, ready: int = 0) -> None:
        self.array, self.ready = array, ready

    def detach(self) -> Tensor:
        return Tensor(self.array, self.ready + 1)

    def cpu(self) -> Tensor:
        return Tensor(self.array, self.ready + 1)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        if self.ready < 2:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        return self.array


def test_python_takes_paths_pictures_and_tensors(tmp_path: Path) -> None:
    values = {"x": graph("N", 3, 2, 2).value("x")}
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    picture = Image.fromarray(pixels)
    picture.save(tmp_path / "a.png")
    right = pixels.transpose(2, 0, 1)[None] / np.float32(255)
    unit = Preprocess(scale=1 / 255)
    for x in (tmp_path / "a.png", str(tmp_path / "a.png"), picture, [picture], pixels, {"x": picture}):
        np.testing.assert_allclose(feeds_of(x, values, unit)["x"], right, rtol=1e-6)
    both = feeds_of([picture, str(tmp_path / "a.png")], values, unit)["x"]
    np.testing.assert_allclose(both, np.concatenate([right, right]), rtol=1e-6)
    np.testing.assert_array_equal(feeds_of(Tensor(right), values)["x"], right)
    for x in (tmp_path / "a.png", picture):
        with pytest.raises(
            InputError, match="is an image, and nothing says how the model wants its pictures"
        ):
            feeds_of(x, values)


def test_names_are_read_from_text_and_json(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\ufeffcat\ndog \n", "utf-8")
    (tmp_path / "b.json").write_text('["cat", "dog"]')
    (tmp_path / "c.json").write_text(json.dumps({"1": ["n02", "dog"], "0": ["n01", "cat"]}))
    for name in ("a.txt", "b.json", "c.json"):
        assert names_of(tmp_path / name) == ("cat", "dog")
    assert names_of(["cat", "dog"]) == ("cat", "dog")
    (tmp_path / "d.json").write_text('{"2": "cat"}')
    (tmp_path / "e.txt").write_text("")
    for name, words in {
        "d.json": "its keys are not 0, 1, 2",
        "e.txt": "no names",
        "f.txt": "No such file",
    }.items():
        with pytest.raises(InputError, match=words):
            names_of(tmp_path / name)
