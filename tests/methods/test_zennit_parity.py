"""Named methods against zennit 0.5.1, recorded by tools/goldens/zennit_goldens.py: equal to 1e-4 relative."""

from __future__ import annotations

import numpy as np
import pytest

from onnxdtd.explainer import Explainer
from tests.support.paths import GOLDENS

NETWORKS = ("vgg_like", "resnet_like")
METHODS = (
    "epsilon_plus", "epsilon_plus_flat", "epsilon_alpha2_beta1", "epsilon_alpha2_beta1_flat",
    "epsilon_gamma_box", "excitation_backprop", "gradient", "gradient_x_input", "guided_backprop", "deconvnet",
)  # fmt: skip
RULES = {
    "rule_zplus": "zplus", "rule_gamma": "gamma", "rule_alpha2_beta1": "alpha_beta", "rule_epsilon": "epsilon",
    "rule_wsquare": "wsquare", "rule_flat": "flat",
}  # fmt: skip


def compare(network: str, key: str, explainer: Explainer) -> None:
    golden = np.load(GOLDENS / f"{network}.npz")
    targets = golden["target"].tolist()
    e = explainer(golden["input"], target=targets)
    np.testing.assert_allclose(e.outputs["logits"], golden["output"], rtol=1e-4, atol=1e-5)
    expected = golden[key]
    error = np.abs(e.relevance["input"] - expected).max() / np.abs(expected).max()
    assert error <= 1e-4, f"{key} differs from zennit by {error:.2e} of its largest value"


def explainer_of(network: str, method: str, **options: object) -> Explainer:
    golden = np.load(GOLDENS / f"{network}.npz")
    return Explainer(
        GOLDENS / f"{network}.onnx", method, bias=None if "gradient" in method else "absorb",
        input_range=(golden["low"][:1], golden["high"][:1]), **options,
    )  # fmt: skip


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_methods(network: str, method: str, engine: str) -> None:
    compare(network, method, explainer_of(network, method, engine=engine))


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("key", RULES)
def test_single_rules(network: str, key: str) -> None:
    # zennit stabilises every division.
    step = {"epsilon": 1e-6} if RULES[key] == "epsilon" else {}
    use = [{"family": family, "use": RULES[key], **step} for family in ("convolution", "dense")]
    compare(network, key, explainer_of(network, "epsilon_plus", rules=use))


def test_a_wrong_bias_switch_is_caught() -> None:
    golden = np.load(GOLDENS / "vgg_like.npz")
    e = Explainer(GOLDENS / "vgg_like.onnx", "epsilon_plus", bias="redistribute")(golden["input"])
    expected = golden["epsilon_plus"]
    assert np.abs(e.relevance["input"] - expected).max() / np.abs(expected).max() > 1e-2
