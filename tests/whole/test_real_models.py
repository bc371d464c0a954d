"""Models that others trained, where their packages are installed: the command line explains each."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from onnxdtd import Explainer, Explanation
from tests.support.command_line import Cli
from tests.support.real_models import EXPLAINED, Real


def path_of(real: Real) -> Path:
    if real.path is None:
        pytest.skip(f"{real.package} is not installed; tests/support/real_models.py says how")
    return real.path


def written(real: Real, folder: Path) -> Path:
    feed = real.feed()
    if isinstance(feed, dict):
        np.savez(folder / "input.npz", **feed)
        return folder / "input.npz"
    np.save(folder / "input.npy", np.ascontiguousarray(feed))
    return folder / "input.npy"


@pytest.mark.parametrize("real", EXPLAINED, ids=str)
def test_it_is_explained(real: Real, cli: Cli, tmp_path: Path) -> None:
    path = path_of(real)
    code, out, err = cli("run", path, written(real, tmp_path), "-o", "out", "--no-audit", "--json")
    assert code == 0, err
    e = Explanation.load(tmp_path / "out")
    assert all(np.isfinite(r).all() and np.abs(r).sum() > 0 for r in e.relevance.values())
    whole = abs(e.conservation.target) + sum(map(abs, e.conservation.causes.values()))
    assert abs(e.conservation.error) < 1e-3 * whole
    assert json.loads(out)["conservation"]


@pytest.mark.parametrize("real", [real for real in EXPLAINED if real.package == "silero_vad"], ids=str)
def test_both_engines_explain_the_branches_that_are_taken(real: Real) -> None:
    """Also with the sampling rate fixed, on which the branches hang."""
    path, feed = path_of(real), real.feed()
    assert isinstance(feed, dict)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    expected = session.run(None, feed)[0]
    explainer = Explainer(path, "epsilon_plus")
    e = explainer(feed)
    np.testing.assert_allclose(e.outputs[session.get_outputs()[0].name], expected, atol=1e-4)
    fixed = {name: value for name, value in feed.items() if name == "sr"}
    rest = {name: value for name, value in feed.items() if name not in fixed}
    others = [explainer.by(engine="onnx")(feed), explainer.by(fixed=fixed)(rest)]
    for other in others:
        for name, r in e.relevance.items():
            np.testing.assert_allclose(other.relevance[name], r, atol=1e-4 * np.abs(r).max())


def shorter(feed: dict[str, np.ndarray], explainer: Explainer) -> dict[str, np.ndarray]:
    """Open lengths of 64 and more cut to half, in pieces of 32; the first axis twice where it is open and 1."""
    cut = {}
    for name, x in feed.items():
        for axis, size in enumerate(explainer.inputs[name].shape or ()):
            if isinstance(size, int):
                continue
            if axis == 0 and x.shape[0] == 1:
                x = np.concatenate([x, x[..., ::-1]])
            elif axis and x.shape[axis] >= 64:
                x = np.take(x, range(x.shape[axis] // 64 * 32), axis=axis)
        cut[name] = np.ascontiguousarray(x)
    return cut


@pytest.mark.parametrize("real", [real for real in EXPLAINED if real.package != "silero_vad"], ids=str)
def test_one_compiled_walk_serves_its_open_sizes(real: Real) -> None:
    path, feed = path_of(real), real.feed()
    numpy, onnx = Explainer(path), Explainer(path, engine="onnx")
    feeds = feed if isinstance(feed, dict) else {next(iter(numpy.inputs)): np.ascontiguousarray(feed)}
    for inputs in (feeds, shorter(feeds, numpy)):
        expected, compiled = numpy(inputs), onnx(inputs)
        for name, r in expected.relevance.items():
            np.testing.assert_allclose(compiled.relevance[name], r, atol=1e-3 * np.abs(r).max())
