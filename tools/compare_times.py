"""Wall time of every method as a multiple of the model's forward pass; writes docs/figures/method_times.json and .md.

    python -m tools.compare_times                       # with the extra `compare`, the neighbours too
    python -m tools.compare_times --only mnist_cnn --batches 1,32

All in one run, warm, each method in turns with the forward pass, because a machine's clock and its other work change
from one second to the next: the fastest call over the fastest forward pass, and the least and the most ratio of a
turn. Before each, a rest, in which the threads of the one before fall asleep. The neighbours with their packages'
defaults, once. The walks of epsilon_plus and gradient are also profiled, op by op.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import onnxdtd
from onnxdtd.comparison.case import Case
from onnxdtd.comparison.clock import forward_pass
from onnxdtd.inputs import Preprocess, read_inputs
from onnxdtd.model.load import load
from onnxdtd.plan.cost import cost
from onnxdtd.plan.target import Target
from onnxdtd.walk import backward
from tools.paths import FIGURES, MODELS

OUT = FIGURES / "method_times"
CASES = {"mnist_cnn": "mnist_digit.npy", "efficientnet_lite0": "chelsea.png"}
TURNS, PATIENCE, REST = 7, 6.0, 0.05
CALLS, ENOUGH = 1000, 0.15
LIMIT = 6.0
HEAD = """# What each method costs

Multiples of the model's own forward pass in onnxruntime, by `python -m tools.compare_times`: the fastest call over
the fastest forward pass, which take turns; in brackets the least and the most of a turn. "Multiplications" are those
of the forward pass and the walk together, over those of the forward pass alone: what arithmetic asks for at least.
"""


def fastest(call: Callable[[], Any]) -> float:
    """Seconds, after a rest: the fastest of as many calls as there is time for."""
    time.sleep(REST)
    times: list[float] = []
    while not times or (len(times) < CALLS and sum(times) < ENOUGH):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times)


def in_turns(call: Callable[[], Any], forward: Callable[[], Any]) -> dict[str, float]:
    """Of all turns, fewer where one takes long; a call before them makes the sessions."""
    call()
    turns: list[tuple[float, float]] = []
    while len(turns) < TURNS and sum(taken for taken, _ in turns) < PATIENCE:
        turns.append((fastest(call), fastest(forward)))
    taken, forwards = zip(*turns, strict=True)
    ratios = [a / b for a, b in turns]
    return {
        "seconds": min(taken),
        "forward_s": min(forwards),
        "forwards": min(taken) / min(forwards),
        "least": min(ratios),
        "most": max(ratios),
    }


def measure(name: str, batch: int, neighbours: bool) -> dict[str, Any]:
    """Every method on one model, the forward pass before each of them."""
    path = MODELS / f"{name}.onnx"
    graph = load(str(path))
    prepare = Preprocess.from_metadata(graph.metadata)
    span = prepare.input_range if prepare else None
    front = onnxdtd.Explainer(str(path), "gradient", input_range=span)
    one = read_inputs(MODELS / CASES[name], front.inputs, prepare)
    x = {key: np.repeat(array, batch, axis=0) for key, array in one.items()}
    forward = forward_pass(graph, x, front.providers)
    forward()
    many = batch == 1
    methods: dict[str, dict[str, dict[str, float]]] = {}
    for method in sorted(onnxdtd.METHODS) + (sorted(onnxdtd.PASSES) if many else []):
        for engine in ("numpy", "onnx") if method in onnxdtd.METHODS else ("numpy",):
            try:
                explainer = onnxdtd.Explainer(str(path), method, engine, input_range=span)
                found = in_turns(partial(explainer, x), forward)
            except onnxdtd.OnnxdtdError as error:
                print(f"{name}: no {method}: {error}", file=sys.stderr)
                break
            if method in onnxdtd.METHODS:
                found["multiplications"] = multiplications(explainer)
            methods.setdefault(method, {})[engine] = found
            told = "{seconds:.4g} s, {forwards:.2f} [{least:.2f}, {most:.2f}] forward passes".format(**found)
            print(f"{name} x{batch} {method} {engine} {told}", file=sys.stderr)
    case = Case.of(str(path), front, x, 0, None, 60, None, 0, [Target()])
    for method, entry in onnxdtd.NEIGHBOURS.items() if many and neighbours else ():
        if entry.installed:
            ask = case.asker(method, {}, "numpy")
            alone = fastest(forward)
            began = time.perf_counter()
            try:
                cell = ask(0)
            except onnxdtd.OnnxdtdError as error:
                print(f"{name}: no {method}: {error}", file=sys.stderr)
                continue
            seconds = time.perf_counter() - began
            told = {"seconds": seconds, "forward_s": alone, "forwards": seconds / alone}
            methods[method] = {"other": told | {"predictions": cell.extras["predictions"]}}
            print(f"{name} {method} {methods[method]}", file=sys.stderr)
    forwards = [found["forward_s"] for engines in methods.values() for found in engines.values()]
    return {"model": name, "batch": batch, "forward_s": min(forwards), "methods": methods}


def multiplications(explainer: onnxdtd.Explainer) -> float:
    """Of an explanation over those of the forward pass in it: what its time would be, were there nothing else."""
    found = cost(explainer.plan())
    return 1 + found.walk / found.forward


def profile(name: str, method: str, rounds: int = 12) -> dict[str, Any]:
    """Milliseconds of the walk by op (its fastest round), beside onnxruntime's forward pass with all activations."""
    path = MODELS / f"{name}.onnx"
    prepare = Preprocess.from_metadata(load(str(path)).metadata)
    explainer = onnxdtd.Explainer(str(path), method, input_range=prepare.input_range if prepare else None)
    x = read_inputs(MODELS / CASES[name], explainer.inputs, prepare)
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


def spread(found: dict[str, float]) -> str:
    """Forward passes, and the turns from the least to the most."""
    digits = 0 if found["forwards"] >= 100 else 1
    best, least, most = (f"{found[key]:,.{digits}f}" for key in ("forwards", "least", "most"))
    return f"{best} ({least}-{most})"


def page(results: dict[str, Any]) -> str:
    """The tables."""
    lines = [HEAD]
    for case in results["cases"]:
        forward = case["forward_s"]
        batch = f", {case['batch']} at a time" if case["batch"] > 1 else ""
        lines += [f"**{case['model']}{batch}**: forward pass {1000 * forward:.3g} ms", ""]
        lines += ["| method | multiplications | engine numpy | engine onnx |", "| --- | ---: | ---: | ---: |"]
        for method, engines in sorted(
            case["methods"].items(), key=lambda row: next(iter(row[1].values()))["forwards"]
        ):
            cells = [spread(engines[e]) if e in engines else "" for e in ("numpy", "onnx")]
            if other := engines.get("other"):
                cells[0] = f"{other['forwards']:,.0f} ({other['predictions']:,} predictions)"
            arithmetic = next(iter(engines.values())).get("multiplications")
            counted = f"{arithmetic:.1f}" if arithmetic else ""
            lines.append(f"| `{method}` | {counted} | {cells[0]} | {cells[1]} |")
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
