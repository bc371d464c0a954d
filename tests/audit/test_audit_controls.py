"""Controls: for every finding a model on which it must fire, and one on which it must not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from onnxdtd.audit import AUDITS, Finding, run_audit
from onnxdtd.errors import UsageError
from onnxdtd.explainer import Explainer
from tests.support.audit_models import (
    biased,
    cancelling,
    deep_convolutions,
    deep_stack,
    dense_model,
    linear_model,
    sawtooth,
    unbounded,
)
from tests.support.model_text import model

Case = Callable[[], tuple[Explainer, Any]]
ZPLUS = "excitation_backprop"
AGREEING = ("dtd", "composite", "epsilon_plus", "epsilon_gamma_box", ZPLUS, "gradient_x_input")


def elsewhere(case: tuple[Explainer, Any]) -> tuple[Explainer, Any]:
    """Another image, whose removal the model feels by the gradient's map far more."""
    return case[0], np.random.default_rng(3).uniform(size=case[1].shape).astype(np.float32)


def rounded(step: float) -> tuple[Explainer, Any]:
    """0.28 twice in whole steps, behind which stands a sum: of steps of 0.2 it makes 0.4 out of 0.56."""
    source = model(
        "(float[N, 2] x) => (float[N, 2] y) { q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z)"
        "y = MatMul(d, w) }",
        s=np.float32(step), z=np.int8(0), w=np.array([[1, 0], [1, 1]], np.float32),
    )  # fmt: skip
    return Explainer(source, "epsilon_plus"), np.array([[0.28, 0.28]], np.float32)


# Finding: where it must fire, where it must not.
CONTROLS: dict[str, tuple[Case, Case]] = {
    "conservation": (lambda: cancelling("epsilon_plus"), lambda: biased("dtd", "absorb")),
    "input_blind": (lambda: unbounded("dtd"), lambda: linear_model("dtd")),
    "positivity": (lambda: deep_stack("gradient_x_input"), lambda: deep_stack("dtd")),
    "consistency": (lambda: deep_stack("epsilon_plus"), lambda: deep_stack("dtd")),
    "class_similarity": (lambda: deep_stack(ZPLUS), lambda: deep_stack("gradient")),
    "gradient_x_input": (lambda: elsewhere(deep_convolutions(ZPLUS)), lambda: deep_stack("epsilon_plus")),
    "convergence": (lambda: deep_stack(ZPLUS), lambda: deep_stack("gradient")),
    "rank": (lambda: deep_stack(ZPLUS), lambda: deep_stack("gradient")),
    "cascading_randomisation": (lambda: deep_stack(ZPLUS), lambda: deep_stack("gradient")),
    "independent_randomisation": (lambda: deep_stack(ZPLUS), lambda: deep_stack("gradient")),
    "stability": (lambda: sawtooth("gradient"), lambda: deep_stack("gradient")),
    "roots_domain": (lambda: biased("dtd"), lambda: linear_model("dtd")),
    "roots_region": (lambda: deep_stack("dtd"), lambda: linear_model("dtd")),
    "quantisation": (lambda: rounded(0.2), lambda: rounded(0.01)),
}


def find(name: str, case: tuple[Explainer, Any]) -> Finding:
    explainer, x = case
    (audit,) = [entry.name for entry in AUDITS.values() if name in entry.findings]
    report = run_audit(explainer, explainer(x), [audit])
    return next(finding for finding in report.findings if finding.name == name)


def test_every_finding_has_controls() -> None:
    assert set(CONTROLS) == {name for entry in AUDITS.values() for name in entry.findings}


@pytest.mark.parametrize("name", CONTROLS)
def test_fires_where_it_must(name: str) -> None:
    finding = find(name, CONTROLS[name][0]())
    assert finding.fired, finding
    assert finding.source


@pytest.mark.parametrize("name", CONTROLS)
def test_is_silent_where_it_must_be(name: str) -> None:
    finding = find(name, CONTROLS[name][1]())
    assert finding.value is not None
    assert not finding.fired, finding


