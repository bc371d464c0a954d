"""The time of an explained recurrent cell, in forward passes of onnxruntime, on both engines.

    python -m tools.bench.cells [--ops LSTM,GRU,RNN] [--steps 100,1000] [--out FILE.json]

A bidirectional cell of 64 inputs and 128 hidden units, one sample, its mean over time read by a dense layer. All take
turns in one run; a ratio is fastest over fastest. onnxruntime's forward pass runs on one thread: a cell of this size
gains nothing from a second.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import onnxdtd

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
INPUTS, HIDDEN, CLASSES = 64, 128, 3
METHODS = ("attnlrp", "gradient")
ENGINES = ("numpy", "onnx")
REPEATS = 6


def network(op: str) -> onnx.ModelProto:
    """Class scores of the mean over time of a bidirectional cell, with weights as torch draws them."""
    random = np.random.default_rng(0)
    bound, gates = HIDDEN**-0.5, GATES[op] * HIDDEN
    shapes = {
        "W": (2, gates, INPUTS),
        "R": (2, gates, HIDDEN),
        "B": (2, 2 * gates),
        "D": (2 * HIDDEN, CLASSES),
    }
    weights = {
        name: random.uniform(-bound, bound, shape).astype(np.float32) for name, shape in shapes.items()
    }
    nodes = [
        helper.make_node(op, ["x", "W", "R", "B"], ["Y"], hidden_size=HIDDEN, direction="bidirectional"),
        helper.make_node("Transpose", ["Y"], ["turned"], perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["turned", "shape"], ["rows"]),
        helper.make_node("ReduceMean", ["rows"], ["mean"], axes=[0], keepdims=0),
        helper.make_node("MatMul", ["mean", "D"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        op,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["T", "N", INPUTS])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", CLASSES])],
        [numpy_helper.from_array(a, name) for name, a in {**weights, "shape": np.array([0, 0, -1])}.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def fastest(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of each call; they take turns, after one call each that is not counted."""
    seconds = dict.fromkeys(calls, float("inf"))
    for turn in range(REPEATS + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if turn:
                seconds[name] = min(seconds[name], time.perf_counter() - start)
    return seconds


def rows(ops: list[str], steps: list[int]) -> list[dict[str, object]]:
    """A row for each cell, method and length, printed as they come."""
    made: list[dict[str, object]] = []
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    for op in ops:
        model = network(op)
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        for method in METHODS:
            explainers = {engine: onnxdtd.Explainer(model, method, engine=engine) for engine in ENGINES}
            for length in steps:
                x = np.random.default_rng(1).normal(size=(length, 1, INPUTS)).astype(np.float32)
                calls = {engine: partial(explain, x, target=0) for engine, explain in explainers.items()}
                seconds = fastest({"forward": partial(session.run, None, {"x": x}), **calls})
                ratios = {engine: round(seconds[engine] / seconds["forward"], 1) for engine in ENGINES}
                made.append(
                    {"op": op, "method": method, "steps": length, "seconds": seconds, "ratios": ratios}
                )
                print(f"{op:<5} {method:<9} {length:>5} steps  forward {1e3 * seconds['forward']:6.2f} ms", *(
                    f"  {engine} {ratio:4.1f}" for engine, ratio in ratios.items()))  # fmt: skip
    return made


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.cells", description=__doc__.splitlines()[0])
    parser.add_argument("--ops", default=",".join(GATES))
    parser.add_argument("--steps", default="100,1000")
    parser.add_argument("--out", type=Path, help="a JSON file for the rows")
    options = parser.parse_args()
    made = rows(options.ops.split(","), [int(length) for length in options.steps.split(",")])
    if options.out:
        options.out.write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()
