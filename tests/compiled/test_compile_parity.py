"""Compiled equals NumPy: every op by every rule that serves it, every method on the shipped networks, any batch."""

from __future__ import annotations

import dataclasses
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pytest

from onnxdtd.compiled.trace import compile_plan
from onnxdtd.errors import OnnxdtdError
from onnxdtd.explainer import Explainer
from onnxdtd.loaded import Loaded
from onnxdtd.methods import METHODS
from onnxdtd.registry import RULES
from tests.support import checks
from tests.support.examples import EXAMPLES, entry_of
from tests.support.paths import MODELS
from tests.support.single_op import Example, draw, model_of

# Bounds that the inputs keep: beyond them a denominator may vanish, and its rounding is anyone's.
PARAMETERS: dict[str, dict[str, Any]] = {
    "zbox": {"low": -6.0, "high": 6.0},
    "zplus_shifted": {"low": -6.0},
    "zminus_shifted": {"high": 6.0},
}
# onnx's shape inference counts a window of this one that starts in the padding, onnxruntime does not.
NOT_COMPILED_RIGHT = {"AveragePool-ceil-counted"}
# Those of older opsets are converted first, see below; where `compiles` is false, the walk branches on values.
# What canonisation reads as Identity, which other rules serve than the op of the file.
IDENTITIES = {"ReduceSum-noop"}
LEFT_OUT = NOT_COMPILED_RIGHT | IDENTITIES
TRACED = [e for e in EXAMPLES if e.opset >= 13 and entry_of(e).compiles and str(e) not in LEFT_OUT]


@lru_cache(maxsize=1)
def loaded(example: Example) -> Loaded:
    """Read once for all rules, which follow one another; so are the sessions of its forward pass started."""
    return Loaded(model_of(example))


def served(example: Example, rule: str) -> bool:
    return RULES[rule].make(**PARAMETERS.get(rule, {})).serves(entry_of(example))


def cases() -> list[Any]:
    """Every op by every rule that serves it; quick: each rule once, and each op once by its gradient."""
    first: set[Any] = set()
    parameters = []
    for example in TRACED:
        for rule in filter(partial(served, example), RULES):
            keys = {rule} | ({(example.domain, example.op)} if rule == "gradient" else set())
            marks = [pytest.mark.quick] if keys - first else []
            parameters.append(pytest.param(example, rule, id=f"{example}-{rule}", marks=marks))
            first |= keys
    return parameters


def test_every_op_and_every_rule_is_compiled() -> None:
    assert {rule for rule in RULES if not any(served(e, rule) for e in TRACED)} == set()
    assert [str(e) for e in TRACED if not any(served(e, rule) for rule in RULES)] == []


@pytest.mark.parametrize(("example", "rule"), cases())
def test_every_rule_compiles_right(example: Example, rule: str, rng: np.random.Generator) -> None:
    rules = [{"name": "*", "use": rule, **PARAMETERS.get(rule, {})}]
    explainer = Explainer(loaded(example), "epsilon_plus", rules=rules)
    compiled = compile_plan(explainer.plan())
    for batch in [None] if example.fixed else [1, 7]:
        checks.engines(compiled, explainer, draw(example, rng, batch))


OLDER = [e for e in EXAMPLES if e.opset < 13 and entry_of(e).compiles]


@pytest.mark.parametrize("example", OLDER, ids=str)
def test_older_opsets_compile_when_converted(example: Example, rng: np.random.Generator) -> None:
    feeds = draw(example, rng)
    compiled = Explainer(model_of(example), "gradient", engine="onnx")
    traced, eager = compiled(feeds), Explainer(model_of(example), "gradient")(feeds)
    for name, r in eager.relevance.items():
        assert checks.close(traced.relevance[name], r), name


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("model", ["mnist_cnn", "mnist_resnet", "wine_mlp"])
def test_every_method_compiles_right(model: str, method: str, rng: np.random.Generator) -> None:
    path = MODELS / f"{model}.onnx"
    limits = (0, 20) if model == "wine_mlp" else (0, 1)
    explainer = Explainer(path, method, input_range=limits)
    (name, value), *_ = explainer.inputs.items()
    compiled = compile_plan(explainer.plan())
    for batch in value.shape[:1] if isinstance(value.shape[0], int) else (1, 7):
        checks.engines(compiled, explainer, {name: rng.random((batch, *value.shape[1:]), np.float32)})


def test_what_cannot_be_traced_is_refused_by_node(monkeypatch: pytest.MonkeyPatch) -> None:
    explainer = Explainer(MODELS / "mnist_cnn.onnx", "gradient")
    plan = explainer.plan()
    steps = [dataclasses.replace(s, op=dataclasses.replace(s.op, compiles=False)) for s in plan.steps[:2]]
    with pytest.raises(OnnxdtdError) as refused:
        compile_plan(dataclasses.replace(plan, steps=(*steps, *plan.steps[2:])))
    assert refused.value.exit_code == 4
    assert all(step.node.name in str(refused.value) for step in steps)
