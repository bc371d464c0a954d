"""Rows per second of `batch` beside the bare forward pass and the explainer alone, its memory, what going on costs.

    python -m tools.bench.batch [--digits 5000] [--crops 300] [--rounds 3] [--ray] [--out FILE.json]
    python -m tools.tables                               # docs/scale.md from the JSON

Writes one JSON file (docs/figures/batch.json). Digits of mnist_cnn, and crops of one photograph through
EfficientNet-Lite0; of the crops also a folder of PNG files. Forward pass and explainer take the same rows in passes
of as many as `batch` takes, and the explainer one by one, too; all of it on one thread, then on all cores. Each job
and each measurement is a process of its own, so that peaks are its own; they take turns `--rounds` times, of which
the fastest counts. Rates are told by the times of the shards, from the first of each worker on, which starts the
sessions.

--ray: the same rows once more on a Ray cluster of this machine's cores, half of them begun here, and how far rows are
apart, as a part of the largest relevance: sessions with other numbers of threads add up in another order. Needs an
idle machine; about 6 minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image
from pyarrow import parquet

import onnxdtd
from onnxdtd.each import MOST_ELEMENTS, MOST_ROWS
from tools.bench.__main__ import machine
from tools.paths import FIGURES, MODELS

SHARD = {"mnist_cnn": 256, "efficientnet_lite0": 16}
SINGLE = {"mnist_cnn": 400, "efficientnet_lite0": 24}
"""Rows that are explained one by one."""
PASSES = 32
"""Passes of the forward pass and of the explainer, at most."""


def digits(count: int) -> np.ndarray:
    """(count, 1, 28, 28): held-out digits, over and over with a little noise."""
    images = np.load(MODELS / "mnist_heldout.npz")["images"].astype(np.float32) / 255
    noise = np.random.default_rng(0).uniform(0, 0.05, (count, 28, 28))
    return np.clip(np.resize(images, (count, 28, 28)) + noise, 0, 1)[:, None].astype(np.float32)


def crops(count: int) -> list[Image.Image]:
    """Crops of a photograph, as large as the model's pictures."""
    rng = np.random.default_rng(0)
    picture = Image.open(MODELS / "chelsea.png").convert("RGB")
    made = []
    for _ in range(count):
        side = int(rng.integers(140, min(picture.size)))
        left, top = (int(rng.integers(0, whole - side + 1)) for whole in picture.size)
        made.append(picture.crop((left, top, left + side, top + side)).resize((224, 224)))
    return made


