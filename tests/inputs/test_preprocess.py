from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from onnxdtd.errors import InputError, ModelError
from onnxdtd.inputs import Preprocess, features, labels, open_image, read_metadata_range

FIELDS = {
    "color": "RGB", "resize": 256, "crop": 224, "interpolation": "bicubic", "scale": 1.0,
    "mean": [127, 127, 127], "std": [128, 128, 128], "layout": "NCHW",
}  # fmt: skip


def message(call: Any, *args: Any, **fields: Any) -> str:
    with pytest.raises(InputError) as caught:
        call(*args, **fields)
    return str(caught.value)


def picture(rng: np.random.Generator, height: int = 6, width: int = 8) -> Image.Image:
    return Image.fromarray(rng.integers(256, size=(height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("color", ["RGB", "BGR", "L"])
def test_value_is_pixel_scale_mean_std(rng: np.random.Generator, color: str, layout: str) -> None:
    image = picture(rng)
    channels = 1 if color == "L" else 3
    mean, std = (0.5, 0.25, 0.125)[:channels], (2.0, 4.0, 8.0)[:channels]
    x = Preprocess(color=color, scale=1 / 255, mean=mean, std=std, layout=layout)(image)
    rgb = np.asarray(image, dtype=np.float64)
    grey = np.asarray(image.convert("L"), dtype=np.float64)[..., None]
    pixels = {"RGB": rgb, "BGR": rgb[..., ::-1], "L": grey}[color]
    expected = ((pixels / 255 - mean) / std)[None]
    assert x.dtype == np.float32
    assert x.flags.c_contiguous
    np.testing.assert_allclose(x if layout == "NHWC" else x.transpose(0, 2, 3, 1), expected, rtol=1e-6)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_input_range_is_tight_and_holds_every_pixel(layout: str) -> None:
    p = Preprocess(scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, -0.224, 0.225), layout=layout)
    low, high = p.input_range
    shape = (1, 3, 1, 1) if layout == "NCHW" else (1, 1, 1, 3)
    assert (low.shape, high.shape, low.dtype) == (shape, shape, np.float32)
    x = p(Image.fromarray(np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)))
    axes = tuple(i for i in range(4) if shape[i] == 1)
    np.testing.assert_array_equal(x.min(axes, keepdims=True), low)
    np.testing.assert_array_equal(x.max(axes, keepdims=True), high)


@pytest.mark.parametrize(
    ("resize", "crop", "shape"),
    [
        (None, None, (6, 9)), (12, None, (12, 18)), (4, None, (4, 6)), ((5, 7), None, (5, 7)),
        (None, 4, (4, 4)), (12, (10, 16), (10, 16)), ((1, 1), 1, (1, 1)),
    ],
)  # fmt: skip
def test_sizes(rng: np.random.Generator, resize: Any, crop: Any, shape: tuple[int, int]) -> None:
    p = Preprocess(resize=resize, crop=crop)
    assert p(picture(rng, 6, 9)).shape == (1, 3, *shape)
    shown = p.picture(picture(rng, 6, 9))
    assert (shown.shape, shown.dtype) == ((*shape, 3), np.uint8)


def test_crop_takes_the_centre_and_picture_is_what_the_model_sees(rng: np.random.Generator) -> None:
    image = picture(rng, 6, 8)
    p = Preprocess(crop=(2, 4))
    np.testing.assert_array_equal(p.picture(image), np.asarray(image)[2:4, 2:6])
    np.testing.assert_array_equal(p(image)[0].transpose(1, 2, 0), p.picture(image))


def test_sizes_that_cannot_be(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    assert message(Preprocess(crop=7), picture(rng, 6, 8)) == (
        "crop 7 x 7 is larger than the picture, 6 x 8 (H x W): set resize"
    )
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert message(Preprocess(resize=100), picture(rng, 1, 50)) == (
        "resizing 1 x 50 to 100 x 5000 (H x W) is too large: give both sides"
    )


def test_from_mapping_file_and_metadata_agree(tmp_path: Path) -> None:
    expected = Preprocess("RGB", 256, 224, "bicubic", 1.0, (127, 127, 127), (128, 128, 128), "NCHW")
    (tmp_path / "p.json").write_text(json.dumps(FIELDS))
    (tmp_path / "p.TOML").write_text("\n".join(f"{key} = {json.dumps(v)}" for key, v in FIELDS.items()))
    assert Preprocess.from_mapping(FIELDS) == expected
    assert Preprocess.from_file(tmp_path / "p.json") == expected
    assert Preprocess.from_file(tmp_path / "p.TOML") == expected
    assert Preprocess.from_metadata({"onnxdtd.preprocess": json.dumps(FIELDS)}) == expected
    assert Preprocess.from_metadata({"other": "x"}) is None
    assert Preprocess.from_mapping({"crop": [2, 3]}).crop == (2, 3)
    assert Preprocess.from_mapping({}) == Preprocess()


def test_all_faults_at_once() -> None:
    wrong = {
        "colour": "RGB", "color": "CMYK", "resize": 0, "crop": [1, 2, 3], "interpolation": "cubic",
        "scale": 0, "mean": [1, 2], "std": [1.0, 0.0, 1.0], "layout": ["N"],
    }  # fmt: skip
    assert message(Preprocess.from_mapping, wrong).splitlines() == [
        "preprocess: 'colour' is unknown; the keys are "
        "color, resize, crop, interpolation, scale, mean, std, layout",
        "preprocess: 'color' is 'CMYK', not one of RGB, BGR, L",
        "preprocess: 'layout' is ('N',), not one of NCHW, NHWC",
        "preprocess: 'interpolation' is 'cubic', "
        "not one of nearest, bilinear, bicubic, lanczos, box, hamming",
        "preprocess: 'resize' is 0, not a positive integer or [height, width]",
        "preprocess: 'crop' is (1, 2, 3), not a positive integer or [height, width]",
        "preprocess: 'scale' is 0, not a number other than 0",
        "preprocess: 'mean' is (1, 2), not a list of 1 or 3 numbers",
        "preprocess: 'std' is (1.0, 0.0, 1.0): it divides, so it cannot be 0",
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"mean": (True,)}, {"mean": 0.5}, {"mean": ("a",)}, {"std": (float("nan"),)}, {"scale": "1/255"},
        {"resize": True}, {"resize": 1.5}, {"crop": (0, 1)}, {"color": None},
        {"color": "L", "mean": (1, 2, 3)},
    ],
)  # fmt: skip
def test_the_constructor_checks_too(wrong: Any) -> None:
    assert message(Preprocess, **wrong).startswith(f"preprocess: '{list(wrong)[-1]}' is ")


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("p.yaml", "", ": preprocessing is read from .toml or .json"),
        ("p.json", None, " cannot be read: No such file or directory"),
        ("p.json", "{", " is not valid JSON: "),
        ("p.json", "[]", " does not hold a table of preprocessing fields"),
        ("p.toml", "color = RGB", " is not valid TOML: "),
    ],
)
def test_bad_files(tmp_path: Path, name: str, text: str | None, fault: str) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    assert message(Preprocess.from_file, path).startswith(f"'{path}'{fault}")


