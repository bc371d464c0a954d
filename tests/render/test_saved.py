"""A result draws itself: in its folder, in a notebook, as a waterfall that adds up."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import onnxdtd
from onnxdtd.render.heatmap import figure_of
from tests.support.paths import MODELS

WINE, SAMPLE = MODELS / "wine_mlp.onnx", MODELS / "wine_sample.npy"


@pytest.fixture(scope="module")
def wine() -> onnxdtd.Explanation:
    return onnxdtd.explain(WINE, SAMPLE)


def test_a_row_is_a_waterfall_that_adds_up(wine: onnxdtd.Explanation) -> None:
    figure = figure_of(wine)
    assert figure is not None
    (axes,) = figure.axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    bars = [(bar.get_x(), bar.get_width()) for bar in axes.patches]
    assert names[0] == "hue = 1.45"
    assert names[-2:] == ["constants", "logit of class 1 'class_1'"]
    for (start, width), (following, _) in pairwise(bars[:-1]):
        assert following == pytest.approx(start + width)
    total = float(wine.target_value[0])
    assert bars[-2][0] + bars[-2][1] == pytest.approx(total, rel=1e-5)
    assert bars[-1] == pytest.approx((0, total), rel=1e-5)


def test_a_method_that_promises_no_sum_has_plain_bars() -> None:
    figure = figure_of(onnxdtd.explain(WINE, SAMPLE, method="gradient"))
    assert figure is not None
    assert {bar.get_x() for bar in figure.axes[0].patches} == {0.0}


def test_save_draws_and_show_shows(
    wine: onnxdtd.Explanation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Image.Image] = []
    monkeypatch.setattr(Image.Image, "show", lambda image: shown.append(image))
    folder = wine.save(tmp_path / "out")
    assert {"heatmap.png", "relevance.csv"} <= {path.name for path in folder.iterdir()}
    picture = wine.show()
    assert [image.size for image in shown] == [picture.size]
    monkeypatch.setattr("builtins.get_ipython", object(), raising=False)
    wine.show()
    assert len(shown) == 1
    page = wine._repr_html_()
    assert "data:image/png;base64," in page
    assert "class 1 &#x27;class_1&#x27;" in page
    assert onnxdtd.Explanation.load(folder) == wine


def test_several_rows_have_a_ranking_and_a_table(tmp_path: Path) -> None:
    x = np.load(SAMPLE)
    e = onnxdtd.explain(WINE, np.concatenate([x, 1.1 * x]))
    names = {path.name for path in e.save(tmp_path / "out").iterdir()}
    assert {"columns.png", "summary.csv"} <= names
    assert "contact.png" not in names
