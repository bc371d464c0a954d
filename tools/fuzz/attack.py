"""One hostile command in a process of its own, and whether it ended as it must."""

from __future__ import annotations

import gc
import importlib
import os
import pkgutil
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import typer

import onnxdtd.cli
from onnxdtd.cli import application, main
from tools.fuzz.files import damage_one, options, write_input, write_result, write_settings
from tools.fuzz.models import changed, damaged
from tools.fuzz.words import FIGURES, TEXTS, pick
from tools.paths import MODELS, ROOT

MODEL, INPUT = MODELS / "wine_mlp.onnx", MODELS / "wine_sample.npy"
ON_INPUT = ("run", "report", "annotate", "audit", "batch", "compare", "evaluate", "roots")
ON_MODEL = ("check", "inspect", "compile")
ON_BATCH = ("summary", "cluster", "concepts")
COMMANDS = (*ON_INPUT, *ON_MODEL, *ON_BATCH, "demo")
CLASSES = (
    "model bytes", "model fields", "input", "settings", "options", "numbers", "folder", "result", "batch", "cache",
)  # fmt: skip
CODES = (0, 2, 3, 4, 5, 6)
SECONDS, MEMORY = 60, 6 * 2**30
INSIDE = {"work", "out", "err", "cache"}
CACHE = "ONNXDTD_CACHE"
HEAVY = (
    "onnx.reference.ops._op_list", "matplotlib.backends.backend_agg", "matplotlib.figure", "PIL.Image", "pandas",
    "pyarrow.parquet",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What a command did. code: None where it was stopped. peak: bytes. faults: what is wrong with that."""

    kind: str
    command: str
    code: int | None
    seconds: float
    peak: int
    faults: tuple[str, ...]
    told: str


def words_for(kind: str, folder: Path, rng: np.random.Generator) -> list[str]:
    """The files in the folder, and the command."""
    model, given, more = folder / "m.onnx", INPUT, list[str]()
    content, command = MODEL.read_bytes(), pick(rng, COMMANDS)
    if kind in ("model bytes", "model fields"):
        command = pick(rng, ON_INPUT + ON_MODEL)
        hostile = (
            damaged(content, rng) if kind == "model bytes" else changed(onnx.load_from_string(content), rng)
        )
        content = hostile
    elif kind == "input":
        command, given = pick(rng, ON_INPUT), write_input(folder, INPUT, rng)
    elif kind == "settings":
        command, more = pick(rng, ON_INPUT), write_settings(folder, rng)
    elif kind == "options":
        (folder / "ring").symlink_to("ring")
        command, more = (command, options(rng)) if rng.random() < 0.5 else _any_option(command, rng)
    elif kind == "numbers":
        command, more = _number(rng)
    elif kind == "folder":
        write_result(folder, rng)
    elif kind == "result":
        damage_one(shutil.copytree(good() / "result", folder / "r"), rng)
        model.write_bytes(content)
        return ["report", str(folder / "r"), "-o", str(folder / "page.html")]
    elif kind == "batch":
        command = pick(rng, (*ON_BATCH, "batch"))
        there = folder / ("onnxdtd-batch" if command == "batch" else "b")
        damage_one(shutil.copytree(good() / "batch", there), rng)
    else:
        command, more = pick(rng, ("run", "compare")), ["--engine", "onnx"]
    model.write_bytes(content)
    return [*_words(command, folder, given, rng), *more]


def _words(command: str, folder: Path, given: Path, rng: np.random.Generator) -> list[str]:
    """The command with what it must have."""
    if command == "demo":
        return [command]
    if command in ON_BATCH:
        there = folder / "b"
        if not there.exists():
            shutil.copytree(good() / "batch", there)
        return [command, str(there)]
    words = [command, str(folder / "m.onnx"), *([str(given)] if command in ON_INPUT else [])]
    if command == "run" and rng.random() < 0.4:
        words += ["--engine", pick(rng, ("onnx", "auto"))]
    if command == "compare":
        words += ["-m", "dtd", "-m", "gradient"]
    if command == "roots":
        words += ["--node", pick(rng, [node.name for node in onnx.load(MODEL).graph.node])]
    if command in ("compile", "annotate"):
        words += ["-o", "e.onnx"]
    return words


@cache
def _options(command: str) -> dict[str, Any]:
    """The options of a command that take a value, by name."""
    parameters = typer.main.get_command(application()).commands[command].params  # type: ignore[attr-defined]
    return {max(p.opts, key=len): p for p in parameters if p.param_type_name == "option" and not p.is_flag}


def _numeric(command: str) -> list[str]:
    """The options that take numbers, by how Typer's help and click call their type."""
    kinds = {name: option.type.name for name, option in _options(command).items()}
    return [name for name, kind in kinds.items() if kind.startswith(("int", "float"))]


def _number(rng: np.random.Generator) -> tuple[str, list[str]]:
    """A command and one or two of its options of numbers, with numbers that none expects."""
    command = pick(rng, [c for c in COMMANDS if len(_numeric(c)) > 2])
    if "--set" in _options(command) and rng.random() < 0.5:
        choices = ("smoothgrad", "samples"), ("integrated_gradients", "steps"), ("occlusion", "patch")
        method, name = pick(rng, choices)
        dotted = f"{method}.{name}" if command == "compare" else name
        return command, ["-m", method, "--set", f"{dotted}={pick(rng, FIGURES)}"]
    words: list[str] = []
    for _ in range(int(rng.integers(1, 3))):
        name = pick(rng, _numeric(command))
        words += [name, *(pick(rng, FIGURES) for _ in range(_options(command)[name].nargs))]
    return command, words


def _any_option(command: str, rng: np.random.Generator) -> tuple[str, list[str]]:
    """Any option with a text that does not fit."""
    name = pick(rng, list(_options(command)))
    texts = [text for text in TEXTS if "\0" not in text]
    return command, [name, *(pick(rng, texts) for _ in range(_options(command)[name].nargs))]


@cache
def good() -> Path:
    """Results without a fault, which are copied and damaged: made by processes of their own. A fork of this one would
    wait for ever for threads of the sessions that it holds, which the fork does not have."""
    ours = sorted(f"onnxdtd.cli.{module.name}" for module in pkgutil.iter_modules(onnxdtd.cli.__path__))
    for name in (*ours, *HEAVY):
        with suppress(ImportError):  # of an extra
            importlib.import_module(name)  # once, so that no child has to
    place = Path(tempfile.mkdtemp(prefix="onnxdtd-fuzz-good-"))
    rows = np.repeat(np.load(INPUT), 4, 0) * np.linspace(0.9, 1.1, 4)[:, None]
    np.save(place / "rows.npy", rows.astype(np.float32))
    settings = {**os.environ, CACHE: str(place / "cache"), "PYTHONPATH": str(ROOT)}
    for words in (
        ["run", str(MODEL), str(INPUT), "--engine", "onnx", "-o", str(place / "result")],
        ["batch", str(MODEL), str(place / "rows.npy"), "-o", str(place / "batch")],
    ):
        command = [sys.executable, "-m", "onnxdtd", *words]
        subprocess.run(command, env=settings, check=True, capture_output=True, timeout=600)
    return place


def attack(kind: str, seed: int) -> Outcome:
    """Run one in a child process, with limits of time and memory. Without fork: Unix only."""
    rng, before = np.random.default_rng(seed), Path.cwd()
    folder = Path(tempfile.mkdtemp(prefix="onnxdtd-fuzz-"))
    try:
        work = folder / "work"
        work.mkdir()
        os.chdir(work)
        if kind == "cache":
            damage_one(shutil.copytree(good() / "cache", folder / "cache"), rng)
        words = words_for(kind, work, rng)
        start = time.monotonic()
        gc.freeze()  # a fork that ends a session of ours waits for ever for threads that it does not have
        pid = os.fork()
        if not pid:
            _child(words, folder)
        gc.unfreeze()
        busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))  # other work makes everything take longer
        code, peak = _wait(pid, start + SECONDS * busy)
        told = (folder / "out").read_bytes() + (folder / "err").read_bytes()
        faults = tuple(_faults(code, told, folder))
        text = f"{words}\n" + told.decode("utf-8", "replace")
        return Outcome(kind, words[0], code, time.monotonic() - start, peak, faults, text)
    finally:
        os.chdir(before)
        shutil.rmtree(folder, ignore_errors=True)


def _child(words: list[str], folder: Path) -> None:
    code = 99
    try:
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT), number)
        os.environ[CACHE] = str(folder / "cache")
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        code = main(words)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _wait(pid: int, end: float) -> tuple[int | None, int]:
    """The exit code, None after the time is over, and the most memory it had."""
    while time.monotonic() < end:
        done, status, usage = os.wait4(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    return None, os.wait4(pid, 0)[2].ru_maxrss * 1024


def _faults(code: int | None, told: bytes, folder: Path) -> list[str]:
    faults = []
    if code not in CODES:
        faults.append("hangs" if code is None else f"exit {code}")
    if b"Traceback" in told:
        faults.append("traceback")
    if any((c < 32 and c != 10) or c == 127 for c in told):
        faults.append("control characters")
    if any(path.name.startswith(".") for path in (folder / "work").iterdir()):
        faults.append("half-written")
    if {path.name for path in folder.iterdir()} - INSIDE:
        faults.append("outside the folder")
    return faults
