"""How the time before an explanation grows with the nodes: seconds per node to load, canonise, plan and compile.

    python -m tools.bench.nodes [--patterns dense,lstm] [--sizes 250,1000,4000]

Linear time means that a node takes as long in a long graph as in a short one: the ratio is that of the last size to
the first, and at most 2.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from onnxdtd.compiled.trace import compile_plan
from onnxdtd.model.canonise import canonise
from onnxdtd.model.graph import Graph
from onnxdtd.model.load import load
from onnxdtd.plan.cost import cost
from onnxdtd.plan.plan import Plan, make_plan
from tools.bench.long_graphs import PATTERNS, long_graph

SIZES = (250, 1000, 4000)
SHAPES = ("relus", "dense", "stages", "forks", "first_layers", "attention", "lstm")
METHOD = "dtd"
REPEATS = 2
LIMIT = 2.0


def planned(graph: Graph) -> Plan:
    """The plan, with what it costs."""
    plan = make_plan(graph, METHOD, input_range=(0.0, 1.0))
    cost(plan)
    return plan


STEPS: dict[str, Callable[[Any], Any]] = {
    "load": load, "canonise": canonise, "plan": planned, "compile": compile_plan
}  # fmt: skip


def seconds(model: Any) -> dict[str, float]:
    """Of each step, the fastest of some runs."""
    fastest: dict[str, float] = {}
    for _ in range(REPEATS):
        made = model
        for name, step in STEPS.items():
            gc.collect()
            start = time.perf_counter()
            made = step(made)
            fastest[name] = min(fastest.get(name, float("inf")), time.perf_counter() - start)
    return fastest


def by_nodes(
    patterns: Sequence[str] = SHAPES, sizes: Sequence[int] = SIZES, file: Any = sys.stderr
) -> dict[str, Any]:
    """Seconds per node of each step at each size, a row for each pattern, printed as they come in microseconds."""
    heads = [f"{name} {size}" for name in STEPS for size in sizes]
    print(f"{'us per node':<14}", *(f"{head:>13}" for head in heads), "  ratios", file=file)
    rows = []
    for pattern in patterns:
        per_node: dict[str, list[float]] = {name: [] for name in STEPS}
        counts = []
        for size in sizes:
            model = long_graph(pattern, size)
            counts.append(len(model.graph.node))
            for name, taken in seconds(model).items():
                per_node[name].append(round(taken / counts[-1], 7))
        ratios = {name: round(values[-1] / values[0], 2) for name, values in per_node.items()}
        cells = [f"{1e6 * value:>13.0f}" for values in per_node.values() for value in values]
        print(f"{pattern:<14}", *cells, " ", *ratios.values(), file=file)
        rows.append({"pattern": pattern, "nodes": counts, "seconds_per_node": per_node, "ratios": ratios})
    return {"method": METHOD, "limit": LIMIT, "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.nodes", description=__doc__.splitlines()[0])
    parser.add_argument("--patterns", default=",".join(SHAPES), help=f"some of {', '.join(PATTERNS)}")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    options = parser.parse_args()
    report = by_nodes(options.patterns.split(","), [int(n) for n in options.sizes.split(",")], sys.stdout)
    slow = [f"{row['pattern']}: {name} {ratio}" for row in report["rows"]
            for name, ratio in row["ratios"].items() if ratio > LIMIT]  # fmt: skip
    if slow:
        raise SystemExit(f"more than {LIMIT} times as long per node: {', '.join(slow)}")


if __name__ == "__main__":
    main()
