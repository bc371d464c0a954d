"""Every op over its examples: forward, adjoint, Jacobian, both engines, any batch."""

from __future__ import annotations

import numpy as np
import pytest

from onnxdtd.compiled.trace import compile_plan
from onnxdtd.entries import OpEntry
from onnxdtd.explainer import Explainer
from onnxdtd.model.load import load
from onnxdtd.ops import OPS
from onnxdtd.plan.plan import make_plan
from onnxdtd.rules.passing import passing
from onnxdtd.walk.forward import run_session, start_session
from tests.support.examples import EXAMPLES
from tests.support.single_op import Example, X, draw, model_of, run_ort, run_reference, site_of

every_example = pytest.mark.parametrize("example", EXAMPLES, ids=str)


def test_every_op_has_examples() -> None:
    shown = {(e.domain, e.op) for e in EXAMPLES}
    expected = {key for key, entry in OPS.items() if entry.site is not None and entry.kind != "barrier"}
    assert expected - shown == set()


def test_example_names_are_unique() -> None:
    assert len({str(e) for e in EXAMPLES}) == len(EXAMPLES)


def entry_of(example: Example) -> OpEntry:
    """The op's entry where just the example's data inputs carry relevance."""
    carrying = tuple(i for i, given in enumerate(example.inputs) if isinstance(given, X))
    return OPS[example.domain, example.op].at(carrying, example.attributes)


def take(example: Example, rng: np.random.Generator):
    feeds = draw(example, rng)
    y = run_ort(model_of(example), feeds)
    return feeds, y, site_of(example, feeds, y)


@every_example
def test_the_map_is_the_op(example: Example, rng: np.random.Generator) -> None:
    _, y, site = take(example, rng)
    if entry_of(example).kind == "elementwise":
        pytest.skip("an activation's map is its Jacobian, which the finite differences check")
    found = sum(m.apply(m.weights, x) for m, x in zip(site.maps, site.inputs, strict=True))
    found = found if site.bias is None else found + site.bias
    assert found.shape == y.shape
    np.testing.assert_allclose(found, y, rtol=2e-5, atol=2e-5)


@every_example
def test_adjoint_by_dot_products(example: Example, rng: np.random.Generator) -> None:
    _, y, site = take(example, rng)
    for m, x in (
        pair for maps in (site.maps, site.jacobian) for pair in zip(maps, site.inputs, strict=False)
    ):
        v, r = rng.standard_normal(x.shape), rng.standard_normal(y.shape)
        back = m.adjoint(m.weights, r)
        assert back.shape == x.shape
        forth = np.broadcast_to(m.apply(m.weights, v), y.shape)
        np.testing.assert_allclose(np.vdot(forth, r), np.vdot(v, back), rtol=1e-9, atol=1e-9)


@every_example
def test_where_relevance_passes_each_output_has_one_contributor(
    example: Example, rng: np.random.Generator
) -> None:
    if not passing().serves(entry_of(example)):
        pytest.skip("this op shares relevance, it does not pass it")
    _, _, site = take(example, rng)
    contributors = sum(m.apply(None, np.ones(x.shape)) for m, x in zip(site.maps, site.inputs, strict=True))
    assert contributors.max() <= 1 + 1e-9


