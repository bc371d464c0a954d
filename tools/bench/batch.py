"""Rows per second of `batch` beside the bare forward pass and the explainer alone, its memory, what going on costs.

    python -m tools.bench.batch [--digits 5000] [--crops 300] [--ray]

Digits of mnist_cnn, and crops of one photograph through EfficientNet-Lite0. Every job runs in a process of its own,
one after the other, so that peaks are its own; rates are past the first shard, which starts the sessions. --ray: the
same rows once more on a Ray cluster of this machine's cores, half of them begun here, and how far rows are apart, as
a part of the largest relevance: sessions with other numbers of threads add up in another order.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image

import onnxdtd
from tools.paths import MODELS

SHARD = {"mnist_cnn": 256, "efficientnet_lite0": 16}
TOGETHER = {"mnist_cnn": 64, "efficientnet_lite0": 3}
"""Rows of one pass, as `batch` takes them."""


def digits(count: int) -> np.ndarray:
    """(count, 1, 28, 28): held-out digits, over and over with a little noise."""
    images = np.load(MODELS / "mnist_heldout.npz")["images"].astype(np.float32) / 255
    noise = np.random.default_rng(0).uniform(0, 0.05, (count, 28, 28))
    return np.clip(np.resize(images, (count, 28, 28)) + noise, 0, 1)[:, None].astype(np.float32)


def crops(count: int) -> np.ndarray:
    """(count, 224, 224, 3) or (count, 3, 224, 224), as the model's metadata say: crops of a photograph."""
    rng = np.random.default_rng(0)
    picture = Image.open(MODELS / "chelsea.png").convert("RGB")
    prepare = onnxdtd.Explainer(MODELS / "efficientnet_lite0.onnx").preprocess
    rows = []
    for _ in range(count):
        side = int(rng.integers(140, min(picture.size)))
        left, top = (int(rng.integers(0, whole - side + 1)) for whole in picture.size)
        rows.append(prepare(picture.crop((left, top, left + side, top + side)))[0])
    return np.stack(rows)


def alone(model: Path, x: np.ndarray, rows: int) -> dict[str, float]:
    """Rows per second of the bare forward pass and of the compiled explainer, in passes of so many rows."""
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    explainer = onnxdtd.Explainer(model, engine="onnx")
    parts = [x[i : i + rows] for i in range(0, len(x) - rows + 1, rows)]
    rates = {}
    for what, call in (("forward", lambda part: session.run(None, {name: part})), ("explainer", explainer)):
        call(parts[0])
        began = time.perf_counter()
        for part in parts:
            call(part)
        rates[what] = len(parts) * rows / (time.perf_counter() - began)
    return rates


def job(model: Path, data: Path, out: Path, workers: int, ray: bool, limit: int | None) -> dict[str, float]:
    """One job in this process: rows per second past the first shard, the seconds of the whole, the peak in MB."""
    told: list[tuple[float, int]] = []
    began, worked = time.perf_counter(), time.process_time()
    onnxdtd.batch(
        model, data, out, engine="onnx", shard_rows=SHARD[model.stem], workers=workers, limit=limit,
        ray="local" if ray else None, progress=lambda t: told.append((time.perf_counter(), t.done)),
    )  # fmt: skip
    seconds = time.perf_counter() - began
    rate = (told[-1][1] - told[0][1]) / (told[-1][0] - told[0][0]) if len(told) > 1 else 0.0
    own, children = (
        resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    cpu = time.process_time() - worked
    return {"rate": rate, "seconds": seconds, "cpu": cpu, "mb": max(own, children) / 1024}


def asked(*words: Any) -> dict[str, float]:
    """The answer of this tool in a process of its own."""
    command = [sys.executable, "-m", "tools.bench.batch", *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def apart(one: Path, other: Path) -> str:
    """How far the rows of two jobs are apart, the ids in the same order."""
    difference = largest = 0.0
    for a, b in zip(onnxdtd.Results(one), onnxdtd.Results(other), strict=True):
        assert a["id"] == b["id"]
        for name, r in a["relevance"].items():
            difference = max(difference, float(np.abs(r - b["relevance"][name]).max()))
            largest = max(largest, float(np.abs(r).max()))
    return f"{difference / largest:.1e}"


def measured(stem: str, x: np.ndarray, less: int, ray: bool) -> None:
    """Print the figures of one model. less: rows of the smaller job, whose peak is beside that of all."""
    model = MODELS / f"{stem}.onnx"
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        np.save(folder / "rows.npy", x)

        def run(out: str, workers: int, *words: Any) -> dict[str, float]:
            return asked("--job", model, folder / "rows.npy", folder / out, "--workers", workers, *words)

        print(f"{stem}, {len(x)} rows, passes of {TOGETHER[stem]}")
        one, two = run("one", 1), run("two", 2)
        rates = alone(model, x[: min(len(x), 20 * TOGETHER[stem])], TOGETHER[stem])
        for what, rate in {**rates, "batch, 1 worker": one["rate"], "batch, 2 workers": two["rate"]}.items():
            print(f"  {what:<18}{rate:10.1f} rows/s  {rate / rates['explainer']:.2f} of the explainer")
        few = run("few", 1, "--limit", less)
        print(f"  peak {few['mb']:.0f} MB for {less} rows, {one['mb']:.0f} MB for {len(x)}")
        again = run("one", 1)
        print(
            f"  a finished job looked through again: {again['seconds']:.2f} s, {again['cpu']:.2f} s of one core"
        )
        print(f"  rows of 1 and 2 workers are apart by {apart(folder / 'one', folder / 'two')}")
        if ray:
            run("ray", 1, "--limit", len(x) // 2)
            rest = run("ray", 2, "--ray")
            print(
                f"  Ray, 2 actors, the other half: {rest['rate']:.1f} rows/s, {rest['seconds']:.1f} s in all"
            )
            print(
                f"  rows of half here and half under Ray are apart by {apart(folder / 'one', folder / 'ray')}"
            )


def main() -> None:
    """Measure, or do one job and print what it took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--digits", type=int, default=5000)
    parser.add_argument("--crops", type=int, default=300)
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--job", nargs=3, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--limit", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        print(json.dumps(job(*options.job, options.workers, options.ray, options.limit)))
        return
    if options.digits:
        measured("mnist_cnn", digits(options.digits), options.digits // 5, options.ray)
    if options.crops:
        measured("efficientnet_lite0", crops(options.crops), options.crops // 5, options.ray)


if __name__ == "__main__":
    main()