METADATA: list[tuple[Any, str, str, str]] = [
    (Preprocess.from_metadata, "preprocess", "[1]", "is not a JSON object of preprocessing fields"),
    (Preprocess.from_metadata, "preprocess", "{", "is not valid JSON: Expecting property name"),
    (read_metadata_range, "input_range", "[1, 0]", "is not [low, high]"),
    (read_metadata_range, "input_range", "[0, NaN]", "is not [low, high]"),
    (read_metadata_range, "input_range", "5", "is not [low, high]"),
    (labels, "labels", '{"0": "cat"}', "is not a JSON list of strings"),
    (labels, "labels", "cat, dog", "is not valid JSON: Expecting value"),
    (labels, "labels", "[" * 100_000, "is not valid JSON: "),
    (features, "features", "[1, 2]", "is not a JSON list of strings"),
]


@pytest.mark.parametrize(("read", "key", "text", "fault"), METADATA)
def test_wrong_metadata_is_the_models_fault(read: Any, key: str, text: str, fault: str) -> None:
    with pytest.raises(ModelError) as caught:
        read({f"onnxdtd.{key}": text})
    assert str(caught.value).startswith(f"the model's metadata 'onnxdtd.{key}' {fault}")


def test_metadata() -> None:
    with pytest.raises(
        ModelError, match=r"^in the model's metadata: preprocess: 'color' is 'CMYK', not one of"
    ):
        Preprocess.from_metadata({"onnxdtd.preprocess": '{"color": "CMYK"}'})
    assert read_metadata_range({"onnxdtd.input_range": "[-1, 2.5]"}) == (-1.0, 2.5)
    assert labels({"onnxdtd.labels": '["cat", "dog"]'}) == ("cat", "dog")
    assert features({"onnxdtd.features": '["alcohol"]'}) == ("alcohol",)
    assert (read_metadata_range({}), labels({}), features({})) == (None, None, None)


