"""`evaluate` on several processes: the numbers of one, whatever dies, and the same data as `batch`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from onnxdtd.errors import InputError, UsageError
from onnxdtd.inputs import Preprocess
from onnxdtd.metrics import Evaluation, evaluate
from onnxdtd.workers.hand import Hand
from tests.support.metric_cases import TABLE, WEIGHTS, linear, linear_image
from tests.support.paths import ROOT

ROWS = np.random.default_rng(5).normal(size=(40, 3)).astype(np.float32)


def times_weights(x: Any, target: Any) -> Any:
    """In a module, so that other processes have it, too."""
    return x * WEIGHTS.T[target]


METHODS = {"gradient": "gradient", "random": "random", "mine": times_weights, "array": ROWS}
OPTIONS: dict[str, Any] = {
    "methods": METHODS,
    "resamples": 200,
    "metrics": ["deletion", "stability"],
    "steps": 4,
    "draws": 2,
    "batch": 8,
}


def same(one: Evaluation, other: Evaluation) -> None:
    assert one.document() == other.document()
    for method in one.methods:
        np.testing.assert_array_equal(one.values[method], other.values[method])


def test_two_workers_of_which_one_is_killed_find_what_one_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Data and methods in memory, the documents equal to the last bit."""
    whole = evaluate(linear(WEIGHTS), ROWS, out=tmp_path / "whole", **OPTIONS)
    hands: list[Hand] = []
    start = Hand._start

    def remembered(hand: Hand) -> None:
        start(hand)
        hands.append(hand)

    told: list[int] = []

    def kill(done: int, total: int) -> None:
        told.append(done)
        assert total == 4 * len(ROWS)
        if len(hands) == 2 and hands[1]._process is not None:
            hands[1]._process.kill()

    monkeypatch.setattr(Hand, "_start", remembered)
    result = evaluate(linear(WEIGHTS), ROWS, out=tmp_path / "two", workers=2, progress=kill, **OPTIONS)
    assert len(hands) == 3
    assert (told[-1], told) == (4 * len(ROWS), sorted(told))
    same(result, whole)
    lines = [
        sorted((tmp_path / name / "results.jsonl").read_text().splitlines()) for name in ("two", "whole")
    ]
    assert lines[0] == lines[1]


def test_a_killed_evaluation_goes_on_and_has_one_writer(tmp_path: Path) -> None:
    """Begun by the command line on two workers, finished here on one."""
    np.save(tmp_path / "rows.npy", ROWS)
    onnx.save(linear(WEIGHTS), tmp_path / "net.onnx")
    words = "evaluate net.onnx rows.npy -o out --workers 2 -m gradient,random --metrics deletion,stability --steps 4 "
    process = subprocess.Popen(
        [sys.executable, "-m", "onnxdtd", *words.split(), "--draws", "9", "--batch", "2"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE,
    )  # fmt: skip
    results = tmp_path / "out" / "results.jsonl"
    own = {"methods": ["gradient", "random"], "draws": 9, "batch": 2, "engine": "auto", "resamples": 2000}
    options = {**OPTIONS, **own}
    while process.poll() is None and not (results.exists() and len(results.read_bytes().splitlines()) > 4):
        time.sleep(0.002)
    with pytest.raises(UsageError, match=f"is being written by process {process.pid}"):
        evaluate(tmp_path / "net.onnx", tmp_path / "rows.npy", out=tmp_path / "out", **options)
    process.send_signal(signal.SIGKILL)
    _, err = process.communicate()
    assert (process.returncode, err) == (-signal.SIGKILL, b"")
    assert 4 < len(results.read_bytes().splitlines()) < 2 * len(ROWS)
    rest = evaluate(tmp_path / "net.onnx", tmp_path / "rows.npy", out=tmp_path / "out", **options)
    same(rest, evaluate(tmp_path / "net.onnx", tmp_path / "rows.npy", out=tmp_path / "whole", **options))


def test_what_other_processes_cannot_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function without a name that they could find, or in a module that only this process has."""

    def of_a_script(x: Any, target: Any) -> Any:
        return x

    options: dict[str, Any] = {"metrics": "sparseness", "workers": 2}
    with pytest.raises(UsageError, match="cannot be handed to other processes, take one worker"):
        evaluate(linear(WEIGHTS), TABLE, {"f": of_a_script}, **options)
    script = ModuleType("of_a_script")
    script.f = of_a_script  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "of_a_script", script)
    of_a_script.__module__, of_a_script.__qualname__ = "of_a_script", "f"
    with pytest.raises(UsageError, match=r"No module named 'of_a_script'\): put functions .* into a module"):
        evaluate(linear(WEIGHTS), TABLE, {"f": of_a_script}, **options)
    with pytest.raises(UsageError, match="workers is a number of 1 or more, not 0"):
        evaluate(linear(WEIGHTS), TABLE, workers=0)
    with pytest.raises(UsageError, match="workers are at most 10,000, not 2,147,483,648"):
        evaluate(linear(WEIGHTS), TABLE, workers=2**31)


def test_workers_that_the_system_has_no_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The third thread is refused: the two before it end, and a line says what mends it."""
    start, started = threading.Thread.start, list[threading.Thread]()

    def limited(thread: threading.Thread) -> None:
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    with pytest.raises(UsageError, match="the system starts 2 of 5 workers, not more: take fewer"):
        evaluate(linear(WEIGHTS), TABLE, metrics="sparseness", workers=5)
    assert not any(thread.is_alive() for thread in started)


def test_labels_are_numbers_or_names_of_classes_wherever_they_stand(tmp_path: Path) -> None:
    """A table's column, sub-folders of pictures, through a list of files; a name that no class has is told."""
    (tmp_path / "table.csv").write_text("a,b,c,label\n1,1,1,dog\n-1,1,3,cat\n")
    np.savez(tmp_path / "numbers.npz", x=TABLE, labels=[1, 0])
    model = linear(WEIGHTS)
    model.metadata_props.add(key="onnxdtd.labels", value=json.dumps(["cat", "dog"]))
    results = [
        evaluate(model, tmp_path / name, "gradient_x_input", target="label", metrics="sparseness")
        for name in ("table.csv", "numbers.npz")
    ]
    same(*results)
    picture = linear_image(np.random.default_rng(0).standard_normal((2, 3, 4, 4)))
    picture.metadata_props.add(key="onnxdtd.labels", value=json.dumps(["cat", "dog"]))
    for name in ("dog", "cat", "1"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (4, 4), (9, 9, 99)).save(tmp_path / "photos" / name / "0.png")
    (tmp_path / "list.txt").write_text("photos/dog/0.png\nphotos/cat/0.png\n")
    for data, classes in (("photos", [1, 0, 1]), ("list.txt", [1, 0])):
        evaluate(
            picture, tmp_path / data, "gradient", target="label", metrics="sparseness", out=tmp_path / f"{data}-out",
            preprocess=Preprocess(scale=1 / 255),
        )  # fmt: skip
        lines = (tmp_path / f"{data}-out" / "results.jsonl").read_text().splitlines()
        assert [json.loads(line)["target"] for line in lines] == classes
    (tmp_path / "table.csv").write_text("a,b,c,label\n1,1,1,cow\n")
    with pytest.raises(
        InputError,
        match=r"label 'cow' of 'table\.csv' is no number, and no class of the model is called so; they are cat, dog",
    ):
        evaluate(model, tmp_path / "table.csv", "gradient", target="label", metrics="sparseness")
    with pytest.raises(UsageError, match="reads its data more than once"):
        evaluate(model, iter([("a", TABLE[0])]), "gradient")
