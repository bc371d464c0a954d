"""Peak memory of one explanation, measured in a fresh process, beside what the model itself needs.

    python -m tools.bench.memory MODEL METHOD ENGINE BATCH      (one measurement: JSON with bytes)

ENGINE `forward` is onnxruntime's own forward pass alone, of the model file as it stands.

The peak is that of the process's own address space (`VmHWM` on Linux: `ru_maxrss` would start from the size
of the process that launched it), minus the peak after the imports; it covers loading the model, planning and
one explanation.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx

from tools.bench.contenders import INPUT_RANGE, SHAPE
from tools.paths import ROOT


def peak() -> int:
    """Largest resident size of this process so far, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024


def use_once(model: str, method: str, engine: str, batch: int) -> dict[str, int]:
    import onnxruntime  # part of the baseline, however late onnxdtd imports it

    import onnxdtd

    baseline = peak()
    x = np.random.default_rng(0).random((batch, *SHAPE), dtype=np.float32)
    if engine == "forward":
        onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"input": x})
        return {"baseline": baseline, "peak": peak()}
    onnxdtd.Explainer(model, method=method, engine=engine, input_range=INPUT_RANGE)(x)
    return {"baseline": baseline, "peak": peak()}


def sizes(path: Path, batch: int) -> tuple[int, int]:
    """Bytes of the weights, and of all node outputs of the file as it stands, at this batch size."""
    model = onnx.load(path)
    weights = sum(onnx.numpy_helper.to_array(w).nbytes for w in model.graph.initializer)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
    del model.graph.output[:]  # their symbolic batch would contradict the fixed one
    for weight in model.graph.initializer:
        if len(weight.dims) > 1:
            weight.ClearField("raw_data")  # shapes need no values, and a copy of the weights is large
    inferred = {v.name: v.type.tensor_type for v in onnx.shape_inference.infer_shapes(model).graph.value_info}
    outputs = [inferred[name] for node in model.graph.node for name in node.output]
    return weights, sum(4 * int(np.prod([d.dim_value for d in t.shape.dim])) for t in outputs)


def measure(path: Path, method: str, engine: str, batch: int) -> dict[str, object]:
    """The peak of one explanation above the imports, and its ratio to 4 * weights + 1.5 * activations."""
    command = [sys.executable, "-m", "tools.bench.memory", str(path.resolve()), method, engine, str(batch)]
    child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    case: dict[str, object] = {"method": method, "engine": engine, "batch": batch}
    if child.returncode != 0:
        last_line = (child.stderr.strip().splitlines() or [f"exit status {child.returncode}"])[-1]
        missing = last_line == "ModuleNotFoundError: No module named 'onnxdtd'"
        return case | ({"skipped": "onnxdtd is not installed"} if missing else {"error": last_line})
    found = json.loads(child.stdout)
    weights, activations = sizes(path, batch)
    used, bound = found["peak"] - found["baseline"], int(4 * weights + 1.5 * activations)
    return case | {
        "peak_bytes": used, "baseline_bytes": found["baseline"], "weights_bytes": weights,
        "activations_bytes": activations, "bound_bytes": bound, "peak_over_bound": round(used / bound, 3),
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(use_once(*sys.argv[1:4], batch=int(sys.argv[4]))))
