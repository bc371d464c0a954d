"""Root functions that justify anything (C3): the recursion returns the wanted picture, by the Jacobian alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from onnxdtd.errors import UsageError
from onnxdtd.theory.chain import Layer, dense
from onnxdtd.theory.recursion import recursion
from onnxdtd.theory.root_functions import origin
from tests.support.paths import ROOT
from tools.justify_anything.justify import justify
from tools.justify_anything.picture import face, read

Array = np.ndarray


def network(rng: np.random.Generator, inputs: int = 20, units: int = 100) -> tuple[list[Layer], Array]:
    """Two layers without bias, and an input with a positive output."""
    w, g = rng.standard_normal((units, inputs)), rng.standard_normal((1, units))
    x = rng.standard_normal(inputs)
    value = (g @ np.maximum(w @ x, 0)).item()
    return [dense(w), dense(g * np.sign(value), relu=False)], x


def test_the_recursion_returns_the_picture(rng: np.random.Generator) -> None:
    for _ in range(20):
        layers, x = network(rng)
        picture = rng.random(20)
        justification = justify(layers, x, picture)
        expected = picture * justification.honest.value / picture.sum()
        explanation = recursion(layers, [origin, justification.root])(x).relevance[0]
        np.testing.assert_allclose(explanation, expected, rtol=0, atol=1e-6 * expected.max())
        assert justification.error < 1e-6
        assert justification.residual < 1e-9
        np.testing.assert_allclose(explanation.sum(), justification.honest.value, rtol=1e-6)
        # The upper root is the one that w-square takes.
        wsquare = recursion(layers, [origin, "wsquare"])(x).roots[1]
        np.testing.assert_allclose(
            justification.justified.roots[1], wsquare, rtol=0, atol=1e-6 * abs(wsquare).max()
        )


def test_without_the_jacobian_it_is_gradient_times_step(rng: np.random.Generator) -> None:
    layers, x = network(rng)
    picture = rng.random(20)
    justification = justify(layers, x, picture)
    held = recursion(layers, [origin, justification.justified.roots[1][0]])(x).relevance[0]
    np.testing.assert_allclose(held, justification.honest.relevance[0], rtol=0, atol=1e-9 * abs(held).max())
    assert abs(held - justification.wanted).max() > 0.1 * justification.wanted.max()


def test_the_closed_form(rng: np.random.Generator) -> None:
    """R = (W^T (I - J)^T g) * x, written out for any J, is what the recursion gives for the root J a."""
    layers, x = network(rng)
    j = rng.standard_normal((100, 100))
    w = layers[0].weights * (layers[0].weights @ x > 0)[:, None]
    expected = (w.T @ (np.eye(100) - j).T @ layers[1].weights[0]) * x
    relevance = recursion(layers, [origin, lambda a: a @ j.T])(x).relevance[0]
    np.testing.assert_allclose(relevance, expected, rtol=0, atol=1e-9 * abs(expected).max())
    root = justify(layers, x, rng.random(20)).root
    np.testing.assert_allclose(
        (np.eye(100) - root.jacobian).T @ root.g, root.q, atol=1e-9 * abs(root.q).max()
    )


def test_what_cannot_be_justified_is_said(rng: np.random.Generator) -> None:
    layers, x = network(rng)
    with pytest.raises(UsageError, match="outside the row space"):
        justify(*network(rng, 20, 15), rng.random(20))
    with pytest.raises(UsageError, match="the input is 0 where the picture is not"):
        justify(layers, x * (np.arange(20) > 0), rng.random(20))
    with pytest.raises(UsageError, match="choose another target"):
        justify([layers[0], dense(-layers[1].weights, relu=False)], x, rng.random(20))
    with pytest.raises(UsageError, match="a positive sum"):
        justify(layers, x, np.zeros(20))
    with pytest.raises(UsageError, match="without bias"):
        justify([dense(layers[0].weights, 0.1), layers[1]], x, rng.random(20))


def test_the_tool_draws_a_picture_of_ones_own(tmp_path: Path) -> None:
    picture = np.full((56, 56), 255, np.uint8)
    picture[20:36, 8:48] = 0
    Image.fromarray(picture).save(tmp_path / "bar.png")
    assert read(tmp_path / "bar.png")[14, 14] == 1
    assert face().shape == (28, 28)
    command = [
        *(sys.executable, "-m", "tools.justify_anything"),
        *("--out", tmp_path, "--picture", tmp_path / "bar.png"),
    ]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    (error,) = [
        line.split()[-1] for line in run.stdout.splitlines() if line.startswith("justified - picture")
    ]
    assert float(error) < 1e-6
    drawn = np.asarray(Image.open(tmp_path / "justified.png").convert("RGB"), int)
    # The bar is red in the last panel, and the ground around it white.
    panel = drawn[:, int(0.64 * drawn.shape[1]) : int(0.90 * drawn.shape[1])]
    assert ((panel[..., 0] - panel[..., 2]) > 60).mean() > 0.1
