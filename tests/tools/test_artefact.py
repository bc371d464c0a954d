"""What tools/artefact trains and publishes. Nothing is trained here."""

from __future__ import annotations

import json

import numpy as np
import onnxruntime

from tools.artefact.network import WEIGHTS, _slopes, scores, to_onnx
from tools.artefact.page import BEGIN, END, PAGE, table
from tools.paths import FIGURES

DOCUMENT = json.loads((FIGURES / "artefact.json").read_text())


def test_the_slopes_are_those_of_the_loss() -> None:
    rng = np.random.default_rng(0)
    weights = {name: rng.normal(0, 0.1, shape) for name, shape in WEIGHTS.items()}
    x, labels = rng.random((3, 1, 28, 28)), np.array([1, 8, 8])

    def loss() -> float:
        logits = scores(weights, x)
        return float((np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(3), labels]).mean())

    slopes = _slopes(weights, x, labels)
    for name, array in weights.items():
        place = tuple(rng.integers(0, size) for size in array.shape)
        array[place] += 1e-5
        above = loss()
        array[place] -= 2e-5
        slope = (above - loss()) / 2e-5
        array[place] += 1e-5
        np.testing.assert_allclose(slopes[name][place], slope, rtol=1e-5, atol=1e-9, err_msg=name)


def test_the_model_computes_what_was_trained() -> None:
    rng = np.random.default_rng(1)
    weights = {name: rng.normal(0, 0.2, shape) for name, shape in WEIGHTS.items()}
    x = rng.random((4, 1, 28, 28)).astype(np.float32)
    (y,) = onnxruntime.InferenceSession(to_onnx(weights).SerializeToString()).run(None, {"image": x})
    np.testing.assert_allclose(y, scores(weights, x), atol=1e-5)


def test_the_mark_was_found_without_being_told() -> None:
    """By the most constant of all channels in every network, by the highest score of all clusters in all but one."""
    planted, control, mark = DOCUMENT["planted"], DOCUMENT["control"], str(DOCUMENT["class"])
    clusters = [one["cluster"] for one in planted if one["cluster"]["class"] == mark]
    assert len(clusters) >= len(planted) - 1
    for cluster in clusters:
        assert cluster["score"] > max(cluster["next"], control["cluster"]["score"])
        assert min(cluster["precision"], cluster["recall"]) > 0.85
    for one in planted:
        concepts = one["concepts"]
        assert concepts["marked"] == 1
        assert concepts["agreement"] > max(concepts["unmarked"], control["concepts"]["agreement"])
        assert concepts["inside"] > 5 * 36 / 28**2  # five times its part of the picture
        assert one["called_by_mark"][1] > 0.5 > 0.1 > one["called_by_mark"][0]
    assert control["concepts"]["inside"] < 0.05


def test_the_page_has_the_figures() -> None:
    assert PAGE.read_text("utf-8").split(BEGIN)[1].split(END)[0].strip() == table(DOCUMENT)