@pytest.mark.parametrize("model", [deep_stack, deep_convolutions])
def test_positive_rules_forget_the_class_and_the_gradient_does_not(model: Any) -> None:
    """Class similarity > 0.9 and cosine similarity convergence to 1 for z+, neither for the gradient."""
    zplus, gradient = (
        {f.name: f for f in run_audit(e, e(x), ["class_similarity", "convergence"]).findings}
        for e, x in (model(ZPLUS), model("gradient"))
    )
    assert zplus["class_similarity"].value > 0.9
    assert zplus["convergence"].value > 0.98
    path = zplus["convergence"].details["random"]
    assert path[0] < 0.8
    assert path[len(path) // 2] > 0.9
    assert gradient["class_similarity"].value < 0.9
    assert gradient["convergence"].value < 0.7


@pytest.mark.parametrize("method", AGREEING)
def test_nothing_fires_on_a_linear_model(method: str) -> None:
    """Where every method agrees and every root is inside."""
    explainer, x = linear_model(method)
    plain, _ = linear_model("gradient_x_input")
    e = explainer(x)
    np.testing.assert_allclose(e.relevance["x"], plain(x).relevance["x"], rtol=1e-4, atol=1e-7)
    report = run_audit(explainer, e)
    assert report.fired == ()
    assert report.sentence.startswith("None of ")
    roots = {f.name: f.value for f in report.findings if f.audit == "roots"}
    if method != "gradient_x_input":
        assert roots == {"roots_domain": 1.0, "roots_region": 1.0}


def test_what_is_owed_to_constants_is_an_answer() -> None:
    """It is in the details, by cause and layer, and fires nothing."""
    finding = find("conservation", biased("dtd", "absorb"))
    assert not finding.fired
    assert finding.sentence.startswith("All of the explained ")
    assert list(finding.details["causes"]) == ["bias"]
    (layer,) = finding.details["layers"]
    assert layer["lost"]["bias"] == pytest.approx(layer["arrived"] - layer["left"], rel=1e-4)


@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_a_blow_up_is_told_with_the_node_where_it_happens(engine: Any) -> None:
    """y = 100 a - 99.9 b at a = b = 1: .1 becomes 100 and -99.9."""
    finding = find("conservation", cancelling("epsilon_plus", engine=engine))
    assert finding.value == pytest.approx(199.9, rel=1e-2)
    assert finding.details["growth"] == pytest.approx(1999, rel=1e-2)
    assert finding.details["where"] == ("layer0" if engine == "numpy" else "")
    assert "Signs and details of this map are not reliable." in finding.sentence
    assert "|relevance| grows 1999-fold" in finding.sentence


def test_what_nobody_accounts_for_fires(monkeypatch: pytest.MonkeyPatch) -> None:
    explainer, x = deep_stack("epsilon_plus", depth=2)
    e = explainer(x)
    spoilt = dataclasses.replace(e, relevance={"x": 0.5 * e.relevance["x"]})
    (finding,) = run_audit(explainer, spoilt, ["conservation"]).findings
    assert finding.fired
    assert "is neither at the input nor lost to a cause" in finding.sentence


def classes(*weights: Any, method: str = "epsilon_plus", hidden: Any = None) -> tuple[Explainer, Any]:
    """Rows of weights, one for each class, on x = (1, 1, 1)."""
    layers = [(hidden, None)] if hidden is not None else []
    return Explainer(dense_model(*layers, (np.float32(weights).T, None)), method), np.ones((1, 3), np.float32)


def test_a_far_class_is_that_of_the_least_similar_weights() -> None:
    """Class 0 (3, 1, 0): 1 is alike (its cosine .98), 2 far (.10), though its logit is the second largest."""
    finding = find("class_similarity", classes([3, 1, 0], [1, 0.5, 0], [0, 0.2, 2]))
    assert finding.details["far"]["class"] == "class 2"
    assert finding.details["far"]["by"] == "last layer"
    assert finding.details["runner-up"]["class"] == "class 2"
    explainer, x = classes([3, 1, 0], [1, 0.5, 0], [0, 0.2, 2])
    (asked,) = run_audit(explainer, explainer(x), ["class_similarity"], rival=1).findings
    assert (asked.details["far"]["class"], asked.details["far"]["by"]) == ("class 1", "asked")
    assert asked.fired
    assert "lower layers" not in asked.sentence  # of a linear model, which has none
    for wrong, words in (
        (0, "is explained itself"),
        (3, "from 0 to 2"),
        ("9" * 5000, "from 0 to 2"),
        ("cat", "no class 'cat'"),
    ):
        with pytest.raises(UsageError, match=words):
            run_audit(explainer, explainer(x), ["class_similarity"], rival=wrong)


def test_two_classes_of_one_margin_are_not_compared() -> None:
    finding = find("class_similarity", classes([3, 1, 0], [-3, -1, 0]))
    assert finding.value is None
    assert "share one margin" in finding.sentence
    assert find("class_similarity", classes([3, 1, 0], [-2, 1, 0])).value is not None


def test_what_speaks_for_one_class_and_against_the_other_is_no_likeness() -> None:
    """Opposite weights beside a third class: the maps per unit are equal, what they say is opposite."""
    finding = find("class_similarity", classes([3, 1, 0], [-3, -1, 0], [2, 1, 0]))
    assert finding.details["far"]["class"] == "class 1"
    assert finding.value == pytest.approx(-1, abs=1e-5)
    assert not finding.fired


def test_a_smooth_model_has_a_remainder_and_no_regions() -> None:
    w, v = np.random.default_rng(7).standard_normal((2, 12, 12)).astype(np.float32)
    text = "(float[N, 12] x) => (float[N, 12] y) { a = MatMul(x, w) b = Tanh(a) y = MatMul(b, v) }"
    explainer = Explainer(model(text, w=w, v=v), "dtd")
    finding = find("roots_region", (explainer, np.ones((1, 12), np.float32)))
    assert finding.value is None
    assert "the Taylor remainder at the roots is" in finding.sentence
    (_, first) = finding.details["layers"]
    assert first["in_region"] is None
    assert first["median_taylor_remainder"] > 0


def test_models_of_one_output_have_no_other_class() -> None:
    explainer, x = sawtooth("dtd")
    report = run_audit(explainer, explainer(x), ["class_similarity", "convergence", "rank"])
    values = {f.name: f.value for f in report.findings}
    assert values["class_similarity"] is None
    # Convergence starts from the hidden layer, which is wide.
    assert values["convergence"] is not None
    assert values["rank"] is not None


# What the sentences say of kinds of model that they were not written for.


def test_evidence_against_is_not_nothing_to_explain() -> None:
    """A method that starts from the value explains a negative output with its sign; dtd explains nothing."""
    signed = find("consistency", classes([3, 1, 0], [-2, 1, 0]))
    assert signed.fired
    assert "evidence against it" in signed.sentence
    assert "of which there is nothing to explain" not in signed.sentence


def test_tokens_stay_where_they_are() -> None:
    source = model(
        "(int64[N, 3] ids) => (float[N, 2] y) { e = Gather(table, ids) m = ReduceMean<axes = [1], keepdims = 0>(e)"
        "y = MatMul(m, w) }",
        table=np.float32([[1, 2], [3, 1], [0, 1]]), w=np.float32([[1, -1], [2, 1]]),
    )  # fmt: skip
    finding = find("input_blind", (Explainer(source, "epsilon_plus"), np.array([[0, 1, 2]])))
    assert finding.value is None
    assert "integers only" in finding.sentence


def test_a_model_without_layers_is_not_said_to_have_cells() -> None:
    source = model("(float[N, 3] x) => (float[N, 3] y) { y = Exp(x) }")
    finding = find("roots_region", (Explainer(source, "epsilon_plus"), np.float32([[0.1, 0.5, 0.2]])))
    assert finding.value is None
    assert "no convolution or dense layer" in finding.sentence


def test_roots_behind_a_cell_say_that_the_cell_was_left_out() -> None:
    rng = np.random.default_rng(0)
    source = model(
        "(float[4, N, 3] x) => (float[N, 2] y) { a, h = RNN<hidden_size = 5>(x, w, r) s = Squeeze(h, zero)"
        "y = MatMul(s, v) }",
        w=rng.standard_normal((1, 5, 3)).astype(np.float32), r=rng.standard_normal((1, 5, 5)).astype(np.float32),
        v=rng.standard_normal((5, 2)).astype(np.float32), zero=np.array([0]),
    )  # fmt: skip
    x = rng.standard_normal((4, 1, 3)).astype(np.float32)
    finding = find("roots_region", (Explainer(source, "attnlrp"), x))
    assert "does not apply inside of" in finding.sentence
    assert "as the theory asks" not in finding.sentence


@pytest.mark.parametrize(
    ("x", "words"), [([[1000.0, 0.001]], "1 % of each value"), (None, "the input's range")]
)
def test_noise_is_of_each_column_in_a_table(x: Any, words: str) -> None:
    """y = x_1 / 1000 + 1000 x_2: noise of 1 % of the widest column would be 10,000 times the narrow one."""
    if x is None:
        finding = find("stability", deep_convolutions("gradient"))
    else:
        source = model(
            "(float[N, 2] x) => (float[N, 1] y) { y = MatMul(x, w) }", w=np.float32([[0.001], [1000]])
        )
        finding = find("stability", (Explainer(source, "gradient_x_input"), np.float32(x)))
        assert not finding.fired
        assert finding.details["logit_change"] < 0.05
    assert words in finding.sentence
