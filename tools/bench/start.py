"""How long it takes before the first explanation: of the compiled engine, and of the command line."""

from __future__ import annotations

import itertools
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tools.bench.contenders import Case
from tools.paths import MODELS, ROOT

REPEATS = 5
RUNS = {
    "digit": ("mnist_cnn.onnx", "mnist_digit.npy"),
    "cat": ("efficientnet_lite0.onnx", "chelsea.png"),
}


def start_times(case: Case, method: str) -> dict[str, object]:
    """Seconds to read and plan, to write the explainer, and until onnxruntime has loaded it."""
    from onnxdtd.compiled.trace import compile_plan
    from onnxdtd.walk.forward import start_session

    marks = [time.perf_counter()]
    plan = case.explainer(method, "numpy").plan()
    marks.append(time.perf_counter())
    compiled = compile_plan(plan)
    marks.append(time.perf_counter())
    start_session(compiled.model, compiled.constants, ["CPUExecutionProvider"])
    marks.append(time.perf_counter())
    plan_s, compile_s, session_s = (round(b - a, 3) for a, b in itertools.pairwise(marks))
    nodes = {"nodes": len(plan.graph.nodes), "compiled_nodes": len(compiled.model.graph.node)}
    return {"method": method, "plan_s": plan_s, "compile_s": compile_s, "session_s": session_s, **nodes}


def floor(case: Case, method: str) -> float:
    """Multiplications of an explanation, the forward pass in it included, over those of the forward pass."""
    from onnxdtd.plan.cost import cost

    spent = cost(case.explainer(method, "numpy").plan())
    return round(1 + spent.walk / spent.forward, 2)


def command_times() -> list[dict[str, Any]]:
    """Wall and processor seconds of `onnxdtd run`: the fastest, after one that fills the caches of the disk and the
    bytecode, which an installed package has from the start."""
    rows = []
    with tempfile.TemporaryDirectory() as bytecode:
        cached = {"PYTHONPYCACHEPREFIX": bytecode, "PYTHONDONTWRITEBYTECODE": ""}
        environment = {**os.environ, **cached, "PYTHONPATH": str(ROOT)}
        for name, (model, data) in RUNS.items():
            for extra in ([], ["--no-audit"]):
                run = [sys.executable, "-m", "onnxdtd", "run", MODELS / model, MODELS / data, *extra]
                walls, cpus = zip(*(_command(run, environment) for _ in range(REPEATS + 1)), strict=True)
                fastest = {"wall_s": round(min(walls[1:]), 2), "cpu_s": round(min(cpus[1:]), 2)}
                rows.append({"run": " ".join([name, *extra]), **fastest})
    return rows


def _command(run: Sequence[Any], environment: Mapping[str, str]) -> tuple[float, float]:
    """Wall and processor seconds of one run into a new folder."""
    with tempfile.TemporaryDirectory() as out:
        before, start = _children(), time.perf_counter()
        subprocess.run([*run, "-o", out], check=True, capture_output=True, env=environment)
        return time.perf_counter() - start, _children() - before


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
