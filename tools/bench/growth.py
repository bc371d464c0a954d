"""Samples per second and peak memory by batch, and how the time grows with an image's side."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import onnx

from tools.bench.contenders import INPUT_RANGE, Case, onnxruntime_forward
from tools.bench.memory import drawn, measure

METHOD = "epsilon_plus"
BATCHES = (1, 8, 32)
SIDES = (112, 224, 448)
ENGINES = ("numpy", "onnx")
REPEATS = 3
PATIENCE = 6.0  # seconds for the calls of one contender


def fastest(calls: Sequence[Callable[[], Any]]) -> list[float]:
    """Seconds of each call; they take turns, after one that is not counted, fewer where they take long."""
    best = [float("inf")] * len(calls)
    for turn in range(REPEATS + 1):
        for i, call in enumerate(calls):
            if turn > 1 and turn * best[i] > PATIENCE:
                continue
            start = time.perf_counter()
            call()
            best[i] = min(best[i], time.perf_counter() - start) if turn else best[i]
    return best


def by_batch(path: Path, shape: Sequence[int]) -> dict[str, Any]:
    """Samples per second of the forward pass and of both engines, and what each holds at most."""
    inputs = [drawn((n, *shape), "float32") for n in BATCHES]
    cases = [Case(path.stem, path, None, x) for x in inputs]
    rows = []
    for engine in ("forward", *ENGINES):
        if engine == "forward":
            calls = [onnxruntime_forward(case) for case in cases]
        else:
            explainer = cases[0].explainer(METHOD, engine)
            calls = [partial(explainer, x) for x in inputs]
        seconds = fastest(calls)
        peaks = [measure(path, METHOD, engine, x).get("peak_bytes") for x in inputs]
        rows.append({
            "engine": engine, "batches": list(BATCHES), "peak_bytes": peaks,
            "per_second": [round(n / s, 2) for n, s in zip(BATCHES, seconds, strict=True)],
        })  # fmt: skip
    return {"method": METHOD, "rows": rows}


def by_side(path: Path, cache: Path) -> dict[str, Any]:
    """Times as multiples of the first one's, and per multiplication: 1 is linear, less is better."""
    resized, rows = of_any_side(path, cache), []
    for engine in ENGINES:
        case = Case(path.stem, resized, None, drawn((1, 3, SIDES[0], SIDES[0]), "float32"))
        explainer = case.explainer(METHOD, engine)
        inputs = [drawn((1, 3, side, side), "float32") for side in SIDES]
        seconds = fastest([partial(explainer, x) for x in inputs])
        multiples = [s / seconds[0] for s in seconds]
        work = [(side / SIDES[0]) ** 2 for side in SIDES]
        rows.append({
            "engine": engine, "sides": list(SIDES), "of_first": [round(m, 2) for m in multiples],
            "per_multiplication": [round(m / w, 3) for m, w in zip(multiples, work, strict=True)],
        })  # fmt: skip
    return {"method": METHOD, "input_range": INPUT_RANGE, "rows": rows}


def of_any_side(path: Path, cache: Path) -> Path:
    """The same network with symbolic height and width."""
    model = onnx.load(path)
    for i, name in ((2, "height"), (3, "width")):
        model.graph.input[0].type.tensor_type.shape.dim[i].dim_param = name
    del model.graph.value_info[:]
    resized = cache / f"{path.stem}_any_side.onnx"
    onnx.save(model, resized)
    return resized
