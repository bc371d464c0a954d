"""Random graphs of all operators, on which both engines, batches and the file's own output must agree."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx

from onnxdtd import Explainer
from onnxdtd.errors import OnnxdtdError
from onnxdtd.loaded import Loaded
from onnxdtd.walk.forward import rounds
from tools.fuzz.draft import ML, Array, session
from tools.fuzz.exact import Evaluated, doubled, in_float64
from tools.fuzz.pieces import Key, random_draft

METHODS = ("attnlrp", "dtd", "gradient_x_input")
ROUNDING, EXACT = 1e-5, 1e-9
"""Parts of the largest relevance: beyond the first a difference is looked at in float64, where the second is left."""
STEPS = 5e-2
"""The same in graphs with operators that make integers or float32 whatever they read, which have no float64."""
FOREIGN = 1e-4
"""The same of the file's own logit where onnxruntime alone has the operators, in float32."""
TARGET = 1


@dataclass(frozen=True)
class Verdict:
    """refused: why, "" where it was answered. differences: what does not agree. rounded: how many differences float64
    has settled. compared: how many numbers or maps were. ops: those that were drawn."""

    refused: str
    differences: tuple[str, ...]
    rounded: int
    compared: int
    ops: tuple[str, ...]


def graph(seed: int, asked: Key | None = None) -> tuple[onnx.ModelProto, dict[str, Array], list[Key]]:
    """A random model, its input and its operators; the one that is asked for among them, if any such graph runs."""
    for attempt in range(40):
        try:
            draft, used = random_draft(seed + 10_000_000 * attempt, asked if attempt < 20 else None)
            model, feeds = draft.finish()
            session(model).run(None, feeds)
        except Exception:  # onnxruntime, whose exceptions have no common base, does not run the whole
            continue
        return model, feeds, used
    raise RuntimeError(f"no graph of seed {seed} runs")


def compare(seed: int, asked: Key | None = None) -> Verdict:
    """One random graph by each method."""
    model, feeds, used = graph(seed, asked)
    refused, wrong, rounded, compared = "", list[str](), 0, 0
    names = tuple(map(name_of, used))
    try:
        once = Loaded(model)
    except OnnxdtdError as error:
        return Verdict(str(error), (), 0, 0, names)
    steps, foreign = makes_steps(model), any(node.domain for node in model.graph.node)
    for method in METHODS:
        differences: dict[str, float] = {}
        try:
            differences.update(differences_of(model, once, feeds, method))
        except OnnxdtdError as error:
            refused = f"{method}: {error}"
        except Exception as error:  # whatever else is raised is a fault
            wrong.append(f"{method}: {type(error).__name__}: {str(error)[:300]}")
            continue
        compared += len(differences)
        large = {n: size for n, size in differences.items() if not size <= _bound(n, steps, foreign)}
        if not large:
            continue
        if steps:
            wrong += [f"{method}: {name}: {size:.2g}" for name, size in large.items()]
            continue
        try:
            with in_float64():
                wide = {name: x.astype(np.float64) for name, x in feeds.items()}
                twin = doubled(model)
                exact = dict(differences_of(twin, Loaded(twin), wide, method))
        except Exception as error:  # onnx's evaluation has faults of its own
            exact, large = {}, {f"{name} (float64: {str(error)[:200]})": s for name, s in large.items()}
        left = {name: (size, exact.get(name, np.nan)) for name, size in large.items()}
        wrong += [f"{method}: {name}: {a:.2g}, {b:.2g}" for name, (a, b) in left.items() if not b <= EXACT]
        rounded += sum(b <= EXACT for _, b in left.values())
    return Verdict(refused, tuple(wrong), rounded, compared, names)


def kind_of(verdict: Verdict) -> str:
    """What it counts as."""
    return "wrong" if verdict.differences else "refused" if verdict.refused else "equal"


def name_of(key: Key) -> str:
    """An operator with its domain, unless it is the standard's."""
    return ".".join(filter(None, key))


def _bound(name: str, steps: bool, foreign: bool) -> float:
    """Up to what a difference is not looked at."""
    of_file = "logit" in name and "sample" not in name
    if steps:
        return 2 * STEPS if of_file else STEPS
    return FOREIGN if foreign and of_file else ROUNDING


def makes_steps(model: onnx.ModelProto) -> bool:
    """Whether operators make integers, or float32 whatever they read."""
    return any(
        node.domain == ML or "Q" in node.op_type or "Integer" in node.op_type or rounds("", node.op_type)
        for node in model.graph.node
    )


def differences_of(
    model: onnx.ModelProto, once: Loaded, feeds: dict[str, Array], method: str
) -> Iterator[tuple[str, float]]:
    """What should be equal, and how far it is from that, in parts of the largest number. once: the model as read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        here = Explainer(once, method, cache_dir=False)
        whole = here(feeds, TARGET)
        y = _outputs(model, feeds)
        # A logit that has cancelled out is as inexact as the largest.
        largest = 0.0 if y is None else float(np.abs(y).max())
        if y is not None:
            yield "logit", _apart(whole.target_value, y[:, TARGET], largest)
        for i in range(
            len(whole.target_value) if model.graph.input[0].type.tensor_type.shape.dim[0].dim_param else 0
        ):
            one = {name: x[i : i + 1] for name, x in feeds.items()}
            alone = here(one, TARGET)
            yield (
                f"logit of sample {i}",
                _apart(alone.target_value, whole.target_value[i : i + 1], np.abs(whole.target_value).max()),
            )
            for name, r in whole.relevance.items():
                yield f"sample {i} at {name}", _apart(r[i : i + 1], alone.relevance[name], np.abs(r).max())
        traced = Explainer(once, method, engine="onnx", cache_dir=False)(feeds, TARGET)
        if y is not None:
            yield "compiled logit", _apart(traced.target_value, y[:, TARGET], largest)
        for name, r in whole.relevance.items():
            yield f"engines at {name}", _apart(r, traced.relevance[name])


def _outputs(model: onnx.ModelProto, feeds: dict[str, Array]) -> Array | None:
    """The file's own, by onnxruntime, or node by node in float64, which no operators but the standard's have."""
    if all(x.dtype == np.float32 for x in feeds.values()):
        return np.asarray(session(model).run(None, feeds)[0])
    if any(node.domain for node in model.graph.node):
        return None
    return np.asarray(Evaluated(model, {}).run(None, feeds)[0])


def _apart(a: Array, b: Array, scale: float = 0.0) -> float:
    """nan where only one of them is finite."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        return float("inf")
    size = max(float(np.abs(b).max(initial=0)), float(scale), 1e-30)
    return float(np.abs(a - b).max(initial=0)) / size
