"""How long the onnx engine takes before its first explanation: planning, compiling, starting a session."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

from tools.bench.contenders import INPUT_RANGE


def start_times(path: Path, method: str) -> dict[str, object]:
    """Seconds to read and plan, to write the explainer, and until onnxruntime has loaded it."""
    import onnxdtd
    from onnxdtd.compiled.trace import compile_plan
    from onnxdtd.walk.forward import start_session

    marks = [time.perf_counter()]
    plan = onnxdtd.Explainer(str(path), method=method, input_range=INPUT_RANGE).plan()
    marks.append(time.perf_counter())
    compiled = compile_plan(plan)
    marks.append(time.perf_counter())
    start_session(compiled.model, compiled.constants, ["CPUExecutionProvider"])
    marks.append(time.perf_counter())
    plan_s, compile_s, session_s = (round(b - a, 3) for a, b in itertools.pairwise(marks))
    return {"method": method, "plan_s": plan_s, "compile_s": compile_s, "session_s": session_s}
