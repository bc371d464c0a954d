from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from onnxdtd.errors import UsageError
from onnxdtd.explanation import Explanation
from onnxdtd.render import heatmap, picture_of, save_heatmap
from onnxdtd.render.colours import Scale


def signed(rng: np.random.Generator, *shape: int) -> Any:
    return rng.normal(size=shape) ** 3


def words(figure: Figure) -> set[str]:
    return {text.get_text() for text in figure.findobj(Text)}


def test_panels_and_channel_sum(rng: np.random.Generator) -> None:
    relevance = signed(rng, 3, 10, 12)
    alone, full = heatmap(relevance), heatmap(relevance, values=rng.normal(size=(3, 10, 12)))
    assert alone is not None
    assert full is not None
    assert "input" not in words(alone)
    assert {"input", "relevance", "overlay"} <= words(full)
    shown = full.axes[1].images[0].get_array()
    summed = relevance.sum(axis=0)
    np.testing.assert_array_equal(shown, Scale.of(summed, 99.5).colours(summed))
    end = Scale.of(summed, 99.5).limit / np.abs(summed).max()
    np.testing.assert_allclose(full.axes[-1].get_ylim(), (-end, end))
    last = heatmap(np.moveaxis(relevance, 0, -1), layout="NHWC")
    assert last is not None
    np.testing.assert_array_equal(last.axes[0].images[0].get_array(), shown)


def test_overlay_is_the_light_picture_without_relevance_and_the_colour_with_most() -> None:
    relevance = np.zeros((8, 8))
    relevance[0, 0], relevance[0, 1] = 1.0, -1.0
    figure = heatmap(relevance, np.zeros((8, 8, 3), np.uint8))
    assert figure is not None
    overlay = figure.axes[2].images[0].get_array()
    np.testing.assert_allclose(overlay[4, 4], 0.76)
    np.testing.assert_allclose(overlay[0, :2], Scale.of(relevance, 100).colours(relevance[0, :2]))


def test_bars_are_sorted_and_the_rest_is_summed() -> None:
    relevance = np.array([*np.full(30, 0.125), -3.0, 2.0])
    figure = heatmap(relevance, values=np.arange(32.0), names=[f"f{i}" for i in range(32)])
    assert figure is not None
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[:3] == ["f30 = 30", "f31 = 31", "f0 = 0"]
    assert (len(labels), labels[-1]) == (20, "13 others, summed")
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    assert widths[:3] == [-3.0, 2.0, 0.125]
    assert widths[-1] == 13 * 0.125
    assert {"−3", "2", "1.62"} <= words(figure)


@pytest.mark.parametrize("shape", [(), (5, 6, 7), (1, 2, 3, 4), (0,)])
def test_shapes_without_a_picture(shape: tuple[int, ...]) -> None:
    assert heatmap(np.zeros(shape)) is None


BAD: list[tuple[tuple[int, ...], dict[str, Any], str]] = [
    (
        (3, 8, 8),
        {"layout": "NHW"},
        "layout 'NHW' does not fit one sample of shape (3, 8, 8): choose among NCHW, NHWC",
    ),
    (
        (2, 2, 2, 2),
        {"layout": "NCHW"},
        "layout 'NCHW' does not fit one sample of shape (2, 2, 2, 2): no layout fits",
    ),
    (
        (3, 8, 8),
        {"picture": np.zeros((9, 8, 3), np.uint8)},
        "the picture has shape (9, 8, 3), not (8, 8) or (8, 8, 3): crop it as the model's input is",
    ),
    (
        (8, 8),
        {"picture": np.full((8, 8), 255.0)},
        "the picture's float64 pixels are neither uint8 nor within 0..1",
    ),
    (
        (8, 8),
        {"picture": np.full((8, 8), 200)},
        "the picture's int64 pixels are neither uint8 nor within 0..1",
    ),
    ((8, 8), {"values": np.zeros(8)}, "values have shape (8,), the relevance (8, 8): they must agree"),
    ((8, 8), {"percentile": 0}, "percentile 0 is not above 0 and at most 100"),
    ((3,), {"names": ["a"]}, "1 names for 3 inputs: give one for each"),
]


@pytest.mark.parametrize(("shape", "options", "fault"), BAD)
def test_what_cannot_be_drawn(shape: tuple[int, ...], options: dict[str, Any], fault: str) -> None:
    with pytest.raises(UsageError) as caught:
        heatmap(np.ones(shape), **options)
    assert str(caught.value) == fault


