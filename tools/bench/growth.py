"""How the time of one explanation grows with the batch and with the input's side, beside the multiplications."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnx

from tools.bench.contenders import INPUT_RANGE, SHAPE

METHOD = "epsilon_plus"
BATCHES = (1, 2, 4, 8, 16)
SIDES = (112, 224, 448)
REPEATS = 3


def fastest(path: Path, engine: str, shapes: list[tuple[int, ...]]) -> list[float]:
    """Seconds for an input of each shape; the shapes take turns."""
    import onnxdtd

    explainer = onnxdtd.Explainer(str(path), method=METHOD, engine=engine, input_range=INPUT_RANGE)
    inputs = [np.random.default_rng(0).random(shape, dtype=np.float32) for shape in shapes]
    times: list[list[float]] = [[] for _ in inputs]
    for _ in range(REPEATS + 1):
        for x, found in zip(inputs, times, strict=True):
            start = time.perf_counter()
            explainer(x)
            found.append(time.perf_counter() - start)
    return [min(found[1:]) for found in times]


def of_any_side(path: Path, cache: Path) -> Path:
    """The same network with symbolic height and width."""
    model = onnx.load(path)
    for i, name in ((2, "height"), (3, "width")):
        model.graph.input[0].type.tensor_type.shape.dim[i].dim_param = name
    del model.graph.value_info[:]
    resized = cache / f"{path.stem}_any_side.onnx"
    onnx.save(model, resized)
    return resized


def growth(path: Path, cache: Path) -> dict[str, object]:
    """For each engine, times as multiples of the first one, and per multiplication: 1 is linear, less is better."""
    rows: list[dict[str, object]] = []
    resized = of_any_side(path, cache)
    for engine in ("numpy", "onnx"):
        by_batch = fastest(path, engine, [(n, *SHAPE) for n in BATCHES])
        by_side = fastest(resized, engine, [(1, SHAPE[0], side, side) for side in SIDES])
        for what, sizes, work, seconds in (
            ("batch", BATCHES, [n / BATCHES[0] for n in BATCHES], by_batch),
            ("side", SIDES, [(side / SIDES[0]) ** 2 for side in SIDES], by_side),
        ):
            multiples = [s / seconds[0] for s in seconds]
            rows.append({
                "engine": engine, "grows": what, "sizes": list(sizes), "seconds": [round(s, 4) for s in seconds],
                "of_first": [round(m, 2) for m in multiples],
                "per_multiplication": [round(m / w, 3) for m, w in zip(multiples, work, strict=True)],
            })  # fmt: skip
    return {"method": METHOD, "rows": rows}
