"""Pages that Pillow paints are those of matplotlib: the same places, pixels, words; and they come without it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxdtd.render.canvas import HEADING, MARGIN, Page
from onnxdtd.render.colours import SIGNED, Scale
from onnxdtd.render.images import image
from onnxdtd.render.painted import Painted, _ticks
from tests.render.test_canvas import drawn
from tests.support.paths import MODELS

WITHOUT = """
import sys
from onnxdtd.cli import main
code = main(sys.argv[1:])
print(sorted({'matplotlib', 'networkx', 'numpy.ma', 'onnx.reference'} & sys.modules.keys()), code)
"""


def pages(relevance: Any, *arguments: Any) -> list[Any]:
    """RGB by matplotlib and by Pillow, and the height of what stands above the panels."""
    made: list[Any] = [image(board, relevance, *arguments) for board in (Page, Painted)]
    return [drawn(made[0].figure), np.asarray(made[1].canvas, int), made[0].top]


@pytest.mark.parametrize("shape", [(28, 28), (60, 224), (1, 1), (1300, 1500)])
def test_a_painted_page_is_that_of_matplotlib(rng: np.random.Generator, shape: tuple[int, int]) -> None:
    relevance, picture = rng.normal(size=shape) ** 3, rng.random((*shape, 3))
    one, other, _ = pages(relevance, picture, ("class 3 'cat' $x$", "a caption"), 99.5, None)
    assert one.shape == other.shape
    # All but the edges of letters and what resampling leaves open.
    assert (np.abs(one - other).max(axis=-1) > 24).mean() < 0.03
    assert np.abs(one - other).mean() < 4


def test_pixels_are_crisp_and_have_the_colours_of_the_scale(rng: np.random.Generator) -> None:
    relevance = rng.normal(size=(3, 4))
    _, shown, top = pages(relevance, None, ("", ""), 100, None)
    colours = np.rint(255 * Scale.of(relevance, 100).colours(relevance))
    panel = shown[top + HEADING :, MARGIN:][:450, :600]
    np.testing.assert_array_equal(panel, colours.repeat(150, 0).repeat(150, 1))


def test_a_box_is_a_dashed_line_around_its_pixels() -> None:
    box = (2.0, 1.0, 6.0, 5.0)
    _, plain, top = pages(np.ones((10, 10)), None, ("", ""), 100, None)
    _, boxed, _ = pages(np.ones((10, 10)), None, ("", ""), 100, box)
    rows, columns = np.nonzero((plain != boxed).any(axis=-1))
    assert (columns.min() - MARGIN, columns.max() - MARGIN) == pytest.approx((2 * 60, 6 * 60), abs=3)
    assert (rows.min() - top - HEADING, rows.max() - top - HEADING) == pytest.approx((60, 5 * 60), abs=3)
    assert (boxed[top + HEADING + 200, MARGIN + 200] == plain[top + HEADING + 200, MARGIN + 200]).all()


@pytest.mark.parametrize("low", [False, True])
@pytest.mark.parametrize("high", [False, True])
def test_the_bar_ends_where_the_colours_do(low: bool, high: bool) -> None:
    page = Painted(400, 500, "")
    page.bar(Scale(0.4, low, high, 1.0, 99.5), 40, 40, 400)
    column = np.asarray(page.canvas)[page.top + 40 : page.top + 440, 40 + 13]
    ends = np.rint(255 * SIGNED([1.0, 0.0]))
    np.testing.assert_allclose(column[14 if high else 1], ends[0], atol=12)
    np.testing.assert_allclose(column[-15 if low else -2], ends[1], atol=12)
    middle = 200 + 6 * (high - low)
    np.testing.assert_allclose(column[middle], 255, atol=4)
    edge = np.asarray(page.canvas)[page.top + 40 : page.top + 440, 41].mean(axis=-1)
    assert (edge[:3].min() > 250) == high  # a point leaves its corners white
    assert (edge[-3:].min() > 250) == low


@pytest.mark.parametrize(
    ("end", "ticks"),
    [(1.0, [-1, -0.5, 0, 0.5, 1]), (0.43, [-0.4, -0.2, 0, 0.2, 0.4]), (0.26, [-0.2, -0.1, 0, 0.1, 0.2]),
     (0.7, [-0.5, -0.25, 0, 0.25, 0.5]), (3e-9, [-2e-9, 0, 2e-9]), (0.6, [-0.4, -0.2, 0, 0.2, 0.4])],
)  # fmt: skip
def test_ticks_are_round_numbers(end: float, ticks: list[float]) -> None:
    assert _ticks(end) == pytest.approx(ticks)


def test_a_word_is_as_wide_as_it_is_measured() -> None:
    for board in (Page, Painted):
        assert board.text_width("Brown fox", 11) == pytest.approx(Page.text_width("Brown fox", 11), rel=0.06)
    page = Painted(600, 100, "")
    page.text(40, 20, "Brown fox", 11)
    dark = np.nonzero((np.asarray(page.canvas) < 128).any(axis=(0, 2)))[0]
    assert np.ptp(dark) == pytest.approx(Painted.text_width("Brown fox", 11), abs=6)  # with the room beside


def test_what_a_digit_needs_not_is_not_imported(tmp_path: Path) -> None:
    command = [
        "run",
        str(MODELS / "mnist_cnn.onnx"),
        str(MODELS / "mnist_digit.npy"),
        "-o",
        str(tmp_path / "o"),
    ]
    done = subprocess.run([sys.executable, "-c", WITHOUT, *command], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[] 0", done.stderr
    assert (tmp_path / "o" / "heatmap.png").is_file()
