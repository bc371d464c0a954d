"""Time and memory of an explanation, beside zennit, captum, torch and onnxruntime in the same run.

    pip install -e .                                     # and, for the other packages beside it:
    pip install torch==2.13.0 captum && pip install --no-deps zennit==0.5.1
    python -m tools.bench [--out FILE.json] [--cache FOLDER] [--repeats 5] [--threads 2] [--only resnet50/1,nodes]
    python -m tools.tables                               # README.md and docs/performance.md from the JSON

Writes one JSON file (docs/figures/bench.json): machine facts, a case for each network and method: each time of each
contender with the median, ratios, the floor (the multiplications of an explanation over those of its forward pass),
the time to plan, compile and start, and peak memory; then samples per second and memory by batch, how the time grows
with an image's side, a language model of 0.85 G weights, the command line, and long graphs by their nodes. A case
that the file holds is not run again unless `--only` names it, so that a run that was stopped goes on where it was.

Contenders take turns, after one warm-up call each, so that noise hits all alike; absolute times do not carry over to
another machine, the ratios do. torch runs on `--threads` threads, onnxruntime and NumPy on their defaults. torch,
zennit and captum are optional. Without them it takes about 12 minutes on two cores, and 5 GB on disk.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

from tools.bench.contenders import METHOD_CONTENDERS, PLAIN_CONTENDERS, RATIOS, Call, Case, SkippedError
from tools.bench.growth import by_batch, by_side
from tools.bench.memory import drawn, measure
from tools.bench.networks import NETWORKS, SIDE, TOKENS, write
from tools.bench.nodes import by_nodes
from tools.bench.start import command_times, floor, start_times
from tools.paths import FIGURES, MODELS

# Seconds before each call, in which the threads of the one before stop waiting busily for more work.
REST = 0.3
IMAGE, SHORT = (3, SIDE, SIDE), 16
CONVOLUTIONAL = ("gradient", "epsilon_plus", "dtd")
PATTERNS = ("dense", "stages", "first_layers", "attention", "lstm")
NAMED = {
    "vgg16/1": CONVOLUTIONAL, "resnet50/1": CONVOLUTIONAL, "efficientnet_lite0/1": CONVOLUTIONAL,
    "bert_base/1": ("attnlrp",), "vit_b16/1": ("attnlrp",),
}  # fmt: skip
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


def file_of(name: str, cache: Path) -> Path:
    """The network's ONNX file, written if the cache lacks it; one comes with the package."""
    if name not in NETWORKS:
        return MODELS / f"{name}.onnx"
    path = cache / f"{name}.onnx"
    if not path.exists():
        write(name, path)
    return path


def in_torch(name: str, path: Path, threads: int) -> object:
    """The same network in torch; None without torch."""
    try:
        import torch
    except ModuleNotFoundError:
        return None
    from tools.bench import twins

    torch.set_num_threads(threads)
    return twins.load(name, path)


def describe(error: Exception) -> dict[str, str]:
    """A missing package or method is skipped; everything else that a contender raises is its result."""
    if isinstance(error, SkippedError):
        return {"skipped": str(error)}
    if isinstance(error, ModuleNotFoundError) and error.name in PACKAGES:
        return {"skipped": f"{error.name} is not installed"}
    return {"error": f"{type(error).__name__}: {error}"}


def time_all(case: Case, methods: tuple[str, ...], repeats: int) -> list[dict[str, Any]]:
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


def ratios(results: list[dict[str, Any]], methods: tuple[str, ...]) -> list[dict[str, object]]:
    """Our time over the other's, where both ran; on a busy machine the fastest times are the steadier."""
    timed = {(r["contender"], r["method"]): r for r in results if "times_s" in r}
    rows = []
    for method in methods:
        for ours, other in RATIOS:
            a, b = timed.get((ours, method)), timed.get((other, method), timed.get((other, None)))
            if a and b:
                of = {
                    f"of_{kind}": round(a[f"{kind}_s"] / b[f"{kind}_s"], 3) for kind in ("median", "fastest")
                }
                rows.append({"ratio": f"{ours} / {other}", "method": method, **of})
    return rows


