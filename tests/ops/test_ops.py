"""Every op over its examples: forward, adjoint, Jacobian, any batch (both engines: tests/compiled)."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from onnxdtd.explainer import Explainer
from onnxdtd.linear import Site
from onnxdtd.model.load import load
from onnxdtd.ops import OPS
from onnxdtd.plan.plan import make_plan
from onnxdtd.rules.passing import passing
from tests.support import checks
from tests.support.examples import EXAMPLES, entry_of, once
from tests.support.single_op import Example, draw, model_of, run_ort, run_reference, site_of

Array = np.ndarray
Point = tuple[dict[str, Array], Array, Site]


def over(examples: list[Example]) -> Any:
    """A test over examples, of which the first of each op is quick."""
    return pytest.mark.parametrize("example", once(examples))


def test_every_op_has_examples() -> None:
    shown = {(e.domain, e.op) for e in EXAMPLES}
    sites = {key: entry for key, entry in OPS.items() if entry.site is not None and entry.kind != "barrier"}
    expected = {key for key, entry in sites.items() if not entry.rounds}  # stairs: tests/quantised
    assert expected - shown == set()


def test_example_names_are_unique() -> None:
    assert len({str(e) for e in EXAMPLES}) == len(EXAMPLES)


@pytest.fixture
def at(example: Example, rng: np.random.Generator) -> Point:
    """Inputs for the example, its output by onnxruntime, and its site there."""
    feeds = draw(example, rng)
    y = run_ort(model_of(example), feeds)
    return feeds, y, site_of(example, feeds, y)


# An activation's map is its Jacobian, which the finite differences check.
@over([e for e in EXAMPLES if entry_of(e).kind != "elementwise"])
def test_the_map_is_the_op(example: Example, at: Point) -> None:
    _, y, site = at
    checks.forward(site, y)


@over(EXAMPLES)
def test_adjoint_by_dot_products(example: Example, at: Point, rng: np.random.Generator) -> None:
    _, y, site = at
    for maps in (site.maps, site.jacobian):
        for linear, x in zip(maps, site.inputs, strict=False):
            checks.adjoint(linear, x, y, rng)


@over([e for e in EXAMPLES if passing().serves(entry_of(e))])
def test_where_relevance_passes_each_output_has_one_contributor(example: Example, at: Point) -> None:
    _, _, site = at
    contributors = sum(m.apply(None, np.ones(x.shape)) for m, x in zip(site.maps, site.inputs, strict=True))
    assert contributors.max() <= 1 + 1e-9


@over(EXAMPLES)
def test_jacobian_by_central_differences(example: Example, at: Point, rng: np.random.Generator) -> None:
    feeds, y, site = at
    kind = entry_of(example).kind
    if {"max", "min"} & set(map(str, example.attributes.values())):
        kind = "select"
    # Linear maps differ exactly over any step, selections within one that changes no winner: onnxruntime's
    # float32 serves. Curves need float64, which onnx's reference implementation has.
    step = {"linear": 1.0, "route": 1.0, "select": 1e-3}.get(kind, 1e-6)
    model = model_of(example)

    def along(name: str, v: Array) -> Array:
        moved = {**feeds, name: feeds[name] + v}
        if kind in ("elementwise", "norm", "gate", "recurrent"):
            return run_reference(example, moved)
        return run_ort(model, {k: x.astype(np.float32) for k, x in moved.items()}).astype(np.float64)

    for linear, name in zip(site.jacobian or site.maps, feeds, strict=True):
        checks.jacobian(linear, lambda v, name=name: along(name, v), feeds[name], y, step, rng)


# Where the first axis is fixed, it is no batch.
@over([e for e in EXAMPLES if not e.fixed])
def test_batch_equals_one_by_one(example: Example, rng: np.random.Generator) -> None:
    checks.rows(Explainer(model_of(example), "gradient"), draw(example, rng, 3))


def test_plans_pickle() -> None:
    example = next(e for e in EXAMPLES if str(e) == "Conv-2d")
    plan = make_plan(load(model_of(example)), "dtd", input_range=(-1, 1))
    assert pickle.loads(pickle.dumps(plan)).rules == plan.rules
