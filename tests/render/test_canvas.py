"""What a reader sees: no text clipped or overlapping, crisp pixels, colours that mean one thing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from onnxdtd.render import heatmap
from onnxdtd.render.colours import SIGNED, Scale, number

LONG = "class 285 'a name that goes on and on $\\frac{1}{$ beyond all reason' " * 6


def drawn(figure: Figure) -> Any:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].astype(int)


def boxes(figure: Figure) -> Iterator[tuple[str, Bbox]]:
    """Every text that is drawn, and its box in pixels."""
    figure.canvas.draw()
    ticks = {
        label
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in axis.get_major_ticks()
        for label in (tick.label1, tick.label2)
        if not (
            label.get_visible()
            and axis.get_view_interval()[0] <= tick.get_loc() <= axis.get_view_interval()[1]
        )
    }
    for text in figure.findobj(Text):
        if text.get_text().strip() and text.get_visible() and text not in ticks:
            yield text.get_text(), text.get_window_extent()


def signed(rng: np.random.Generator, *shape: int) -> Any:
    return rng.normal(size=shape) ** 3


CASES: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "digit": ((1, 28, 28), {"title": "class 5 '5'  9.01  ·  dtd"}),
    "photo": ((3, 224, 224), {"title": LONG}),
    "channels last": ((32, 40, 3), {"title": "x"}),
    "plane": ((8, 8), {}),
    "one pixel": ((1, 1, 1), {"title": LONG}),
    "wide": ((3, 32, 320), {"title": LONG}),
    "tall": ((3, 320, 8), {"title": LONG}),
    "large": ((3, 1500, 1300), {}),
    "tiny values": ((1, 28, 28), {"scale": 1e-30}),
    "huge values": ((1, 28, 28), {"scale": 1.2345e12}),
    "awkward values": ((1, 28, 28), {"scale": 0.00456}),
    "all zero": ((1, 28, 28), {"scale": 0.0}),
    "signal": ((1, 500), {"title": LONG}),
    "channels": ((40, 700), {}),
    "steps first": ((500, 4), {"layout": "NTC"}),
    "long signal": ((9000,), {"layout": "NT"}),
    "table": ((13,), {"names": [f"a column with $\\bad {i}$ in it" for i in range(13)], "title": LONG}),
    "many columns": ((200,), {"names": ["m" * 300] * 200}),
    "one column": ((1,), {"scale": -1.0, "names": [""]}),
}


@pytest.mark.parametrize("with_values", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_no_text_is_clipped_or_overlaps(rng: np.random.Generator, name: str, with_values: bool) -> None:
    shape, options = CASES[name]
    options = dict(options)
    relevance = signed(rng, *shape) * options.pop("scale", 1.0)
    figure = heatmap(relevance, values=rng.normal(size=shape) if with_values else None, **options)
    assert figure is not None
    width, height = figure.canvas.get_width_height()
    assert max(width, height) <= 4000
    placed = list(boxes(figure))
    for text, box in placed:
        assert box.x0 >= 0 <= box.y0, text
        assert box.x1 <= width, text
        assert box.y1 <= height, text
    for (text, box), (other, beside) in combinations(placed, 2):
        assert not Bbox.intersection(box.padded(-1), beside.padded(-1)), (text, other)


@pytest.mark.parametrize(("size", "zoom"), [(28, 21), (224, 3)])
def test_every_pixel_is_a_crisp_square(rng: np.random.Generator, size: int, zoom: int) -> None:
    relevance = signed(rng, size, size)
    figure = heatmap(relevance)
    assert figure is not None
    image, box = drawn(figure), figure.axes[0].get_window_extent()
    left, top = round(box.x0), round(image.shape[0] - box.y1)
    np.testing.assert_allclose((box.width, box.height), zoom * size)
    np.testing.assert_allclose((box.x0, image.shape[0] - box.y1), (left, top), atol=1e-6)
    panel = image[top : top + zoom * size, left : left + zoom * size].reshape(size, zoom, size, zoom, 3)
    colours = 255 * Scale.of(relevance, 99.5).colours(relevance)
    inner = slice(1, -1)  # the frame covers the rim
    off = np.abs(panel[inner, :, inner] - colours[inner, None, inner, None])
    assert off.max() <= 1


def test_white_is_zero_red_is_for_blue_is_against() -> None:
    scale = Scale.of(np.array([-2.0, 1.0]), 100)
    colours = scale.colours(np.array([-2.0, 0.0, 2.0, 1e9]))
    np.testing.assert_array_equal(colours[1], [1.0, 1.0, 1.0])
    assert colours[0].argmax() == 2
    assert colours[2].argmax() == 0
    np.testing.assert_array_equal(colours[2], colours[3])
    light = np.asarray(SIGNED(np.linspace(0.5, 1, 100)))[:, :3] @ [0.299, 0.587, 0.114]
    assert (np.diff(light) <= 0).all()


def test_the_limit_is_a_percentile_that_the_label_states() -> None:
    relevance = np.linspace(0.5, 1.0, 1000)
    relevance[7] = -50.0
    scale = Scale.of(relevance, 99.5)
    assert 0.99 < scale.limit < 1.0
    assert Scale.of(np.arange(1.0, 1001.0), 99.5).limit == 996.0
    assert (scale.low, scale.high, scale.largest) == (True, True, -50.0)
    assert scale.label == ("relevance, the largest being 1", "all beyond 0.02 in the last colour")
    assert Scale.of(relevance, 100).label == ("relevance, the largest being 1",)
    sparse = np.zeros(1000)
    sparse[3] = 0.25
    assert Scale.of(sparse, 99.5).limit == 0.25
    assert Scale.of(np.zeros(3), 99.5).limit == 1.0


def test_ticks_are_shares_of_the_largest() -> None:
    for size in (2.5e-7, 0.5, 2.5e4):
        assert Scale.of(np.array([-size, size / 4]), 100).end == 1.0
    assert Scale.of(np.array([*[1.0] * 999, -8.0]), 99).end == 0.125
    assert Scale.of(np.zeros(3), 100).end == 1.0
    assert [number(v) for v in (0.0, -0.0, -1.5, 1e-9)] == ["0", "0", "−1.5", "1e−09"]
