"""What is checked of one case: the forward pass, every node's site, the Jacobian, and relevance by LRP methods."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx.reference
import onnxruntime as ort

from onnxdtd import Explainer, InputError, TargetError, UnsupportedError
from onnxdtd.inputs import check_inputs
from onnxdtd.model.point import Point
from onnxdtd.plan.plan import Plan
from onnxdtd.walk.backward import walk
from onnxdtd.walk.run import NumpyWalker
from tools.conformance.cases import Case

# What the promise of 95 % leaves out: their rules are later work, or cannot be.
OUTSIDE = {
    "control flow": {"Scan", "Loop", "SequenceMap"},
    "quantisation": {
        "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger",
        "MatMulInteger",
    },
    "random": {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"},
    "sequence": {
        "SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert", "SequenceLength",
        "SplitToSequence", "ConcatFromSequence", "Optional", "OptionalGetElement", "OptionalHasElement",
    },
}  # fmt: skip
LRP = ("epsilon_plus", "dtd", "attnlrp")
POINTS = 3
# At most this part of the sum of the moduli: float64 differences, then float32 ones where no float64 op is at hand.
TOLERANCE, COARSE = 1e-3, 2e-2


@dataclass(frozen=True)
class Result:
    """verdict: explained, refused, unrunnable (onnxruntime cannot), failed. detail: the reason."""

    name: str
    op: str
    verdict: str
    detail: str = ""
    outside: str = ""


def examine(case: Case) -> Result:
    used = {node.op_type for node in case.model.graph.node}
    outside = next((why for why, ops in OUTSIDE.items() if used & ops), "")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            expected = _onnxruntime(case)
        except Exception as error:
            return Result(case.name, case.op, "unrunnable", str(error).splitlines()[0], outside)
        try:
            faults = list(_faults(case, expected))
        except (UnsupportedError, InputError, TargetError) as error:
            return Result(case.name, case.op, "refused", str(error).splitlines()[0], outside)
        except Exception as error:
            return Result(case.name, case.op, "failed", f"{type(error).__name__}: {error}", outside)
    return Result(case.name, case.op, "failed" if faults else "explained", "; ".join(faults), outside)


def _onnxruntime(case: Case) -> dict[str, np.ndarray]:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(
        case.model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, case.feeds), strict=True))


def _faults(case: Case, expected: dict[str, np.ndarray]) -> Any:
    explainer = Explainer(case.model, "gradient").at(case.feeds)
    plan = explainer.plan()
    run = NumpyWalker(plan, explainer.providers)
    yield from _forward(case, explainer, plan, run, expected)
    # At a kink differences tell nothing; a wrong slope is wrong at every point.
    for seed in range(POINTS):
        rng = np.random.default_rng(seed)
        feeds = {name: _usual(x, rng, name in plan.inputs) for name, x in case.feeds.items()}
        feeds = check_inputs(feeds, explainer.inputs)
        if not np.isfinite(run.values(feeds)[plan.target]).all():
            feeds = check_inputs(case.feeds, explainer.inputs)  # it was moved out of the function's domain
        values = {k: _precise(v) for k, v in run.values(feeds).items()}
        slopes = list(_jacobian(plan, feeds, values, run, rng))
        if not slopes:
            break
    yield from slopes
    yield from _sites(plan, values, rng)
    if np.isfinite(values[plan.target]).all():
        yield from _relevance(explainer, feeds)


def _forward(
    case: Case, explainer: Explainer, plan: Plan, run: NumpyWalker, expected: dict[str, np.ndarray]
) -> Any:
    """The explained output is as it was; what stands beside it onnxruntime may make in a kernel of its own."""
    given = run.values({k: v.astype(explainer.inputs[k].dtype) for k, v in case.feeds.items()})[plan.output]
    y = expected[plan.output]
    if y.dtype.kind == "f" and not np.allclose(given, y, rtol=1e-3, atol=1e-4, equal_nan=True):
        yield f"the canonised graph makes another '{plan.output}'"


def _relevance(explainer: Explainer, feeds: dict[str, np.ndarray]) -> Any:
    for method in LRP:
        e = explainer.by(method, input_range=(-10.0, 10.0))(feeds)
        if not all(np.isfinite(r).all() for r in e.relevance.values()):
            yield f"{method}: relevance is not finite"
        for node in e.conservation.nodes:
            if abs(node.error) > 1e-3 * max(1.0, abs(node.arrived), abs(node.left)):
                yield f"{method}: {node.op} by {node.rule}: {node.error:.3g} of {node.arrived:.3g} unaccounted for"


def _sites(plan: Plan, values: dict[str, np.ndarray], rng: np.random.Generator) -> Any:
    """The map is the op (activations' maps are slopes), and each adjoint passes the dot test."""
    for step in plan.steps:
        if step.op.family == "embedding" or step.trail is not None:  # a loop has no map of its own
            continue
        site = step.build(Point(step.node, plan.graph, step.slots, values))
        whole = site.bias if site.bias is not None else 0.0
        for linear, x in zip(site.maps, site.inputs, strict=True):
            v, r = rng.standard_normal(np.shape(x)), rng.standard_normal(np.shape(site.output))
            image = linear.apply(linear.weights, v)
            there, back = np.broadcast_to(image, r.shape) * r, v * linear.adjoint(linear.weights, r)
            if abs(there.sum() - back.sum()) > 1e-6 * (1 + np.abs(there).sum() + np.abs(back).sum()):
                yield f"{step.node.op}: <A v, r> = {there.sum():.6g}, <v, A'r> = {back.sum():.6g}"
            whole = whole + linear.apply(linear.weights, x)
        if step.op.kind == "elementwise" or not np.isfinite(site.output).all():
            continue
        error = np.abs(whole - site.output).max(initial=0.0)
        if not error <= 1e-4 * np.abs(site.output).max(initial=1.0):
            yield f"{step.node.op}: maps and bias differ from the output by {error:.3g}"


def _jacobian(plan: Plan, feeds: Any, values: Any, run: NumpyWalker, rng: np.random.Generator) -> Any:
    y = values[plan.target]
    r = rng.standard_normal(y.shape)
    floats = [name for name in plan.inputs if plan.graph.value(name).is_float]
    found = walk(plan, dict(values), r, free=False)
    way = {name: rng.standard_normal(feeds[name].shape) for name in floats}
    slope = sum(float((way[name] * found[name]).sum()) for name in floats)
    if not floats or not np.isfinite(y).all():
        return
    evaluate, steps, tolerance = _double(plan, feeds, y), (1e-6, 1e-4), TOLERANCE
    if evaluate is None:
        evaluate, steps, tolerance = _single(plan, run), (1e-1, 1e-2, 1e-3), COARSE
    errors = []
    for step in steps:
        ends = [evaluate({**feeds, **{n: feeds[n] + s * step * way[n] for n in floats}}) for s in (1.0, -1.0)]
        if any(end.shape != r.shape for end in ends):  # it changed how long a loop runs
            continue
        wanted = r * (ends[0] - ends[1]) / (2 * step)
        errors.append((abs(wanted.sum() - slope) / (1e-3 + np.abs(wanted).sum()), wanted.sum()))
    error, wanted = min(errors, default=(0.0, 0.0))
    if not error <= tolerance:
        yield f"gradient: {slope:.6g}, by differences {wanted:.6g}"


def _double(plan: Plan, feeds: Any, y: np.ndarray) -> Any:
    """The target in float64 by onnx's reference implementation, if that agrees with onnxruntime."""

    def evaluate(given: Any) -> np.ndarray:
        return np.asarray(reference.run(None, {k: _precise(v) for k, v in given.items()})[0], np.float64)

    try:
        reference = onnx.reference.ReferenceEvaluator(plan.graph.to_proto([plan.target]))
        first = evaluate(feeds)
        agrees = first.shape == y.shape and np.allclose(first, y, rtol=1e-3, atol=1e-4)
        moved = evaluate(
            {k: _precise(v) * (1 + 1e-10) if v.dtype.kind in "fV" else v for k, v in feeds.items()}
        )
        precise = np.array_equal(moved.astype(np.float32), moved) is False or not y.any()
        return evaluate if agrees and precise else None
    except Exception:
        return None


def _single(plan: Plan, run: NumpyWalker) -> Any:
    def evaluate(given: Any) -> np.ndarray:
        like = {k: v.astype(plan.graph.value(k).dtype) for k, v in given.items()}
        return _precise(run.values(like)[plan.target])

    return evaluate


def _usual(x: np.ndarray, rng: np.random.Generator, explained: bool) -> np.ndarray:
    """Away from kinks (whole numbers, ties) and finite, where relevance goes; else as it is."""
    if x.dtype.kind not in "fV" or not explained:
        return x
    x = np.nan_to_num(_precise(x), nan=0.5, posinf=2.0, neginf=-2.0)
    moved = x * (1 - 0.02 * rng.random(x.shape)) + 0.004 + 0.01 * rng.random(x.shape)
    return np.asarray(moved, np.float32)


def _precise(x: Any) -> Any:
    if isinstance(x, list):  # a value inside a loop, of each iteration
        return [_precise(one) for one in x]
    return x.astype(np.float64) if x.dtype.kind in "fV" else x