@pytest.mark.parametrize("shape", [(8, 8), (3, 60), (4,)])
def test_nan_is_not_drawn(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"^the relevance holds NaN or infinity: it cannot be drawn$"):
        heatmap(np.full(shape, np.nan))


def test_picture_of() -> None:
    grey = picture_of(np.array([[[0.0, 1.0], [0.5, -1.0]]]))
    np.testing.assert_array_equal(grey[..., 0], [[128, 255], [191, 0]])
    assert (grey.shape, grey.dtype) == ((2, 2, 3), np.uint8)
    colour = np.zeros((3, 2, 2))
    colour[1, 0, 0], colour[2] = 1.0, 0.5
    np.testing.assert_array_equal(picture_of(colour)[0, 0], [0, 255, 128])
    np.testing.assert_array_equal(picture_of(colour.transpose(1, 2, 0), "NHWC"), picture_of(colour, "NCHW"))
    assert not picture_of(np.full((8, 8), 7.0)).any()
    with pytest.raises(UsageError, match=r"^an array of shape \(5,\) is not an image: name its layout"):
        picture_of(np.zeros(5))


def result(rng: np.random.Generator, **relevance: Any) -> Explanation:
    return Explanation(
        inputs={name: rng.normal(size=r.shape) for name, r in relevance.items()}, outputs={"y": np.eye(2, 3)},
        relevance=relevance, output="y", target=(((0,),), ((1,),)), target_value=np.array([9.0123, 2.0]),
        seed=np.ones(2), method="dtd", reason="", engine="numpy", provider="CPU", nodes=(), model={},
        labels=("cat", "dog", "$"),
    )  # fmt: skip


def test_save_heatmap(rng: np.random.Generator, tmp_path: Path) -> None:
    e = result(rng, x=signed(rng, 2, 1, 28, 28), table=signed(rng, 2, 4))
    assert save_heatmap(e, tmp_path / "a.png") == tmp_path / "a.png"
    assert save_heatmap(e, str(tmp_path / "b.svg"), sample=1, name="table") == tmp_path / "b.svg"
    with Image.open(tmp_path / "a.png") as image:
        assert (
            image.size
            == heatmap(
                e.relevance["x"][0], values=e.inputs["x"][0], title="t", caption="c"
            ).canvas.get_width_height()
        )  # type: ignore[union-attr]
    assert "<svg" in (tmp_path / "b.svg").read_text()
    e.save(tmp_path / "out", extras=lambda folder: save_heatmap(e, folder / "heatmap.png"))
    assert (tmp_path / "out" / "heatmap.png").read_bytes() == (tmp_path / "a.png").read_bytes()


def test_save_heatmap_says_no(rng: np.random.Generator, tmp_path: Path) -> None:
    e = result(rng, x=signed(rng, 2, 5, 6, 7))
    assert save_heatmap(e, tmp_path / "a.png") is None
    assert save_heatmap(result(rng), tmp_path / "a.png") is None
    assert list(tmp_path.iterdir()) == []
    e = result(rng, x=signed(rng, 2, 4))
    with pytest.raises(UsageError, match=r"^'z' has no relevance: choose among x$"):
        save_heatmap(e, tmp_path / "a.png", name="z")
    with pytest.raises(UsageError, match=r"a\.xyz' cannot be written: Format 'xyz' is not supported"):
        save_heatmap(e, tmp_path / "a.xyz")
    with pytest.raises(UsageError, match=r"none/a\.png' cannot be written: "):
        save_heatmap(e, tmp_path / "none" / "a.png")
    with pytest.raises(UsageError, match=r"^sample 2 is not in a batch of 2: count from 0$"):
        save_heatmap(e, tmp_path / "a.png", sample=2)


def test_the_title_names_class_value_and_method(rng: np.random.Generator, tmp_path: Path) -> None:
    save_heatmap(result(rng, x=signed(rng, 2, 4)), tmp_path / "a.svg", sample=1)
    assert "<!-- class 1 'dog', logit 2  ·  dtd -->" in (tmp_path / "a.svg").read_text("utf-8")


def test_matplotlib_is_left_as_it_was(rng: np.random.Generator) -> None:
    def settings() -> dict[str, Any]:
        return {key: matplotlib.rcParams[key] for key in matplotlib.rcParams if key != "backend"}

    before = settings()
    figure = heatmap(signed(rng, 8, 8))
    assert figure is not None
    figure.canvas.draw()
    assert settings() == before
    assert not plt.get_fignums()
