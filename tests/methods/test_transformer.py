"""Transformers: what PyTorch exports, against gradients and AttnLRP relevance that PyTorch computed
(tools/goldens/transformer_goldens.py)."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnxdtd.explainer import Explainer
from tests.support.model_text import model
from tests.support.paths import GOLDENS

FOLDER = GOLDENS / "transformer"
EXPORTS = ("script", "dynamo", "attention")


def golden() -> dict[str, np.ndarray]:
    return dict(np.load(FOLDER / "relevance.npz"))


def explained(export: str, method: str, **options: object):
    g = golden()
    explainer = Explainer(FOLDER / f"{export}.onnx", method, **options)
    return explainer({"ids": g["ids"], "mask": g["mask"]}, target=g["target"].tolist())


def error(actual: np.ndarray, expected: np.ndarray) -> float:
    return np.abs(actual - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("export", EXPORTS)
def test_gradient_x_input_of_each_token_is_autograd(export: str) -> None:
    e = explained(export, "gradient_x_input")
    np.testing.assert_allclose(e.outputs["logits"], golden()["logits"], rtol=1e-4, atol=1e-5)
    assert e.relevance["ids"].shape == (3, 8)
    assert error(e.relevance["ids"], golden()["gradient_x_input"]) < 1e-5


@pytest.mark.parametrize("export", EXPORTS)
@pytest.mark.parametrize("method", ["attnlrp", "cp_lrp"])
def test_lrp_is_the_papers_written_out(method: str, export: str) -> None:
    """No division but the first: no stabiliser, and where a norm is exported in parts, nothing lost between them."""
    e = explained(export, method)
    assert error(e.relevance["ids"], golden()[method]) < 1e-5
    assert "epsilon" not in e.conservation.causes
    lost = sum(e.conservation.causes.values())
    assert abs(e.conservation.relevance + lost - e.conservation.target) < 1e-3 * abs(e.conservation.target)


@pytest.mark.parametrize("export", EXPORTS)
def test_padding_gets_nothing(export: str) -> None:
    for method in ("attnlrp", "dtd", "composite", "epsilon_plus", "gradient_x_input"):
        ids = explained(export, method).relevance["ids"]
        assert np.isfinite(ids).all()
        assert ids.any()
        assert not ids[golden()["mask"] == 0].any()


@pytest.mark.parametrize("method", ["attnlrp", "cp_lrp", "gradient_x_input"])
@pytest.mark.parametrize("export", EXPORTS)
def test_compiled_is_the_same(export: str, method: str) -> None:
    eager, compiled = (explained(export, method, engine=engine) for engine in ("numpy", "onnx"))
    assert error(compiled.relevance["ids"], eager.relevance["ids"]) < 1e-4


def test_auto_takes_attnlrp_and_says_why() -> None:
    plan = Explainer(FOLDER / "attention.onnx").plan()
    assert (plan.method, plan.inputs) == ("attnlrp", ("ids",))
    assert "attention" in plan.reason
    assert any("2x" in note and note.startswith("Attention expanded") for note in plan.graph.notes)


def test_deep_taylor_says_where_its_theory_ends() -> None:
    (warning,) = Explainer(FOLDER / "dynamo.onnx", "dtd").plan().warnings
    assert "LayerNormalization, MatMul, Softmax" in warning


def one_layer(body: str, **constants: object) -> onnx.ModelProto:
    return model(f"(float[N, 4] x) => (float[N, 4] y) {{ {body} }}", **constants)


GELU = {
    "half last": "s = Div(x, root) a = Erf(s) b = Add(a, one) c = Mul(x, b) y = Mul(c, half)",
    "half first": "s = Div(x, root) a = Erf(s) b = Add(a, one) h = Mul(half, x) y = Mul(h, b)",
    "gate first": "s = Div(x, root) a = Erf(s) b = Add(a, one) y = Mul(b, x)",
    "tanh": "p = Pow(x, three) q = Mul(p, half) r = Add(x, q) t = Tanh(r) b = Add(t, one) y = Mul(x, b)",
    "silu": "a = Sigmoid(x) y = Mul(x, a)",
    "mish": "a = Softplus(x) b = Tanh(a) y = Mul(x, b)",
}
NUMBERS = {k: np.float32(v) for k, v in {"one": 1, "half": 0.5, "root": 2**0.5, "three": 3}.items()}


@pytest.mark.parametrize("form", GELU)
def test_an_activation_written_as_a_product_passes_all_to_its_input(form: str) -> None:
    gelu, x = one_layer(GELU[form], **NUMBERS), np.array([[0.7, -0.4, 1.3, 2.0]], np.float32)
    e = Explainer(gelu, "attnlrp")(x, target=(2,))
    np.testing.assert_allclose(e.relevance["x"], np.where(np.arange(4) == 2, e.outputs["y"], 0), rtol=1e-4)
    assert Explainer(gelu, "dtd", input_range=(-3, 3)).plan().warnings == ()
    step = np.array([[0, 0, 1e-2, 0]], np.float32)
    ahead, behind = (Explainer(gelu, "gradient")(x + s * step).outputs["y"][0, 2] for s in (1, -1))
    slope = Explainer(gelu, "gradient")(x, target=(2,)).relevance["x"][0, 2]
    np.testing.assert_allclose(slope, (ahead - behind) / 2e-2, rtol=1e-3)


def test_a_share_of_other_elements_takes_its_half() -> None:
    e = Explainer(one_layer("a = Softmax(x) y = Mul(x, a)"), "attnlrp")
    assert e.plan().steps[-1].op.family == "gate"


MASKS = {
    "added": "m = Add(x, mask) s = Softmax(m)",
    "chosen": "open = Greater(mask, none) m = Where(open, x, low) s = Softmax(m)",
}


@pytest.mark.parametrize("bias", ["absorb", "redistribute"])
@pytest.mark.parametrize("low", [-np.inf, -3.4028235e38, -1e4])
@pytest.mark.parametrize("form", MASKS)
def test_masked_inputs_count_as_zero(form: str, low: float, bias: str) -> None:
    masked = one_layer(
        MASKS[form] + " y = Mul(s, x)",
        mask=np.array([0, 0, low, 0], np.float32), none=np.float32(-1), low=np.float32(low),
    )  # fmt: skip
    x = np.array([[1.0, 0.5, 3.0, -1.0], [0.3, 0.2, -5.0, 0.4]], np.float32)
    e = Explainer(masked, "attnlrp", bias=bias)(x, target=(0,))
    assert np.isfinite(e.relevance["x"]).all()
    assert e.relevance["x"].any()
    assert not e.relevance["x"][:, 2].any()
    assert all(np.isfinite(amount) for amount in e.conservation.causes.values())
