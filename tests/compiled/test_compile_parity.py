"""Compiled equals NumPy: every op by every rule that serves it, every method on the shipped networks, any batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnxdtd.compiled.sessions import Ready
from onnxdtd.compiled.trace import Compiled, compile_plan
from onnxdtd.errors import OnnxdtdError, UnsupportedError
from onnxdtd.explainer import Explainer
from onnxdtd.methods import METHODS
from onnxdtd.ops import OPS
from onnxdtd.registry import RULES
from tests.support.examples import EXAMPLES
from tests.support.paths import MODELS
from tests.support.single_op import Example, draw, model_of

# Bounds that the inputs keep: beyond them a denominator may vanish, and its rounding is anyone's.
PARAMETERS: dict[str, dict[str, Any]] = {
    "zbox": {"low": -6.0, "high": 6.0},
    "zplus_shifted": {"low": -6.0},
    "zminus_shifted": {"high": 6.0},
}
NOT_COMPILED_RIGHT = {"AveragePool-ceil-counted"}  # see test_ops


def run(compiled: Compiled, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    ready = Ready(compiled, ["CPUExecutionProvider"])
    given = {compiled.given: np.array([-1])} if compiled.given else {}
    inputs = {**feeds, **given}
    return dict(zip(ready.names, ready.session_for(inputs).run(ready.names, inputs), strict=True))


def close(found: np.ndarray, expected: np.ndarray, tolerance: float = 1e-4) -> bool:
    """Within the tolerance of the largest value; shapes and dtypes alike."""
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    return bool(np.abs(found - expected).max(initial=0) <= tolerance * np.abs(expected).max(initial=1e-30))


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_every_rule_compiles_right(example: Example, rng: np.random.Generator) -> None:
    if str(example) in NOT_COMPILED_RIGHT:
        pytest.skip("onnx's shape inference counts a window that starts in the padding, onnxruntime does not")
    if example.opset < 13:
        pytest.skip("older than 13 it is converted first: test_older_opsets_compile_when_converted")
    if not OPS[example.domain, example.op].compiles:
        pytest.skip("its walk branches on values")
    batches = [None] if example.fixed else [1, 7]
    model, served = model_of(example), 0
    for name in RULES:
        rule = [{"name": "*", "use": name, **PARAMETERS.get(name, {})}]
        try:
            explainer = Explainer(model, "epsilon_plus", rules=rule)
            plan = explainer.plan()
        except UnsupportedError:
            continue  # the rule does not serve the op
        served += 1
        compiled = compile_plan(plan)
        for batch in batches:
            feeds = draw(example, rng, batch)
            eager, found = explainer(feeds), run(compiled, feeds)
            for given, r in eager.relevance.items():
                assert close(found[f"relevance/{given}"], r), (name, batch, given)
    assert served


OLDER = [e for e in EXAMPLES if e.opset < 13 and OPS[e.domain, e.op].compiles]
# onnx's converter makes another function of the resizing ones, and 13 has no Scatter that adds.
NOT_CONVERTED = {
    "Scatter-opset9", "Resize-opset10-down", "Resize-opset10-linear", "Upsample-linear", "Upsample-opset7-linear",
}  # fmt: skip


@pytest.mark.parametrize("example", OLDER, ids=str)
def test_older_opsets_compile_when_converted(example: Example, rng: np.random.Generator) -> None:
    feeds = draw(example, rng)
    compiled = Explainer(model_of(example), "gradient", engine="onnx")
    if str(example) in NOT_CONVERTED:
        with pytest.raises(UnsupportedError, match="use engine='numpy'"):
            compiled(feeds)
        return
    found, eager = compiled(feeds), Explainer(model_of(example), "gradient")(feeds)
    for given, r in eager.relevance.items():
        assert close(found.relevance[given], r), given


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("model", ["mnist_cnn", "mnist_resnet", "wine_mlp"])
def test_every_method_compiles_right(model: str, method: str, rng: np.random.Generator) -> None:
    path = MODELS / f"{model}.onnx"
    limits = (0, 20) if model == "wine_mlp" else (0, 1)
    explainer = Explainer(path, method, input_range=limits)
    (name, value), *_ = explainer.inputs.items()
    compiled = compile_plan(explainer.plan())
    for batch in value.shape[:1] if isinstance(value.shape[0], int) else (1, 7):
        x = rng.random((batch, *value.shape[1:]), np.float32)
        r = explainer(x).relevance[name]
        assert close(run(compiled, {name: x})[f"relevance/{name}"], r), batch


def test_an_engine_that_is_off_by_two_in_ten_thousand_is_seen(rng: np.random.Generator) -> None:
    r = rng.standard_normal((2, 3)).astype(np.float32)
    assert close(r, r)
    assert not close(r * np.float32(1.0002), r)


def test_what_cannot_be_traced_is_refused_by_node(monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    explainer = Explainer(MODELS / "mnist_cnn.onnx", "gradient")
    plan = explainer.plan()
    steps = [dataclasses.replace(s, op=dataclasses.replace(s.op, compiles=False)) for s in plan.steps[:2]]
    with pytest.raises(OnnxdtdError) as refused:
        compile_plan(dataclasses.replace(plan, steps=(*steps, *plan.steps[2:])))
    assert refused.value.exit_code == 4
    assert all(step.node.name in str(refused.value) for step in steps)
