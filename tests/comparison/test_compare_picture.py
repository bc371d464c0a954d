"""The figure of a comparison: every shape that has a picture has one, and nothing in it overlaps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from onnxdtd.comparison.picture import IMAGE, Sheet, broken, draw
from onnxdtd.render.canvas import SMALL, Page, text_width

NAMES = ["dtd", "epsilon_alpha2_beta1_flat", "integrated_gradients", *(f"method_{i}" for i in range(17))]


def sheet(shape: tuple[int, ...], methods: int = 3, targets: int = 2, **more: Any) -> Sheet:
    rng = np.random.default_rng(0)
    names = tuple(NAMES[:methods])
    maps = {(n, m): rng.standard_normal(shape) for n in range(targets) for m in names}
    lines = tuple(f"class {n} 'some rather long name of a class'   -1{n}.25" for n in range(targets))
    return Sheet(rng.random(shape), names, lines, maps, dict.fromkeys(names, "1,234 × forward"), **more)


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float, float, float]]:
    """The boxes (left, top, right, bottom) of all text and all panels that are drawn."""
    boxes: list[tuple[float, float, float, float]] = []
    draw_text, place = Page.text, Page.place

    def spy(page: Page, left: float, top: float, words: str, size: float, color: str = "#222222") -> None:
        boxes.append((left, top, left + text_width(words, size), top + size * 200 / 72))
        draw_text(page, left, top, words, size, color)

    def spy_place(page: Page, left: float, top: float, width: float, height: float) -> Any:
        boxes.append((left, top, left + width, top + height))
        return place(page, left, top, width, height)

    monkeypatch.setattr(Page, "text", spy)
    monkeypatch.setattr(Page, "place", spy_place)
    return boxes


@pytest.mark.parametrize(
    ("shape", "methods"),
    [((1, 28, 28), 20), ((5,), 9), ((2, 300), 8), *(
        (shape, 2) for shape in ((3, 40, 90), (90, 40, 3), (28, 28), (40,), (300, 2))
    )],
)  # fmt: skip
def test_nothing_overlaps(
    tmp_path: Path, texts: list[tuple[float, float, float, float]], shape: tuple[int, ...], methods: int
) -> None:
    path = draw(sheet(shape, methods), tmp_path / "out.png")
    assert path is not None
    with Image.open(path) as picture:
        width, height = picture.size
    assert len(texts) >= methods
    for i, (left, top, right, bottom) in enumerate(texts):
        assert left >= 0
        assert top >= 0
        assert right <= width
        assert bottom <= height
        for other in texts[:i]:
            apart = right <= other[0] or other[2] <= left or bottom <= other[1] + 1 or other[3] <= top + 1
            assert apart, (texts[i], other)


def test_red_is_for_the_target(tmp_path: Path) -> None:
    relevance = np.zeros((1, 28, 28))
    relevance[:, :14], relevance[:, 14:] = 1, -1
    one = Sheet(np.zeros((1, 28, 28)), ("m",), ("t",), {(0, "m"): relevance}, {"m": ""})
    path = draw(one, tmp_path / "out.png")
    assert path is not None
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    left = pixels.shape[1] - IMAGE // 2 - 44
    column = pixels[:, left]
    red = np.flatnonzero(column[:, 0] - column[:, 2] > 60)
    blue = np.flatnonzero(column[:, 2] - column[:, 0] > 60)
    assert len(red) > 100
    assert red.max() < blue.min()


def test_blanks_say_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    from_axes = __import__("matplotlib.axes").axes.Axes.text
    monkeypatch.setattr(
        "matplotlib.axes.Axes.text",
        lambda a, x, y, s, **k: (written.append(s), from_axes(a, x, y, s, **k))[1],
    )
    x = np.ones((8, 8))
    maps = {(0, "zero"): 0 * x, (0, "nan"): np.nan * x}
    draw(
        Sheet(x, ("zero", "nan", "none"), ("t",), maps, {"zero": "", "nan": "", "none": ""}),
        tmp_path / "out.png",
    )
    assert written == ["zero\neverywhere", "not finite", "not for\nthis target"]


def test_shapes_without_a_picture(tmp_path: Path) -> None:
    assert draw(sheet((5, 6, 7)), tmp_path / "out.png") is None
    assert not (tmp_path / "out.png").exists()


def test_names_break_at_underscores() -> None:
    assert broken("dtd", 300) == ["dtd"]
    first, second = broken("epsilon_alpha2_beta1_flat", 250)
    assert first + second == "epsilon_alpha2_beta1_flat"
    assert first.endswith("_")
    assert all(text_width(line, SMALL) <= 250 for line in (first, second))