def passes(x: np.ndarray) -> int:
    """Rows of one pass, as `batch` takes them."""
    return int(min(MOST_ROWS, MOST_ELEMENTS // x[0].size))


def alone(model: Path, data: Path) -> dict[str, float]:
    """Rows per second of the bare forward pass and of the compiled explainer, in passes and one by one."""
    x = np.load(data, mmap_mode="r")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("ONNXDTD_THREADS", 0))
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    name, explainer = session.get_inputs()[0].name, onnxdtd.Explainer(model, engine="onnx")

    def forward(part: np.ndarray) -> object:
        return session.run(None, {name: part})

    def rate(call: Callable[[np.ndarray], object], rows: int, count: int) -> float:
        parts = [np.ascontiguousarray(x[i : i + rows]) for i in range(0, max(count - rows, 0) + 1, rows)]
        for part in parts[:2]:
            call(part)
        began = time.perf_counter()
        for part in parts:
            call(part)
        return len(parts) * rows / (time.perf_counter() - began)

    count, single = min(len(x), PASSES * passes(x)), SINGLE[model.stem]
    return {
        "forward": rate(forward, passes(x), count),
        "explainer, one by one": rate(explainer, 1, single),
        "explainer": rate(explainer, passes(x), count),
    }


def job(model: Path, data: Path, out: Path, workers: int, ray: bool, limit: int | None) -> dict[str, float]:
    """One job in this process: rows per second past the first shards, the seconds of the whole, the peak in MB."""
    began, clock = time.time(), time.perf_counter()
    onnxdtd.batch(
        model, data, out, engine="onnx", shard_rows=SHARD[model.stem], workers=workers, limit=limit,
        ray="local" if ray else None,
    )  # fmt: skip
    seconds = time.perf_counter() - clock
    own, children = (
        resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return {"rate": written_rate(out, began, workers), "seconds": seconds, "mb": max(own, children) / 1024}


def written_rate(out: Path, began: float, workers: int) -> float:
    """Rows per second of the shards that were written since, from the first of each worker on."""
    times = {path: path.stat().st_mtime for path in (out / "shards").glob("*.parquet")}
    fresh = sorted((time, path) for path, time in times.items() if time > began)
    if len(fresh) <= workers:
        return 0.0
    rows = sum(parquet.read_metadata(path).num_rows for _, path in fresh[workers:])
    return rows / (fresh[-1][0] - fresh[workers - 1][0])


def asked(*words: Any, threads: int | None = None) -> dict[str, Any]:
    """The answer of this tool in a process of its own, its sessions with so many threads, else one for each core."""
    command = [sys.executable, "-m", "tools.bench.batch", *map(str, words)]
    environment = {name: value for name, value in os.environ.items() if name != "ONNXDTD_THREADS"}
    stated = {} if threads is None else {"ONNXDTD_THREADS": str(threads)}
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, env={**environment, **stated}
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def apart(one: Path, other: Path) -> float:
    """How far the rows of two jobs are apart, the ids in the same order."""
    difference = largest = 0.0
    for a, b in zip(onnxdtd.Results(one), onnxdtd.Results(other), strict=True):
        assert a["id"] == b["id"]
        for name, r in a["relevance"].items():
            difference = max(difference, float(np.abs(r - b["relevance"][name]).max()))
            largest = max(largest, float(np.abs(r).max()))
    return difference / largest


def measured(stem: str, pictures: list[Image.Image] | np.ndarray, rounds: int, ray: bool) -> dict[str, Any]:
    """The figures of one model."""
    model = MODELS / f"{stem}.onnx"
    with tempfile.TemporaryDirectory() as directory:
        folder, files = Path(directory), None
        if isinstance(pictures, list):
            files = folder / "crops"
            files.mkdir()
            prepare = onnxdtd.Explainer(model).preprocess
            for i, picture in enumerate(pictures):
                picture.save(files / f"{i:04d}.png")
            pictures = np.concatenate([prepare(picture) for picture in pictures])
        rows, x = len(pictures), folder / "rows.npy"
        np.save(x, pictures)
        numbers = iter(range(10**6))

        def run(workers: int, *words: Any, data: Path = x, threads: int | None = None) -> dict[str, Any]:
            out = folder / f"job-{next(numbers)}"
            return {
                **asked("--job", model, data, out, "--workers", workers, *words, threads=threads),
                "out": out,
            }

        rates: dict[str, dict[str, float]] = {"one thread": {}, "all cores": {}}
        for _ in range(rounds):
            for where, threads in (("one thread", 1), ("all cores", None)):
                here = asked("--alone", model, x, threads=threads)
                one = run(1, threads=threads)
                here["batch, 1 worker"] = one["rate"]
                if threads is None:
                    two = run(2)
                    here["batch, 2 workers"] = two["rate"]
                if threads is None and files is not None:
                    here["batch, 1 worker, PNG files"] = run(1, data=files)["rate"]
                for name, rate in here.items():
                    rates[where][name] = max(rate, rates[where].get(name, 0.0))
        few = run(1, "--limit", rows // 5)
        again = asked("--job", model, x, one["out"], "--workers", 1)
        figures = {
            "model": stem, "rows": rows, "pass": passes(pictures), "rates": rates,
            "peak_mb": {str(rows // 5): few["mb"], str(rows): one["mb"]}, "again_seconds": again["seconds"],
            "seconds": {"1 worker": one["seconds"], "2 workers": two["seconds"]},
            "apart": apart(one["out"], two["out"]),
        }  # fmt: skip
        if ray:
            half = run(1, "--limit", rows // 2)
            rest = asked("--job", model, x, half["out"], "--workers", 2, "--ray")
            figures["ray"] = {
                "rate": rest["rate"], "seconds": rest["seconds"], "apart": apart(one["out"], half["out"])
            }  # fmt: skip
    return figures


def main() -> None:
    """Measure, or do one job and print what it took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--digits", type=int, default=5000)
    parser.add_argument("--crops", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--out", type=Path, default=FIGURES / "batch.json")
    parser.add_argument("--job", nargs=3, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--alone", nargs=2, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--limit", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        print(json.dumps(alone(*options.alone)))
        return
    if options.job:
        print(json.dumps(job(*options.job, options.workers, options.ray, options.limit)))
        return
    jobs = [("mnist_cnn", digits(options.digits)), ("efficientnet_lite0", crops(options.crops))]
    cases = [measured(stem, pictures, options.rounds, options.ray) for stem, pictures in jobs]
    options.out.write_text(json.dumps({"machine": machine(0), "cases": cases}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
