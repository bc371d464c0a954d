"""The MNIST-pairs experiment in small: what deep Taylor promises with biases <= 0, and the measures by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.paths import MODELS
from tools.reproduce import mnist_pairs as tool


@pytest.mark.parametrize("layers", [1, 2])
def test_deep_taylor_is_positive_and_conserves(layers: int) -> None:
    held = np.load(MODELS / "mnist_heldout.npz")
    weights = tool.train(held["images"], held["labels"], layers, steps=40, seed=0)
    assert max(bias.max() for bias in weights[1::2]) <= 0
    x, side = tool.pairs(held["images"], held["labels"], np.ones(20, bool), np.random.default_rng(1))
    f = tool.forward(weights, x.reshape(20, -1))[2]
    active = f > 0.1
    assert active.sum() >= 5
    _, explained = tool.heatmaps(tool.network(weights), "w-square", x[active])
    np.testing.assert_allclose(explained, f[active], rtol=1e-4)
    for method in ("w-square", "z-box + z+"):
        measured = tool.measure(tool.network(weights), method, x[active], side[active])
        assert measured["conservation error"].max() < 1e-3
        assert measured["negative"].max() == 0
    assert (
        tool.measure(tool.network(weights), "sensitivity", x[active], side[active])[
            "conservation error"
        ].max()
        > 0.01
    )


def test_measures_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    r = np.zeros((1, 28, 56))
    r[0, 3, 30], r[0, 4, 5], r[0, 5, 6] = 3.0, 1.0, -1.0
    monkeypatch.setattr(tool, "heatmaps", lambda model, method, x: (r, np.array([4.0])))
    measured = tool.measure(None, "any", np.zeros((1, 28, 56)), np.array([1]))
    assert measured["target digit"] == 0.75
    assert measured["conservation error"] == 0.25
    assert measured["negative"] == 0.2
    # The map did not move with the pair, so moved back it lies a pixel beside itself.
    assert measured["discontinuity"] == 2.0