def one_network(
    name: str, methods: tuple[str, ...], cache: Path, options: argparse.Namespace
) -> dict[str, Any]:
    path = file_of(name, cache)
    x = drawn((1, TOKENS), "int64") if name == "bert_base" else drawn((1, *IMAGE), "float32")
    case = Case(name, path, in_torch(name, path, options.threads), x)
    results = time_all(case, methods, options.repeats)
    memory = [measure(path, m, e, x) for m in methods for e in ("numpy", "onnx")]
    return {
        "network": name, "batch": 1, "floors": {m: floor(case, m) for m in methods}, "results": results,
        "ratios": ratios(results, methods), "start": [start_times(case, m) for m in methods],
        "memory": [measure(path, "", "forward", x), *memory],
    }  # fmt: skip


def large(cache: Path) -> dict[str, Any]:
    """What a language model above 2 GB takes of memory, its weights in a file of their own."""
    path, x = file_of("llama", cache), drawn((1, SHORT), "int64")
    engines = [("", "forward"), ("attnlrp", "onnx"), ("attnlrp", "numpy")]
    return {"network": "llama", "tokens": SHORT, "memory": [measure(path, m, e, x) for m, e in engines]}


def cases(cache: Path, options: argparse.Namespace) -> dict[str, Callable[[], dict[str, Any]]]:
    """By name, in the order in which they run."""
    rows: dict[str, Callable[[], dict[str, Any]]] = {
        name: lambda name=name, methods=methods: one_network(name.partition("/")[0], methods, cache, options)
        for name, methods in NAMED.items()
    }
    for name in ("efficientnet_lite0", "resnet50"):
        rows[f"{name}/batches"] = lambda name=name: by_batch(file_of(name, cache), IMAGE)
    rows["resnet50/sides"] = lambda: by_side(file_of("resnet50", cache), cache)
    return rows | {
        "large": lambda: large(cache),
        "command": lambda: {"rows": command_times()},
        "nodes": lambda: by_nodes(PATTERNS),
    }


def asked(options: argparse.Namespace, cache: Path, held: set[str]) -> Iterator[dict[str, Any]]:
    """Each case that is named, or not held yet."""
    names = options.only.split(",") if options.only else None
    rows = cases(cache, options)
    if unknown := set(names or ()) - rows.keys():
        raise SystemExit(f"no case {', '.join(sorted(unknown))}; there are {', '.join(rows)}")
    for name, run in rows.items():
        if name in names if names else name not in held:
            print(name, file=sys.stderr, flush=True)
            began = time.perf_counter()
            row = {"case": name, **run()}
            yield row | {"took_s": round(time.perf_counter() - began, 1)}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=FIGURES / "bench.json", help="the JSON file, which is gone on with"
    )
    parser.add_argument("--cache", type=Path, help="folder of the ONNX files (default: a temporary one)")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    parser.add_argument(
        "--only", help="cases by name, such as resnet50/1,nodes; they are run again (default: all)"
    )
    parser.add_argument("--anew", action="store_true", help="forget what the JSON file holds")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    report: dict[str, Any] = {"machine": machine(options.threads), "repeats": options.repeats, "cases": []}
    if options.out.exists() and not options.anew:
        report = json.loads(options.out.read_text())
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["XDG_CACHE_HOME"] = temporary  # walks are compiled by the code that is measured
        cache = options.cache or Path(temporary)
        cache.mkdir(parents=True, exist_ok=True)
        for case in asked(options, cache, {case["case"] for case in report["cases"]}):
            others = [other for other in report["cases"] if other["case"] != case["case"]]
            report["cases"] = [*others, case]
            options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
