"""Peak memory of one explanation, measured in a fresh process, beside what the model itself needs.

    python -m tools.bench.memory MODEL METHOD ENGINE SHAPE [TYPE]      (one measurement: JSON with bytes)

ENGINE `forward` is onnxruntime's own forward pass alone, of the model file as it stands. SHAPE is that of the input,
such as 1,3,224,224, TYPE float32 or int64.

The peak is that of the process's own address space (`VmHWM` on Linux: `ru_maxrss` would start from the size
of the process that launched it), minus the peak after the imports; it covers loading the model, planning and
one explanation.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tools.bench.contenders import INPUT_RANGE
from tools.paths import ROOT


def peak() -> int:
    """Largest resident size of this process so far, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024


def drawn(shape: Sequence[int], kind: str) -> np.ndarray:
    """Pictures in [0, 1], or tokens."""
    rng = np.random.default_rng(0)
    return rng.random(shape, dtype=np.float32) if kind == "float32" else rng.integers(0, 1000, shape)


def use_once(model: str, method: str, engine: str, shape: Sequence[int], kind: str) -> dict[str, int]:
    import onnxruntime  # part of the baseline, however late onnxdtd imports it

    import onnxdtd

    baseline = peak()
    x = drawn(shape, kind)
    if engine == "forward":
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        session.run(None, {session.get_inputs()[0].name: x})
        return {"baseline": baseline, "peak": peak()}
    known = INPUT_RANGE if kind == "float32" else None
    onnxdtd.Explainer(model, method=method, engine=engine, input_range=known)(x)
    return {"baseline": baseline, "peak": peak()}


def measure(path: Path, method: str, engine: str, x: np.ndarray) -> dict[str, object]:
    """The peak of one explanation above the imports; every process compiles anew."""
    command = [sys.executable, "-m", "tools.bench.memory", str(path.resolve()), method, engine]
    command += [",".join(map(str, x.shape)), str(x.dtype)]
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "XDG_CACHE_HOME": cache}
        child = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment
        )
    row: dict[str, object] = {"method": method, "engine": engine, "batch": len(x)}
    if child.returncode != 0:
        last_line = (child.stderr.strip().splitlines() or [f"exit status {child.returncode}"])[-1]
        return row | {"error": last_line}
    bytes_of = json.loads(child.stdout)
    return row | {"peak_bytes": bytes_of["peak"] - bytes_of["baseline"]}


if __name__ == "__main__":
    model, method, engine, shape, *kind = sys.argv[1:]
    print(
        json.dumps(
            use_once(model, method, engine, [int(n) for n in shape.split(",")], *(kind or ["float32"]))
        )
    )
