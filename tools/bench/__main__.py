"""Time and memory of an explanation, beside zennit, captum, torch and onnxruntime in the same run.

    pip install -e . && pip install torch==2.13.0 captum && pip install --no-deps zennit==0.5.1
    python -m tools.bench --out FILE.json [--cache FOLDER] [--repeats 7] [--threads 2] [--only resnet50/1,growth]

Writes one JSON file: machine facts, and for each case every time of every contender with the median, ratios, the
time to compile and to start, and peak memory; then how the time of ResNet50 grows with the batch and with the
input's side, and how the time of long graphs grows with their nodes. A case that FILE.json already holds is not run
again, so that a run that was stopped goes on where it was. Contenders take turns, after one warm-up call each, so
that noise hits all alike; absolute times do not carry over to another machine, the ratios do. torch runs on
`--threads` threads, onnxruntime and NumPy on their defaults. zennit and captum are optional; torch is needed to
make the networks, unless `--cache` holds their ONNX files from an earlier run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from tools.bench.contenders import (
    METHOD_CONTENDERS,
    PLAIN_CONTENDERS,
    RATIOS,
    SHAPE,
    Call,
    Case,
    SkippedError,
)
from tools.bench.growth import growth
from tools.bench.memory import measure
from tools.bench.nodes import by_nodes
from tools.bench.start import start_times

# Seconds before each call, in which the threads of the one before stop waiting busily for more work.
REST = 0.5
CASES = [
    ("vgg16", 1, ["epsilon_plus", "gradient"]),
    ("vgg16", 8, ["epsilon_plus"]),
    ("resnet50", 1, ["epsilon_plus", "epsilon_gamma_box"]),
    ("resnet50", 8, ["epsilon_plus"]),
]
PACKAGES = ["onnxdtd", "numpy", "onnx", "onnxruntime", "torch", "zennit", "captum"]


def machine(threads: int) -> dict[str, object]:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    return {
        "platform": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count(),
        "torch_threads": threads, "python": platform.python_version(), "versions": versions,
    }  # fmt: skip


def prepare_network(name: str, cache: Path, threads: int) -> tuple[Path, object]:
    """The ONNX file of the network, written if the cache lacks it, and the torch network, if any."""
    path = cache / f"{name}.onnx"
    try:
        import torch
    except ModuleNotFoundError:
        if path.exists():
            return path, None
        raise SystemExit(f"torch is not installed and {path} does not exist: pip install torch") from None
    from tools.bench import networks

    torch.set_num_threads(threads)
    network = networks.build(name)
    if not path.exists():
        networks.export(network, path)
    return path, network


def describe(error: Exception) -> dict[str, str]:
    """A missing package or method is skipped; everything else that a contender raises is its result."""
    if isinstance(error, SkippedError):
        return {"skipped": str(error)}
    if isinstance(error, ModuleNotFoundError) and error.name in PACKAGES:
        return {"skipped": f"{error.name} is not installed"}
    return {"error": f"{type(error).__name__}: {error}"}


def time_all(case: Case, methods: list[str], repeats: int) -> list[dict[str, Any]]:
    """Warm every contender up once, then let them take turns."""
    entrants = [(c, m, lambda p=p, m=m: p(case, m)) for m in methods for c, p in METHOD_CONTENDERS.items()]
    entrants += [(c, None, lambda p=p: p(case)) for c, p in PLAIN_CONTENDERS.items()]
    results: list[dict[str, Any]] = []
    running: list[tuple[dict[str, Any], Call, list[float]]] = []
    for contender, method, prepare in entrants:
        result: dict[str, Any] = {"contender": contender, "method": method}
        results.append(result)
        try:
            call = prepare()
            call()
        except Exception as error:  # one contender's failure is a row of the table, not the end of the run
            result.update(describe(error))
        else:
            running.append((result, call, []))
    for _ in range(repeats):
        for _, call, times in running:
            time.sleep(REST)
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
    for result, _, times in running:
        result.update(
            median_s=round(median(times), 4),
            fastest_s=round(min(times), 4),
            times_s=[round(t, 4) for t in times],
        )
    return results


def ratios(results: list[dict[str, Any]], methods: list[str]) -> list[dict[str, object]]:
    """Our time over the other's, where both ran; on a busy machine the fastest times are the steadier."""
    timed = {(r["contender"], r["method"]): r for r in results if "times_s" in r}
    found = []
    for method in methods:
        for ours, other in RATIOS:
            a, b = timed.get((ours, method)), timed.get((other, method), timed.get((other, None)))
            if a and b:
                of = {
                    f"of_{kind}": round(a[f"{kind}_s"] / b[f"{kind}_s"], 3) for kind in ("median", "fastest")
                }
                found.append({"ratio": f"{ours} / {other}", "method": method, **of})
    return found


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the JSON file, which is gone on with")
    parser.add_argument("--cache", type=Path, help="folder of the ONNX files (default: a temporary one)")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    parser.add_argument("--only", help="cases by name, such as resnet50/1,growth (default: all)")
    return parser.parse_args()


def one_case(
    name: str, batch: int, methods: list[str], cache: Path, options: argparse.Namespace
) -> dict[str, Any]:
    path, network = prepare_network(name, cache, options.threads)
    x = np.random.default_rng(0).random((batch, *SHAPE), dtype=np.float32)
    results = time_all(Case(path, network, x), methods, options.repeats)
    peaks = [measure(path, m, e, batch) for m in methods for e in ("numpy", "onnx")]
    return {
        "case": f"{name}/{batch}", "network": name, "batch": batch, "results": results,
        "ratios": ratios(results, methods), "start": [start_times(path, m) for m in methods],
        "memory": [measure(path, "", "forward", batch), *peaks],
    }  # fmt: skip


def wanted(options: argparse.Namespace, cache: Path, held: set[str]) -> Iterator[dict[str, Any]]:
    """Each case that is asked for and not held yet."""
    names = (
        options.only.split(",") if options.only else [*(f"{n}/{b}" for n, b, _ in CASES), "growth", "nodes"]
    )
    for name, batch, methods in CASES:
        if f"{name}/{batch}" in names and f"{name}/{batch}" not in held:
            print(f"{name}, batch {batch}", file=sys.stderr)
            yield one_case(name, batch, methods, cache, options)
    if "growth" in names and "growth" not in held:
        print("growth", file=sys.stderr)
        yield {"case": "growth", **growth(prepare_network("resnet50", cache, options.threads)[0], cache)}
    if "nodes" in names and "nodes" not in held:
        yield {"case": "nodes", **by_nodes()}


def main() -> None:
    options = arguments()
    report: dict[str, Any] = {"machine": machine(options.threads), "repeats": options.repeats, "cases": []}
    if options.out.exists():
        report = json.loads(options.out.read_text())
    with tempfile.TemporaryDirectory() as temporary:
        cache = options.cache or Path(temporary)
        cache.mkdir(parents=True, exist_ok=True)
        for case in wanted(options, cache, {case["case"] for case in report["cases"]}):
            report["cases"].append(case)
            options.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
