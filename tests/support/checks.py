"""What the tests ask of every op, every rule and every pass. Each check raises AssertionError where it does not hold;
`tests/test_checks.py` hands each of them something that is slightly wrong, and expects it to be caught.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from onnxdtd.compiled.sessions import Ready
from onnxdtd.compiled.trace import Compiled
from onnxdtd.explainer import Explainer
from onnxdtd.linear import LinearMap, Site
from onnxdtd.plan.batch import batch_axis, samples_first
from onnxdtd.plan.target import Target, Weights

Array = np.ndarray
Feeds = Mapping[str, Array]


def forward(site: Site, y: Array, tolerance: float = 2e-5) -> None:
    """sum_i A_i(w_i, x_i) + b = y, the op's own output."""
    z = sum(m.apply(m.weights, x) for m, x in zip(site.maps, site.inputs, strict=True))
    z = z if site.bias is None else z + site.bias
    assert z.shape == y.shape
    np.testing.assert_allclose(z, y, rtol=tolerance, atol=tolerance)


def adjoint(linear: LinearMap, x: Array, y: Array, rng: np.random.Generator, tolerance: float = 1e-9) -> None:
    """<A(w, v), r> = <v, A'(w, r)> for random v shaped like x and r shaped like y."""
    v, r = rng.standard_normal(x.shape), rng.standard_normal(y.shape)
    back = linear.adjoint(linear.weights, r)
    assert back.shape == x.shape
    forth = np.broadcast_to(linear.apply(linear.weights, v), y.shape)
    np.testing.assert_allclose(np.vdot(forth, r), np.vdot(v, back), rtol=tolerance, atol=tolerance)


def jacobian(
    linear: LinearMap,
    along: Callable[[Array], Array],
    x: Array,
    y: Array,
    step: float,
    rng: np.random.Generator,
) -> None:
    """<A'(w, r), v> = <(f(x + hv) - f(x - hv)) / 2h, r>; along(h v) is f at x + h v."""
    r, v = rng.standard_normal(y.shape), rng.standard_normal(x.shape)
    slope = np.vdot((along(step * v) - along(-step * v)) / (2 * step), r)
    scale = np.linalg.norm(r) * np.linalg.norm(v)
    moved = np.vdot(linear.adjoint(linear.weights, r), v)
    np.testing.assert_allclose(moved, slope, rtol=1e-3, atol=1e-3 * scale / np.sqrt(v.size))


def oracle(rule: Any, site: Site, r: Array, expected: Array) -> None:
    """The rule's relevance for the only input is that of the textbook's formula, to 1e-6."""
    (relevance,) = rule(site, r)
    atol = 1e-9 * np.abs(expected).max()
    np.testing.assert_allclose(relevance.ravel(), expected.ravel(), rtol=1e-6, atol=atol)


def claims(rule: Any, site: Site, r: Array) -> None:
    """What the rule says of itself holds for r >= 0: no relevance below zero; none lost but what it reports."""
    losses: list[float] = []

    def listen(cause: str, flow: Array, share: Callable[[], Any], factor: float) -> None:
        losses.append(float((flow * share()).sum() * factor))

    watched = replace(site, lost=listen)
    relevance = rule(watched, np.abs(r))
    if "nonnegative" in rule.claims:
        assert min(part.min() for part in relevance) >= -1e-12
    if "conserves" in rule.claims:
        arrived = sum(part.sum() for part in relevance)
        np.testing.assert_allclose(arrived + sum(losses), np.abs(r).sum(), rtol=1e-9)


def run(ready: Ready, feeds: Feeds, places: Array) -> dict[str, Array]:
    """What a compiled walk gives for these flat indices behind the first axis; -1 is its own choice."""
    walk = ready.compiled
    inputs = {**feeds, walk.target_input: places} if walk.target_input else dict(feeds)
    return dict(zip(ready.names, ready.session_for(inputs).run(ready.names, inputs), strict=True))


def close(ours: Array, theirs: Array, tolerance: float = 1e-4) -> bool:
    """Within the tolerance of the largest value; shapes and dtypes alike."""
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    return bool(np.abs(ours - theirs).max(initial=0) <= tolerance * np.abs(theirs).max(initial=1e-30))


def engines(compiled: Compiled, explainer: Explainer, feeds: Feeds) -> None:
    """The compiled walk gives the relevance of the NumPy walk at every input, for the largest element of each place
    on the first axis; of one number a sample, for all."""
    ready, plan = Ready(compiled, ["CPUExecutionProvider"]), explainer.plan()
    logits = run(ready, feeds, np.array([-1]))[compiled.logits]
    asked, places = np.ones(logits.shape), np.array([-1])
    if logits.ndim > 1:
        flat = logits.reshape(len(logits), -1)
        places = flat.argmax(axis=1)
        asked = (places[:, None] == np.arange(flat.shape[1])).reshape(logits.shape)
    rows = samples_first(asked, batch_axis(plan.graph, plan.target, logits.shape, feeds))
    values = run(ready, feeds, places)
    target = Target(plan.output, form=Weights(rows))
    for name, r in explainer(dict(feeds), target).relevance.items():
        traced = values[f"relevance/{name}"]
        assert close(traced, r), name
        np.testing.assert_allclose(traced, r, rtol=1e-4, atol=1e-5, err_msg=name)


def rows(explainer: Explainer, feeds: Feeds) -> None:
    """The relevance of each sample of a batch is that of the sample alone."""
    whole = explainer(dict(feeds))
    for i in range(len(next(iter(feeds.values())))):
        alone = explainer({name: x[i : i + 1] for name, x in feeds.items()})
        for name, r in alone.relevance.items():
            np.testing.assert_allclose(whole.relevance[name][i : i + 1], r, rtol=1e-5, atol=1e-6)
