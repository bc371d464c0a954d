"""One attack: files are made, a command is run in a process of its own, and what came of it is judged."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from onnxdtd.cli import (
    audit_job,
    check_job,
    compare_job,
    compile_job,
    evaluate_job,
    inspect_model,
    main,
    roots_job,
    run_job,
)
from tools.fuzz.files import options, write_input, write_result, write_settings
from tools.fuzz.models import changed, damaged
from tools.fuzz.words import pick
from tools.paths import MODELS

MODEL, INPUT = MODELS / "wine_mlp.onnx", MODELS / "wine_sample.npy"
COMMANDS = ("run", "run", "run", "check", "inspect", "audit", "compare", "compile", "roots", "evaluate")
CLASSES = ("model bytes", "model fields", "input", "settings", "options", "folder")
CODES = (0, 2, 3, 4, 5, 6)
LOADED = (audit_job, check_job, compare_job, compile_job, evaluate_job, inspect_model, roots_job, run_job)
"""Imported here once, so that no child has to."""
SECONDS, MEMORY = 60, 6 * 2**30


@dataclass(frozen=True)
class Outcome:
    """What a command did. code: None where it was stopped. faults: what is wrong with that."""

    kind: str
    command: str
    code: int | None
    seconds: float
    faults: tuple[str, ...]
    told: str


def words_for(kind: str, folder: Path, rng: np.random.Generator) -> list[str]:
    """The files in the folder, and the command."""
    model, given, more = folder / "m.onnx", INPUT, list[str]()
    content = MODEL.read_bytes()
    if kind == "model bytes":
        content = damaged(content, rng)
    elif kind == "model fields":
        content = changed(onnx.load_from_string(content), rng)
    elif kind == "input":
        given = write_input(folder, INPUT, rng)
    elif kind == "settings":
        more = write_settings(folder, rng)
    elif kind == "options":
        (folder / "ring").symlink_to("ring")
        more = options(rng)
    else:
        write_result(folder, rng)
    model.write_bytes(content)
    command = pick(rng, COMMANDS)
    words = [command, str(model)]
    if command in ("run", "audit", "compare", "roots", "evaluate"):
        words.append(str(given))
    if command == "run" and rng.random() < 0.5:
        words += ["--engine", pick(rng, ("onnx", "auto"))]
    if command == "compare":
        words += ["-m", "dtd", "-m", "gradient"]
    if command == "roots":
        words += ["--node", pick(rng, [node.name for node in onnx.load(MODEL).graph.node])]
    if command == "compile":
        words.append("e.onnx")
    return [*words, *more]


def attack(kind: str, seed: int) -> Outcome:
    """Run one in a child process, with limits of time and memory. Without fork: Unix only."""
    rng, before = np.random.default_rng(seed), Path.cwd()
    folder = Path(tempfile.mkdtemp(prefix="onnxdtd-fuzz-"))
    try:
        work = folder / "work"
        work.mkdir()
        os.chdir(work)
        words = words_for(kind, work, rng)
        start = time.monotonic()
        pid = os.fork()
        if not pid:
            _child(words, folder)
        code = _wait(pid, start + SECONDS)
        told = (folder / "out").read_bytes() + (folder / "err").read_bytes()
        faults = tuple(_faults(code, told, folder))
        return Outcome(
            kind, words[0], code, time.monotonic() - start, faults, told.decode("utf-8", "replace")
        )
    finally:
        os.chdir(before)
        shutil.rmtree(folder, ignore_errors=True)


def _child(words: list[str], folder: Path) -> None:
    code = 99
    try:
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT), number)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        code = main(words)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _wait(pid: int, end: float) -> int | None:
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


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
    if {path.name for path in folder.iterdir()} - {"work", "out", "err"}:
        faults.append("outside the folder")
    return faults
