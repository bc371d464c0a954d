"""The public API on the shipped models: Deep Taylor's promises, targets, engines, warnings."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

import onnxdtd
from onnxdtd.errors import CheckError, InputError, TargetError, UnsupportedError, UsageError
from onnxdtd.walk.verify import check_same
from tests.support.paths import MODELS

DIGIT = np.load(MODELS / "mnist_digit.npy")


def correct_digits(model: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first held-out digits that the model gets right, and their labels."""
    held_out = np.load(MODELS / "mnist_heldout.npz")
    x = held_out["images"][:, None].astype(np.float32) / 255
    e = onnxdtd.Explainer(MODELS / model, "gradient")
    right = np.flatnonzero(e(x[: count + 50]).outputs["logits"].argmax(1) == held_out["labels"][: count + 50])
    return x[right[:count]], held_out["labels"][right[:count]]


@pytest.mark.parametrize("model", ["mnist_cnn.onnx", "mnist_cnn_nonpositive_bias.onnx", "mnist_resnet.onnx"])
def test_deep_taylor_of_a_hundred_digits(model: str) -> None:
    x, labels = correct_digits(model, 100)
    explainer = onnxdtd.Explainer(MODELS / model, "dtd")
    for i in range(100):
        e = explainer(x[i : i + 1])
        r = e.relevance["image"]
        assert e.target == (((labels[i],),),)
        assert r.min() >= 0
        started, lost = e.target_value[0], e.conservation.lost
        np.testing.assert_allclose(r.sum() + lost, started, rtol=1e-3)
        assert set(e.conservation.causes) <= {"dead"}
        if "nonpositive" in model:
            np.testing.assert_allclose(r.sum(), started, rtol=1e-3)


def test_two_exporters_one_explanation() -> None:
    for method in ("dtd", "composite", "epsilon_plus"):
        one, other = (
            onnxdtd.explain(MODELS / name, DIGIT, method=method).relevance["image"]
            for name in ("mnist_cnn.onnx", "mnist_cnn_dynamo.onnx")
        )
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * np.abs(one).max())


@pytest.mark.parametrize(
    "model", ["mnist_cnn.onnx", "mnist_resnet.onnx", "mnist_keras.onnx", "wine_mlp.onnx"]
)
@pytest.mark.parametrize("method", sorted(onnxdtd.METHODS))
@pytest.mark.parametrize("batch", [1, 7])
def test_engines_agree(model: str, method: str, batch: int, rng: np.random.Generator) -> None:
    engines = {n: onnxdtd.Explainer(MODELS / model, method, n, input_range=(0, 1)) for n in ("numpy", "onnx")}
    ((name, value),) = engines["numpy"].inputs.items()
    x = rng.random((batch, *value.shape[1:]), np.float32)
    eager, traced = (e(x) for e in engines.values())
    assert eager.target == traced.target
    expected = eager.relevance[name]
    np.testing.assert_allclose(
        traced.relevance[name], expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max()
    )


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_targets(engine: str) -> None:
    explainer = onnxdtd.Explainer(MODELS / "mnist_cnn.onnx", "gradient_x_input", engine)
    top = explainer(DIGIT)
    (((best,),),) = top.target
    for target in (
        best,
        str(best),
        f"logits:{best}",
        (best,),
        best - 10,
        [best],
        np.array([best]),
        "logits:top",
    ):
        same = explainer(DIGIT, target)
        assert same.target == top.target, target
        np.testing.assert_array_equal(same.relevance["image"], top.relevance["image"])
    two = explainer(np.concatenate([DIGIT, DIGIT]), [best, (best + 1) % 10])
    np.testing.assert_allclose(two.relevance["image"][:1], top.relevance["image"], rtol=1e-4, atol=1e-6)
    assert np.abs(two.relevance["image"][1] - two.relevance["image"][0]).max() > 1e-3


