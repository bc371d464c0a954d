"""The parts of an audit: similarities, reruns, seeds, the report and its folder."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxdtd
from onnxdtd.audit import AUDITS, Finding, Probe, audited, audited_each, honest, quick, run_audit
from onnxdtd.audit import seeds as seeding
from onnxdtd.audit.finding import interval
from onnxdtd.audit.probe import SAMPLES
from onnxdtd.audit.randomisation import redrawn
from onnxdtd.audit.rank import ratio_of
from onnxdtd.audit.steps import below
from onnxdtd.errors import UsageError
from onnxdtd.explainer import Explainer
from onnxdtd.walk.backward import Course, Strand
from onnxdtd.walk.forward import Forward
from tests.support.audit_models import deep_convolutions, deep_stack, linear_model
from tests.support.paths import DOCS, MODELS

DIGIT = np.load(MODELS / "mnist_digit.npy")


def mnist(method: str = "dtd", engine: str = "numpy") -> Explainer:
    return Explainer(MODELS / "mnist_cnn.onnx", method, engine, input_range=(0, 1))


def test_rank_thresholds_and_intervals() -> None:
    gram = np.full((10, 10), 0.9) + 0.1 * np.eye(10)
    sigma = np.sqrt(np.linalg.eigvalsh(gram))
    assert ratio_of(0.9, 10) == pytest.approx(sigma[-1] / sigma.sum())
    assert interval(0, 10) == (0.0, pytest.approx(0.2775, abs=1e-4))
    assert interval(8, 10) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert interval(3, 4, population=4) == (0.75, 0.75)


def test_a_value_that_is_no_number_fires_and_none_does_not() -> None:
    finding = Finding("stability", 0.5, 0.9, "below", "It moves.")
    assert finding.fired
    assert dataclasses.replace(finding, fires="above").fired is False
    assert dataclasses.replace(finding, value=float("nan")).fired
    assert not dataclasses.replace(finding, value=None).fired
    grave = dataclasses.replace(finding, name="class_similarity", sentence="It is the same.")
    assert honest([finding, grave]) == "It is the same."
    assert honest([]) == "No audit applies to this explanation."


def test_a_rerun_repeats_the_explanation() -> None:
    for method in ("dtd", "composite", "gradient_x_input", "sensitivity"):
        explainer = mnist(method)
        e = explainer(DIGIT)
        probe = Probe.of(explainer, e)
        again = probe.relevance(np.where(probe.mask, e.seed[0], 0))
        np.testing.assert_allclose(again["image"], e.relevance["image"], rtol=1e-5, atol=1e-7)
        other = Probe.of(Explainer(MODELS / "mnist_cnn.onnx", "dtd", input_range=(0, 1)), e).by(method)
        np.testing.assert_allclose(other.original["image"], probe.original["image"], rtol=1e-5, atol=1e-7)


def test_other_classes_are_walked_even_where_deep_taylor_starts_nothing() -> None:
    explainer = mnist()
    probe = Probe.of(explainer, explainer(DIGIT))
    lowest = int(probe.logits.argmin())
    assert probe.logits.min() < 0
    seed = seeding.class_seed(probe, lowest)
    relevance = probe.relevance(seed)["image"]
    assert relevance.sum() == pytest.approx(1.0, rel=1e-3)
    whole = [dataclasses.replace(step, pruned=step.rule) for step in probe.plan.steps]
    unpruned = probe.relevance(seed, plan=dataclasses.replace(probe.plan, steps=tuple(whole)))["image"]
    np.testing.assert_allclose(relevance, unpruned, rtol=1e-4, atol=1e-7)


def test_seeds_name_the_right_elements() -> None:
    explainer = mnist()
    probe = Probe.of(explainer, explainer(DIGIT, target=7))
    order = probe.logits[0].argsort()
    assert seeding.runner_up(probe).tolist() == [order[-1]]
    assert seeding.class_seed(probe, 4).tolist() == [[i == 4 for i in range(10)]]
    drawn = {int(seeding.other_class(probe, np.random.default_rng(i))[0]) for i in range(100)}
    assert drawn == set(range(10)) - {7, int(order[-1])}
    assert seeding.some_classes(probe).tolist() == list(range(10))
    one_unit = seeding.units(probe, probe.plan, 3, np.random.default_rng(0))
    assert [int(seed.sum()) for seed in one_unit] == [1, 1, 1]
    assert len({int(seed.argmax()) for seed in one_unit}) == 3


def test_mixtures_are_shares_of_the_value_unless_the_gradient_starts() -> None:
    drawn = np.random.default_rng(3).standard_normal((1, 10))
    for method, gradient in (("dtd", False), ("epsilon_plus", False), ("gradient", True)):
        explainer = mnist(method)
        probe = Probe.of(explainer, explainer(DIGIT))
        (seed,) = seeding.mixtures(probe, probe.plan, 1, np.random.default_rng(3))
        np.testing.assert_allclose(seed, drawn if gradient else drawn * probe.logits)


def test_a_trace_is_the_relevance_at_every_layer() -> None:
    explainer, x = deep_stack("gradient", width=20, depth=3)
    probe = Probe.of(explainer, explainer(x))
    seed = np.random.default_rng(0).standard_normal((1, 10)).astype(np.float32)
    trace = probe.trace(seed)
    assert list(trace) == ["layer2", "layer1", "layer0", "input"]
    weights, r = probe.plan.graph.constants, seed
    np.testing.assert_array_equal(trace["layer2"], seed)
    for layer in (1, 0):
        r = r @ weights[f"w{layer + 1}"].T * (probe.values[f"z{layer}"] > 0)
        np.testing.assert_allclose(trace[f"layer{layer}"], r, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(trace["input"], r @ weights["w0"].T, rtol=1e-5, atol=1e-6)


def test_an_inner_value_starts_a_walk_of_its_own() -> None:
    explainer = mnist()
    probe = Probe.of(explainer, explainer(DIGIT))
    value = next(step for step in probe.plan.steps if step.node.name == "/9/Gemm").node.output
    part = below(probe.plan, value)
    assert {s.node.name for s in probe.plan.steps} - {s.node.name for s in part.steps} == {
        "/10/Relu",
        "/11/Gemm",
    }
    seed = np.maximum(probe.values[value], 0)
    assert probe.relevance(seed, plan=part)["image"].sum() == pytest.approx(seed.sum(), rel=1e-3)


def test_randomised_copies_leave_the_model_alone() -> None:
    explainer = mnist()
    e = explainer(DIGIT)
    probe = Probe.of(explainer, e)
    layer = probe.layers[-1]
    assert layer.node.name == "/0/Conv"
    drawn = redrawn(probe, layer, 0)
    assert set(drawn) == set(layer.node.inputs[1:])
    weights = probe.plan.graph.constants[layer.node.inputs[1]]
    redraw = drawn[layer.node.inputs[1]]
    assert (redraw.shape, redraw.dtype) == (weights.shape, weights.dtype)
    assert redraw.std() == pytest.approx(weights.std(), rel=0.2)
    np.testing.assert_array_equal(redrawn(probe, layer, 0)[layer.node.inputs[1]], redraw)
    assert np.abs(redrawn(probe, layer, 1)[layer.node.inputs[1]] - redraw).max() > 0
    copy = probe.on(drawn)
    assert np.abs(copy.logits - probe.logits).max() > 1
    assert not np.array_equal(copy.original["image"], probe.original["image"])
    np.testing.assert_array_equal(explainer(DIGIT).relevance["image"], e.relevance["image"])


def test_the_first_samples_of_a_batch_are_walked_again(rng: np.random.Generator) -> None:
    explainer = mnist()
    x = rng.random((SAMPLES + 3, 1, 28, 28), np.float32)
    report = run_audit(explainer, explainer(x), ["class_similarity", "rank", "stability"])
    assert report.samples == SAMPLES
    assert len(report.target) == SAMPLES + 3


def test_quick_findings_do_not_depend_on_the_engine() -> None:
    by_engine = {name: quick(e, e(DIGIT)) for name, e in (("numpy", mnist()), ("onnx", mnist(engine="onnx")))}
    for eager, traced in zip(*by_engine.values(), strict=True):
        assert (eager.name, eager.source) == (traced.name, AUDITS[eager.name].source)
        assert eager.value == pytest.approx(traced.value, abs=1e-5)
    assert [f.name for f in by_engine["numpy"]] == [
        "conservation",
        "class_similarity",
        "input_blind",
        "gradient_x_input",
    ]


def test_unknown_names_are_refused() -> None:
    explainer, x = linear_model("dtd")
    e = explainer(x)
    with pytest.raises(UsageError, match="no audit magic; the audits are "):
        run_audit(explainer, e, ["magic"])
    with pytest.raises(UsageError, match="none of the audits stability is quick"):
        run_audit(explainer, e, ["stability"], quick=True)
    smooth = onnxdtd.Explainer(MODELS / "mnist_cnn.onnx", "smoothgrad")
    with pytest.raises(UsageError, match="method 'smoothgrad' gives no node a rule"):
        run_audit(smooth, smooth(DIGIT))


def test_progress_never_goes_back() -> None:
    explainer, x = deep_stack("dtd")
    seen: list[tuple[int, int]] = []
    run_audit(explainer, explainer(x), ["convergence", "stability"], progress=lambda *now: seen.append(now))
    done = [d for d, _ in seen]
    assert done == sorted(done)
    assert len(done) > 20
    assert seen[-1] == (seen[0][1], seen[0][1])


def test_the_folder_is_documented_and_holds_pictures(tmp_path: Path) -> None:
    explainer, x = deep_convolutions("dtd")
    report = run_audit(explainer, explainer(x))
    folder = report.save(tmp_path / "audit")
    document = json.loads((folder / "audit.json").read_text())
    pictures = ["convergence.png", "randomisation.png", "roots.png"]
    assert document["files"] == ["audit.json", *pictures]
    assert sorted(p.name for p in folder.iterdir()) == document["files"]
    assert document["schema"] == "onnxdtd.audit/1"
    assert document["sentence"] == report.sentence
    text = (DOCS / "audit.md").read_text("utf-8")
    keys = {*document, *document["findings"][0], *(k for f in document["findings"] for k in f["details"])}
    assert sorted(key for key in keys if f"`{key}`" not in text) == []
    assert sorted(name for name in AUDITS if f"`{name}`" not in text) == []
    report.save(folder)
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"holds 'mine.txt', not written by onnxdtd"):
        report.save(folder)


def test_an_audit_never_replaces_an_explanation(tmp_path: Path) -> None:
    explainer, x = linear_model("dtd")
    e = explainer(x)
    e.save(tmp_path / "out")
    with pytest.raises(UsageError, match="not written by onnxdtd"):
        run_audit(explainer, e, quick=True).save(tmp_path / "out")


@pytest.mark.parametrize(
    "method", ["dtd", "composite", "epsilon_alpha2_beta1", "epsilon_gamma_box", "gradient", "sensitivity"]
)
def test_what_run_reuses_changes_no_finding(method: str) -> None:
    """The pass, the plan and the sums of the explanation serve its audits; without them they find the same."""
    explainer = mnist(method)
    batch = np.concatenate([DIGIT, DIGIT[..., ::-1]])
    for x, target in ((DIGIT, None), (batch, [3, 7]), (np.repeat(batch, 3, axis=0), None)):
        once = audited(explainer, x, target)
        again = quick(explainer, explainer(x, target))
        assert [f["name"] for f in once.findings] == [f.name for f in again]
        for reused, fresh in zip(once.findings, again, strict=True):
            assert (reused["value"] is None) == (fresh.value is None)
            assert (reused["value"] or 0) == pytest.approx(fresh.value or 0, rel=1e-4, abs=1e-6)
            assert reused["fired"] == fresh.fired


def test_run_walks_four_times_and_runs_the_model_at_two_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    explainer = mnist("composite")
    forwards: list[int] = []
    session = explainer.run().forward  # type: ignore[attr-defined]
    call = type(session).__call__
    monkeypatch.setattr(type(session), "__call__", lambda *arguments: forwards.append(1) or call(*arguments))
    walks, back = [0], Course.back

    def counted(course: Course, strands: list[Strand], values: Any) -> None:
        walks[0] += len(strands)
        back(course, strands, values)

    monkeypatch.setattr(Course, "back", counted)
    audited(explainer, DIGIT)
    assert (len(forwards), walks[0]) == (2, 4)


@pytest.mark.parametrize("method", ["composite", "dtd", "attnlrp"])
def test_audits_of_several_targets_are_those_of_each(method: str) -> None:
    explainer = mnist(method)
    targets = [7, 3, "7 - 3"] if method != "dtd" else [7, 3]
    for together, target in zip(audited_each(explainer, DIGIT, targets), targets, strict=True):
        alone = audited(explainer, DIGIT, target)
        assert together.sentence == alone.sentence
        for one, other in zip(together.findings, alone.findings, strict=True):
            assert one["name"] == other["name"]
            assert (one["value"] or 0) == pytest.approx(other["value"] or 0, rel=1e-4, abs=1e-6)


def test_audits_of_several_targets_run_the_model_at_two_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """What finds out whom the model follows aside, which asks for outputs alone."""
    explainer, inside = mnist("composite"), [0]
    call = Forward.__call__

    def counted(self: Forward, feeds: Any, only: Any = None) -> Any:
        inside[0] += only is None
        return call(self, feeds, only)

    monkeypatch.setattr(Forward, "__call__", counted)
    audited_each(explainer, DIGIT, [7, 3, 1])
    assert inside[0] == 2
