"""Compiled once with every length left open, an op is explained at every size and batch as by the NumPy engine."""

from __future__ import annotations

import numpy as np
import pytest

from onnxdtd.compiled.trace import compile_plan
from onnxdtd.errors import UnsupportedError
from onnxdtd.explainer import Explainer
from onnxdtd.registry import RULES
from tests.support import checks
from tests.support.examples import EXAMPLES, entry_of, once
from tests.support.open_sizes import BATCHES, longer, opened
from tests.support.single_op import Example, draw

PER_OP = 6
# What the lengths decide: how many numbers a value is, which scale serves all axes.
NOT_OPEN = {
    "DFT": "its last axis", "STFT": "its last axis", "Resize-not": "keep_aspect_ratio_policy",
    "TreeEnsemble": "how many features", "RoiAlign": "height and width", "MaxRoiPool": "height and width",
}  # fmt: skip
# A place halfway between two is rounded as the last bit says, which is anyone's.
HALFWAY = "Resize-nearest-half_pixel_symmetric-down"


def why_not(example: Example) -> str | None:
    return next((why for name, why in NOT_OPEN.items() if str(example).startswith(name)), None)


def chosen() -> list[Example]:
    """Of each op a few examples, from all of its forms."""
    examples: dict[str, list[Example]] = {}
    for example in EXAMPLES:
        if example.opset >= 13 and entry_of(example).compiles and str(example) != HALFWAY:
            examples.setdefault(example.op, []).append(example)
    return [e for of_op in examples.values() for e in of_op[:: -(-len(of_op) // PER_OP)]]


def explainer_of(example: Example) -> Explainer:
    rule = next(r for r in ("epsilon", "gradient") if RULES[r].make().serves(entry_of(example)))
    return Explainer(opened(example), "epsilon_plus", rules=[{"name": "*", "use": rule}])


@pytest.mark.parametrize("example", once(e for e in chosen() if not why_not(e)))
def test_one_compiled_walk_serves_every_size(example: Example, rng: np.random.Generator) -> None:
    explainer = explainer_of(example)
    compiled = compile_plan(explainer.plan())
    for size in (example, longer(example)):
        for batch in [None] if example.fixed else BATCHES:
            checks.engines(compiled, explainer, draw(size, rng, batch))


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.opset >= 13 and why_not(e)], ids=str)
def test_what_no_open_size_can_say_is_refused_by_name(example: Example) -> None:
    with pytest.raises(UnsupportedError, match=f"'node' {example.op}: .*{why_not(example)}.*; fix "):
        compile_plan(explainer_of(example).plan())