@pytest.mark.parametrize(
    ("target", "message"),
    [(10, "out of range"), ("nowhere", "no output 'nowhere'"), ((1, 2), "2 indices"), ("logits:x", "no output"),
     (1.5, "not understood"), ([1, 2], "2 targets for 1 samples"), (True, "not understood")],
)  # fmt: skip
def test_wrong_targets(target: object, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        onnxdtd.explain(MODELS / "mnist_cnn.onnx", DIGIT, target)


def test_the_final_activation_is_left_out() -> None:
    x = np.load(MODELS / "mnist_digit_nhwc.npy")
    e = onnxdtd.explain(MODELS / "mnist_keras.onnx", x, method="dtd")
    assert any("Softmax" in note for note in e.notes)
    assert e.outputs["probabilities"].max() <= 1 < e.target_value[0]


def test_the_table_explains_the_probabilities_not_the_label() -> None:
    e = onnxdtd.explain(MODELS / "wine_mlp.onnx", np.load(MODELS / "wine_sample.npy"))
    assert e.output == "probabilities"
    assert e.relevance["input"].shape == (1, 13)


def test_nothing_to_explain_is_said() -> None:
    logits = onnxdtd.explain(MODELS / "mnist_cnn.onnx", DIGIT).outputs["logits"][0]
    e = onnxdtd.explain(MODELS / "mnist_cnn.onnx", DIGIT, int(logits.argmin()), method="dtd")
    assert any("nothing to explain" in w for w in e.warnings)
    assert not e.relevance["image"].any()


def test_leaving_the_range_is_said() -> None:
    e = onnxdtd.explain(MODELS / "mnist_cnn.onnx", 2 * DIGIT, method="dtd")
    assert any("leaves its stated range" in w for w in e.warnings)


def test_auto_says_what_it_took_and_why() -> None:
    e = onnxdtd.explain(MODELS / "mnist_cnn.onnx", DIGIT)
    assert e.method == "epsilon_gamma"
    assert "convolutions: gamma" in e.reason


def test_rules_override_by_name_kind_first_and_last() -> None:
    rules = [
        {"op": "Conv", "use": "gamma", "gamma": 0.1},
        {"first": True, "use": "flat"},
        {"name": "/11/*", "use": "epsilon"},
    ]
    plan = onnxdtd.Explainer(MODELS / "mnist_cnn.onnx", "dtd", rules=rules).plan()
    assert plan.rules["/0/Conv"] == "flat"
    assert plan.rules["/3/Conv"] == "gamma(gamma=0.1)"
    assert plan.rules["/9/Gemm"] == "signed_zplus"
    assert plan.rules["/11/Gemm"] == "epsilon"
    assert pickle.loads(pickle.dumps(plan)).rules == plan.rules
    assert "/3/Conv" in str(plan)


def test_a_rules_file_with_every_fault(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(
        '[[rule]]\nop = "Conv"\nuse = "gama"\n[[rule]]\nuse = "flat"\n[[rule]]\nop = 3\nuse = "flat"\n'
    )
    with pytest.raises(UsageError) as error:
        onnxdtd.Explainer(MODELS / "mnist_cnn.onnx", rules=path)
    text = str(error.value)
    assert "rule 1: use = 'gama' is not a rule" in text
    assert "rule 2: no condition" in text
    assert "rule 3: op must be a str" in text


def test_a_rule_that_cannot_serve_is_refused() -> None:
    explainer = onnxdtd.Explainer(MODELS / "mnist_cnn.onnx", rules=[{"op": "Relu", "use": "zplus"}])
    with pytest.raises(UnsupportedError, match="zplus cannot serve '/1/Relu' Relu"):
        explainer(DIGIT)


def test_a_range_that_is_no_range_is_refused() -> None:
    for bounds in ((1, 0), (np.nan, 1)):
        with pytest.raises(UsageError, match="must be a number that does not exceed high"):
            onnxdtd.Explainer(MODELS / "mnist_cnn.onnx", input_range=bounds)


def test_unknown_words_are_refused() -> None:
    with pytest.raises(UsageError, match="no method 'magic'"):
        onnxdtd.explain(MODELS / "mnist_cnn.onnx", DIGIT, method="magic")
    with pytest.raises(UsageError, match="no engine 'torch'"):
        onnxdtd.explain(MODELS / "mnist_cnn.onnx", DIGIT, engine="torch")
    with pytest.raises(UsageError, match="provider nonsense is not installed"):
        onnxdtd.explain(MODELS / "mnist_cnn.onnx", DIGIT, providers="nonsense")
    with pytest.raises(UsageError, match="needs the input's range"):
        onnxdtd.explain(MODELS / "wine_mlp.onnx", np.ones((1, 13)), method="epsilon_gamma_box")


def test_inputs_are_checked() -> None:
    with pytest.raises(InputError, match="NaN"):
        onnxdtd.explain(MODELS / "mnist_cnn.onnx", DIGIT * np.nan)


def test_the_walk_frees_what_it_has_passed() -> None:
    explainer = onnxdtd.Explainer(MODELS / "mnist_cnn.onnx", "dtd")
    first, second = explainer(DIGIT), explainer(DIGIT)
    assert first == second


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.onnx")), ids=lambda p: p.stem)
def test_canonisation_keeps_every_model_pass_by_pass(path: Path, rng: np.random.Generator) -> None:
    explainer = onnxdtd.Explainer(path, "gradient", verify=True)
    ((name, value),) = explainer.inputs.items()
    explainer({name: rng.random((1, *value.shape[1:]), np.float32)})
    assert explainer.loaded.first_input.note == "", "nothing was compared"


def test_a_pass_that_changes_the_model_is_caught() -> None:
    graph = onnxdtd.Explainer(MODELS / "mnist_cnn.onnx").graph
    name = next(name for name, array in graph.constants.items() if array.ndim == 4)
    wrong = graph.replace(constants={**graph.constants, name: graph.constants[name] * np.float32(1.001)})
    with pytest.raises(CheckError, match="'logits' differs by"):
        check_same(graph, wrong.noting("a fold that is off"), {"image": DIGIT})
