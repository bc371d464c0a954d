"""Wall time of every method as a multiple of the model's forward pass; writes docs/figures/method_times.json and .md.

    python tools/compare_times.py                       # with the extra `compare`, the neighbours too
    python tools/compare_times.py --only mnist_cnn --batches 1,32

All in one run, warm, the fastest of several calls, since other work on the machine only adds; the neighbours with
their packages' defaults, once. The walks of epsilon_plus and gradient are also profiled, op by op.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import onnxdtd
from onnxdtd.comparison.case import Case
from onnxdtd.comparison.clock import forward_timing
from onnxdtd.engine import backward
from onnxdtd.engine.target import Target
from onnxdtd.inputs import Preprocess, read_inputs
from onnxdtd.model.load import load

ROOT = Path(__file__).parent.parent
OUT = ROOT / "docs" / "figures" / "method_times"
CASES = {"mnist_cnn": "mnist_digit.npy", "efficientnet_lite0": "chelsea.png"}
REPEATS, PATIENCE = 12, 4.0
LIMIT = 6.0


def fastest(call: Callable[[], Any]) -> float:
    """Seconds, after one call that makes the sessions; fewer repeats where one takes long."""
    call()
    times: list[float] = []
    while len(times) < REPEATS and sum(times) < PATIENCE:
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times)


def measure(name: str, batch: int, neighbours: bool) -> dict[str, Any]:
    """Every method on one model, the forward pass before each of them."""
    path = ROOT / "models" / f"{name}.onnx"
    graph = load(str(path))
    prepare = Preprocess.from_metadata(graph.metadata)
    span = prepare.input_range if prepare else None
    front = onnxdtd.Explainer(str(path), "gradient", input_range=span)
    one = read_inputs(ROOT / "models" / CASES[name], front.inputs, prepare)
    x = {key: np.repeat(array, batch, axis=0) for key, array in one.items()}
    forwards: list[float] = []
    seconds: dict[str, dict[str, float]] = {}
    many = batch == 1
    for method in sorted(onnxdtd.METHODS) + (sorted(onnxdtd.COMPOSED) if many else []):
        forwards.append(forward_timing(graph, x, front.providers).seconds)  # a median of 15
        for engine in ("numpy", "onnx") if method in onnxdtd.METHODS else ("numpy",):
            try:
                explainer = onnxdtd.Explainer(str(path), method, engine, input_range=span)
                taken = fastest(lambda e=explainer: e(x))
            except onnxdtd.OnnxdtdError as error:
                print(f"{name}: no {method}: {error}", file=sys.stderr)
                break
            seconds.setdefault(method, {})[engine] = taken
            print(f"{name} x{batch} {method} {engine} {taken:.4g} s", file=sys.stderr)
    case = Case.of(str(path), front, x, 0, None, 60, None, 0, [Target()])
    for method, entry in onnxdtd.NEIGHBOURS.items() if many and neighbours else ():
        if entry.installed:
            ask = case.asker(method, {}, "numpy")
            began = time.perf_counter()
            try:
                cell = ask(0)
            except onnxdtd.OnnxdtdError as error:
                print(f"{name}: no {method}: {error}", file=sys.stderr)
                continue
            seconds[method] = {
                "other": time.perf_counter() - began,
                "predictions": cell.extras["predictions"],
            }
            print(f"{name} {method} {seconds[method]}", file=sys.stderr)
    forwards.append(forward_timing(graph, x, front.providers).seconds)
    return {"model": name, "batch": batch, "forward_s": min(forwards), "seconds": seconds}


def profile(name: str, method: str, rounds: int = 12) -> dict[str, Any]:
    """Milliseconds of the walk by op (its fastest round), beside onnxruntime's forward pass with all activations."""
    path = ROOT / "models" / f"{name}.onnx"
    prepare = Preprocess.from_metadata(load(str(path)).metadata)
    explainer = onnxdtd.Explainer(str(path), method, input_range=prepare.input_range if prepare else None)
    x = read_inputs(ROOT / "models" / CASES[name], explainer.inputs, prepare)
    explainer(x)
    plan, run = explainer.plan(), explainer.run()
    found: list[dict[str, float]] = []
    for _ in range(rounds):
        spent: dict[str, float] = {}
        began = time.perf_counter()
        values = run.forward(x)
        spent["forward, all activations"] = time.perf_counter() - began
        mask = np.zeros_like(values[plan.target])
        mask[0, values[plan.target].argmax()] = 1
        last = time.perf_counter()

        def observe(step: Any, r: Any, shares: Any, spent: dict[str, float] = spent) -> None:
            nonlocal last
            group = step.node.attributes.get("group", 1)
            kernel = "x".join(map(str, step.node.attributes.get("kernel_shape", ())))
            what = f"{step.node.op}{f' {kernel}' if kernel else ''}{' depthwise' if group > 1 else ''}"
            now = time.perf_counter()
            spent[what] = spent.get(what, 0.0) + now - last
            last = now

        backward.walk(plan, values, mask, kept=run.kept, observe=observe)
        found.append(spent)
    rows = {key: 1000 * min(one[key] for one in found) for key in found[0]}
    return {
        "model": name,
        "method": method,
        "milliseconds": dict(sorted(rows.items(), key=lambda row: -row[1])),
    }


def page(results: dict[str, Any]) -> str:
    """The tables."""
    lines = []
    for case in results["cases"]:
        forward = case["forward_s"]
        batch = f", {case['batch']} at a time" if case["batch"] > 1 else ""
        lines += [f"**{case['model']}{batch}**: forward pass {1000 * forward:.3g} ms", ""]
        lines += ["| method | engine numpy | engine onnx |", "| --- | ---: | ---: |"]
        for method, engines in sorted(case["seconds"].items(), key=lambda row: next(iter(row[1].values()))):
            numpy, onnx = (f"{engines[e] / forward:,.1f}" if e in engines else "" for e in ("numpy", "onnx"))
            if "other" in engines:
                numpy = f"{engines['other'] / forward:,.0f} ({engines['predictions']:,} predictions)"
            lines.append(f"| `{method}` | {numpy} | {onnx} |")
        lines.append("")
    for told in results["profiles"]:
        whole = sum(told["milliseconds"].values())
        lines += [
            f"Where the time of `{told['method']}` goes (numpy, {told['model']}, {whole:.0f} ms in all):",
            "",
        ]
        lines += ["| step | ms | share |", "| --- | ---: | ---: |"]
        for what, ms in told["milliseconds"].items():
            if ms > 0.01 * whole:
                lines.append(f"| {what} | {ms:.1f} | {ms / whole:.0%} |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=sorted(CASES))
    parser.add_argument("--batches", default="1,16")
    parser.add_argument("--no-neighbours", action="store_true")
    given = parser.parse_args()
    names = [given.only] if given.only else list(CASES)
    cases = [
        measure(name, int(batch), not given.no_neighbours)
        for name in names
        for batch in given.batches.split(",")
    ]
    profiles = [profile(name, method) for name in names for method in ("epsilon_plus", "gradient")]
    machine = {"platform": platform.platform(), "python": platform.python_version(), "numpy": np.__version__}
    results = {"machine": machine, "limit": LIMIT, "cases": cases, "profiles": profiles}
    OUT.with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    OUT.with_suffix(".md").write_text(page(results), "utf-8")
    print(page(results))


if __name__ == "__main__":
    main()