def rgb(path: Path) -> Any:
    return np.asarray(open_image(path)).tolist()


def test_exif_orientation(tmp_path: Path, rng: np.random.Generator) -> None:
    grey = Image.fromarray(rng.integers(2**16, size=(2, 3), dtype=np.uint16))
    for image, name in ((picture(rng, 2, 3), "rgb.png"), (grey, "16bit.png")):
        image.save(tmp_path / "plain.png")
        exif = Image.Exif()
        exif[0x0112] = 6  # turned a quarter to the left: to be turned to the right
        image.save(tmp_path / name, exif=exif)
        upright = np.rot90(np.asarray(open_image(tmp_path / "plain.png")), -1)
        np.testing.assert_array_equal(np.asarray(open_image(tmp_path / name)), upright)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparency_is_laid_on_white(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (0, 0, 0, 255))
    if mode == "PA":
        image.quantize(4).save(tmp_path / "x.png")
    else:
        image.convert(mode).save(tmp_path / "x.png")
    assert rgb(tmp_path / "x.png") == [[[255] * 3, [0] * 3]]


def test_modes_become_rgb(tmp_path: Path) -> None:
    Image.new("1", (1, 1), 1).save(tmp_path / "bit.png")
    palette = Image.new("P", (1, 1), 0)
    palette.putpalette([1, 2, 3])
    palette.save(tmp_path / "palette.gif")
    Image.fromarray(np.array([[0, 257, 65535]], dtype=np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray(np.array([[0, 257, 65535]], dtype=np.uint16)).save(tmp_path / "deep.tiff")
    Image.new("CMYK", (1, 1), (0, 0, 0, 0)).save(tmp_path / "print.tif")
    assert rgb(tmp_path / "bit.png") == [[[255] * 3]]
    assert rgb(tmp_path / "palette.gif") == [[[1, 2, 3]]]
    assert rgb(tmp_path / "deep.png") == rgb(tmp_path / "deep.tiff") == [[[0] * 3, [1] * 3, [255] * 3]]
    assert rgb(tmp_path / "print.tif") == [[[255] * 3]]


def test_images_that_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, dtype, kind in (("f.tiff", np.float32, "floating-point"), ("i.tiff", np.int32, "32-bit")):
        Image.fromarray(np.ones((2, 2), dtype=dtype)).save(tmp_path / name)
        assert message(open_image, tmp_path / name) == (
            f"'{tmp_path / name}' has {kind} pixels, whose range is unknown: save it with 8 or 16 bits"
        )
    (tmp_path / "text.png").write_text("no picture")
    assert message(open_image, tmp_path / "text.png") == (
        f"'{tmp_path}/text.png' is not an image that Pillow can read"
    )
    assert message(open_image, str(tmp_path / "none.png")) == f"'{tmp_path}/none.png' is not there"
    Image.new("RGB", (64, 64), "red").save(tmp_path / "cut.bmp")
    (tmp_path / "cut.bmp").write_bytes((tmp_path / "cut.bmp").read_bytes()[:500])
    assert message(open_image, tmp_path / "cut.bmp").startswith(f"'{tmp_path}/cut.bmp' is damaged: ")
    for limit in (1000, 2500):  # Pillow raises beyond twice its limit, and only warns below
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert message(open_image, tmp_path / "cut.bmp") == (
            f"'{tmp_path}/cut.bmp' holds more than {limit:,} pixels: make it smaller first"
        )
