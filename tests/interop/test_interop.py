"""Other tools on ONNX models: Quantus's metrics, shap's plots."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import onnxdtd
from onnxdtd.interop import quantus_explain_func, quantus_model, shap_explanation
from tests.support.command_line import DIGIT, DIGIT_MODEL
from tests.support.paths import MODELS

pytestmark = pytest.mark.filterwarnings("ignore")


def digits(count: int) -> tuple[np.ndarray, np.ndarray]:
    held = np.load(MODELS / "mnist_heldout.npz")
    return (held["images"][:count, None] / 255).astype(np.float32), held["labels"][:count].astype(int)


def test_explain_func_explains_each_samples_target() -> None:
    x, _ = digits(3)
    relevance = quantus_explain_func(DIGIT_MODEL, x, np.array([3, 1, 4]), method="gradient", device="cpu")
    assert relevance.shape == x.shape
    for i, target in enumerate((3, 1, 4)):
        actual = onnxdtd.explain(DIGIT_MODEL, x[i : i + 1], target, "gradient").relevance["image"][0]
        np.testing.assert_allclose(relevance[i], actual, rtol=1e-4, atol=1e-6)
    explainer = onnxdtd.Explainer(DIGIT_MODEL, "gradient")
    np.testing.assert_array_equal(quantus_explain_func(explainer, x, [3, 1, 4]), relevance)


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(name: str) -> Any:
        raise ImportError(name)

    e = onnxdtd.explain(DIGIT_MODEL, np.load(DIGIT))
    monkeypatch.setattr("importlib.import_module", nowhere)
    with pytest.raises(onnxdtd.UsageError, match="pip install torch quantus"):
        quantus_model.__globals__["_module"].__wrapped__()
    with pytest.raises(onnxdtd.UsageError, match="pip install shap"):
        shap_explanation(e)


def test_the_torch_module_is_the_onnx_model() -> None:
    torch = pytest.importorskip("torch", reason="Quantus takes torch modules; torch is not installed")
    x, _ = digits(4)
    module = quantus_model(DIGIT_MODEL)
    probabilities = onnxdtd.predict_fn(DIGIT_MODEL, probabilities=False)(x)
    np.testing.assert_allclose(module(torch.from_numpy(x)).numpy(), probabilities, rtol=1e-5)
    other = copy.deepcopy(module)
    layer = list(other.children())[-1]
    layer.reset_parameters()
    assert np.abs(other(torch.from_numpy(x)).numpy() - probabilities).max() > 1
    np.testing.assert_allclose(module(torch.from_numpy(x)).numpy(), probabilities, rtol=1e-5)
    assert layer.weight.std() == pytest.approx(layer.deviation, rel=0.2)
    other.load_state_dict(module.state_dict())
    np.testing.assert_allclose(other(torch.from_numpy(x)).numpy(), probabilities, rtol=1e-5)


def quantus_case(count: int, method: str) -> dict[str, Any]:
    x, y = digits(count)
    return {
        "model": quantus_model(DIGIT_MODEL), "x_batch": x, "y_batch": y, "a_batch": None, "channel_first": True,
        "softmax": False, "explain_func": quantus_explain_func, "explain_func_kwargs": {"method": method},
    }  # fmt: skip


def test_quantus_faithfulness_tells_methods_from_noise() -> None:
    quantus = pytest.importorskip("quantus", reason="quantus is not installed")
    scores = {}
    for method in ("gradient_x_input", "noise"):
        case = quantus_case(8, "gradient_x_input")
        if method == "noise":
            case["explain_func"] = lambda model, inputs, targets, **kwargs: np.random.default_rng(0).random(
                inputs.shape
            )
        np.random.seed(0)
        metric = quantus.FaithfulnessCorrelation(nr_runs=60, subset_size=64, disable_warnings=True)
        scores[method] = float(np.mean(metric(**case)))
    assert scores["gradient_x_input"] > 0.4
    assert abs(scores["noise"]) < 0.2


def test_quantus_randomises_the_onnx_model() -> None:
    quantus = pytest.importorskip("quantus", reason="quantus is not installed")
    scores = quantus.MPRT(disable_warnings=True, return_last_correlation=False)(**quantus_case(3, "gradient"))
    means = {layer: float(np.mean(values)) for layer, values in scores.items()}
    assert len(means) == 6  # the original, and five layers drawn anew one after the other
    assert means.pop("original") == pytest.approx(1)
    assert all(value < 0.9 for value in means.values())
    assert abs(list(means.values())[-1]) < 0.4  # nothing learnt is left
    logits = quantus.RandomLogit(num_classes=10, seed=0, disable_warnings=True)(**quantus_case(3, "gradient"))
    assert all(-1 <= float(value) < 0.99 for value in logits)


def test_shap_plots_take_relevance() -> None:
    shap = pytest.importorskip("shap", reason="shap is not installed")
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("Agg")
    explainer = onnxdtd.Explainer(MODELS / "wine_mlp.onnx", "epsilon_plus")
    row = np.load(MODELS / "wine_sample.npy")
    e = explainer(np.concatenate([row, 1.1 * row]))
    shap_values = shap_explanation(e, names=explainer.features)
    np.testing.assert_allclose(
        shap_values.base_values + shap_values.values.sum(axis=1), e.target_value, rtol=1e-5
    )
    assert shap_values.feature_names == list(explainer.features or ())
    np.testing.assert_array_equal(shap_values[1].data, 1.1 * row[0])
    for plot, shown in (
        (shap.plots.waterfall, shap_values[0]),
        (shap.plots.bar, shap_values[0]),
        (shap.plots.beeswarm, shap_values),
    ):
        plot(shown, show=False)
        assert plt.gcf().axes
        plt.close("all")


def test_shap_draws_images_with_their_channels_last() -> None:
    shap = pytest.importorskip("shap", reason="shap is not installed")
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("Agg")
    e = onnxdtd.explain(DIGIT_MODEL, np.load(DIGIT), method="dtd")
    shap_values = shap_explanation(e)
    assert shap_values.values.shape == shap_values.data.shape == (1, 28, 28, 1)
    shap.image_plot(shap_values, show=False)
    plt.close("all")
    with pytest.raises(onnxdtd.UsageError, match="'nothing' has no relevance: choose among image"):
        shap_explanation(e, input="nothing")
    with pytest.raises(onnxdtd.UsageError, match="2 names for 784"):
        shap_explanation(e, names=["a", "b"])
