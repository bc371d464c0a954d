"""What `auto` takes against the better engine, for a model's first 1, 3, 10 and 100 samples.

    python -m tools.bench.auto [--samples 1,3,10,100]

Seconds from the making of an explainer of a model that is read already until all are explained, by one call for each
sample, and by one for all. Each time is taken by a process of its own, in which both engines have explained another
model, and without a cache on disk: nothing of this one is compiled. Engines take turns; the fastest turn counts.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from onnxdtd import Explainer
from onnxdtd.calls import Engine
from onnxdtd.loaded import Loaded
from tools.paths import MODELS

NETWORKS = {
    "digit CNN": ("mnist_cnn.onnx", (1, 28, 28)),
    "digit ResNet": ("mnist_resnet.onnx", (1, 28, 28)),
    "EfficientNet-Lite0": ("efficientnet_lite0.onnx", (3, 224, 224)),
}
OTHER = "wine_mlp.onnx"
ENGINES: tuple[Engine, ...] = ("numpy", "onnx", "auto")
METHOD, TURNS = "epsilon_plus", 3


def seconds(path: str, shape: tuple[int, ...], count: int, together: bool, engine: Engine) -> float:
    """Until so many samples of this shape are explained."""
    for other in ENGINES:  # what is imported late is imported now
        Explainer(MODELS / OTHER, METHOD, other, cache_dir=False)(np.ones((1, 13), np.float32))
    x = np.random.default_rng(0).random((count, *shape), np.float32)
    loaded = Loaded(MODELS / path)
    start = time.perf_counter()
    explainer = Explainer(loaded, METHOD, engine, cache_dir=False)
    for part in [x] if together else np.split(x, count):
        explainer(part, target=0)
    return time.perf_counter() - start


def fastest(path: str, shape: tuple[int, ...], count: int, together: bool) -> dict[Engine, float]:
    """The fastest turn of each engine, in seconds."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh, max_tasks_per_child=1) as pool:
        turns = [
            (engine, pool.submit(seconds, path, shape, count, together, engine).result())
            for _ in range(TURNS)
            for engine in ENGINES
        ]
    return {engine: min(took for own, took in turns if own == engine) for engine in ENGINES}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each network and number of samples."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", default="1,3,10,100")
    counts = [int(count) for count in parser.parse_args(arguments).samples.split(",")]
    print("network             samples  calls  numpy s   onnx s   auto s   ratio")
    for name, (path, shape) in NETWORKS.items():
        for count in counts:
            for together in (True, False)[: min(count, 2)]:
                took = fastest(path, shape, count, together)
                ratio = took["auto"] / min(took["numpy"], took["onnx"])
                times = "".join(f"{took[engine]:9.3f}" for engine in ENGINES)
                print(f"{name:20s}{count:7d}{1 if together else count:7d}{times}{ratio:8.2f}", flush=True)


if __name__ == "__main__":
    main()