@every_example
def test_jacobian_by_central_differences(example: Example, rng: np.random.Generator) -> None:
    feeds, y, site = take(example, rng)
    kind = entry_of(example).kind
    if {"max", "min"} & set(map(str, example.attributes.values())):
        kind = "select"
    # Linear maps differ exactly over any step, selections within one that changes no winner: onnxruntime's
    # float32 serves. Curves need float64, which onnx's reference implementation has.
    step = {"linear": 1.0, "route": 1.0, "select": 1e-3}.get(kind, 1e-6)
    r = rng.standard_normal(y.shape)
    for m, name in zip(site.jacobian or site.maps, feeds, strict=True):
        v = rng.standard_normal(feeds[name].shape)
        moved = [{**feeds, name: feeds[name] + s * step * v} for s in (1.0, -1.0)]
        if kind in ("elementwise", "norm", "gate"):
            ahead, behind = (run_reference(example, f) for f in moved)
        else:
            model = model_of(example)
            ahead, behind = (
                run_ort(model, {k: x.astype(np.float32) for k, x in f.items()}).astype(np.float64)
                for f in moved
            )
        slope = np.vdot((ahead - behind) / (2 * step), r)
        scale = np.linalg.norm(r) * np.linalg.norm(v)
        found = np.vdot(m.adjoint(m.weights, r), v)
        np.testing.assert_allclose(found, slope, rtol=1e-3, atol=1e-3 * scale / np.sqrt(v.size))


@every_example
@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize("rule", ["gradient", "natural"])
def test_traced_equals_numpy(example: Example, batch: int, rule: str, rng: np.random.Generator) -> None:
    if str(example) == "AveragePool-ceil-counted":
        pytest.skip("onnx's shape inference counts a window that starts in the padding, onnxruntime does not")
    if example.opset < 13:
        pytest.skip("older than 13 it is converted first, see test_compile_parity")
    if example.fixed and batch != 1:
        pytest.skip("the first axis is no batch here")
    entry = entry_of(example)
    if not entry.compiles:
        pytest.skip("the walk branches on values here")
    chosen = "epsilon" if entry.kind in ("linear", "norm", "gate") and rule == "natural" else "pass"
    use = "gradient" if rule == "gradient" or (chosen == "pass" and entry.kind == "linear") else chosen
    graph = load(model_of(example))
    overrides = [{"name": "*", "use": use}]
    plan = Explainer(model_of(example), "gradient", rules=overrides).plan()
    feeds = draw(example, rng, batch)
    eager = Explainer(model_of(example), "gradient", rules=overrides)(feeds)
    compiled = compile_plan(plan)
    session = start_session(compiled.model, compiled.constants, ["CPUExecutionProvider"])
    rows = len(eager.outputs["y"])
    targets = {i.name: np.full(rows, -1, np.int64) for i in session.get_inputs() if "target" in i.name}
    names = [o.name for o in session.get_outputs()]
    values = run_session(session, names, {**feeds, **targets})
    assert graph.outputs == ("y",)
    for name, r in eager.relevance.items():
        np.testing.assert_allclose(values[f"relevance/{name}"], r, rtol=1e-4, atol=1e-5)


@every_example
def test_batch_equals_one_by_one(example: Example, rng: np.random.Generator) -> None:
    if example.fixed:
        pytest.skip("the first axis is no batch here")
    explainer = Explainer(model_of(example), "gradient")
    feeds = draw(example, rng, 3)
    whole = explainer(feeds)
    for i in range(3):
        one = explainer({name: x[i : i + 1] for name, x in feeds.items()})
        for name, r in one.relevance.items():
            np.testing.assert_allclose(whole.relevance[name][i : i + 1], r, rtol=1e-5, atol=1e-6)


def test_an_adjoint_off_by_a_tenth_of_a_percent_is_caught(rng: np.random.Generator) -> None:
    example = next(e for e in EXAMPLES if str(e) == "Conv-2d")
    _, y, site = take(example, rng)
    (m,), (x,) = site.maps, site.inputs
    v, r = rng.standard_normal(x.shape), rng.standard_normal(y.shape)
    forth, back = np.vdot(m.apply(m.weights, v), r), np.vdot(v, 1.001 * m.adjoint(m.weights, r))
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(forth, back, rtol=1e-9)


def test_plans_pickle(rng: np.random.Generator) -> None:
    import pickle

    example = next(e for e in EXAMPLES if str(e) == "Conv-2d")
    plan = make_plan(load(model_of(example)), "dtd", input_range=(-1, 1))
    assert pickle.loads(pickle.dumps(plan)).rules == plan.rules
