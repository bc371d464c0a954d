"""Hostile models, files and options: an answer or a line, never a traceback or a control character; and random graphs
on both engines. Three hundred cases of what `python -m tools.fuzz` tries by the thousand."""

from __future__ import annotations

import contextlib
import io
import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onnxdtd.cli import main
from onnxdtd.errors import OnnxdtdError
from onnxdtd.inputs import read_inputs
from onnxdtd.loaded import Loaded
from onnxdtd.model.load import load
from onnxdtd.model.node import Value
from onnxdtd.ops import OPS
from onnxdtd.plan.target_text import Names, read_target
from tools.fuzz.__main__ import graphs
from tools.fuzz.again import again
from tools.fuzz.attack import CACHE, CODES, MODEL, Outcome, attack, words_for
from tools.fuzz.draft import ML
from tools.fuzz.exact import doubled, in_float64
from tools.fuzz.graphs import Verdict, compare, differences_of, graph, makes_steps, name_of
from tools.fuzz.models import changed, damaged
from tools.fuzz.pieces import ON_PATHS, Key, chances, pieces

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="pipes and processes as Unix has them")
QUICK = ("options", "numbers", "settings", "input", "folder")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.parametrize("seed", range(100))
def test_a_model_with_faults_is_read_or_refused(seed: int) -> None:
    rng, content = np.random.default_rng(seed), MODEL.read_bytes()
    hostile = changed(onnx.load_from_string(content), rng) if seed % 3 else damaged(content, rng)
    with contextlib.suppress(OnnxdtdError):
        load(hostile)


@pytest.mark.parametrize("seed", range(20))
def test_a_command_ends_in_a_line(folder: Path, seed: int) -> None:
    out, err = io.StringIO(), io.StringIO()
    words = words_for(QUICK[seed % len(QUICK)], folder, np.random.default_rng(seed))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    told = out.getvalue() + err.getvalue()
    assert code in CODES, told
    assert "Traceback" not in told
    assert all(c.isprintable() or c == "\n" for c in told)
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300), suffix=st.sampled_from([".npy", ".npz", ".csv", ".pb", ".png"]))
def test_any_bytes_are_an_input_or_refused(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    with contextlib.suppress(OnnxdtdError):
        read_inputs(path, {"x": Value("x", 1, ("N", 3))})


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=40) | st.from_regex(r"[a-z]*:?-?[0-9,:.²]*( - [0-9]+)?", fullmatch=True))
def test_any_text_is_a_target_or_refused(text: str) -> None:
    with contextlib.suppress(OnnxdtdError):
        read_target(text, Names(("y", "box"), ("cat", "dog")))


@pytest.mark.parametrize("seed", [0, 3, 9, 12, 667])
def test_random_graphs_agree(seed: int) -> None:
    assert compare(seed).differences == ()


def test_float64_settles_what_is_rounding() -> None:
    """A difference of a millionth in float32 is one of 1e-12 or less where both engines compute in float64."""
    model, feeds = next((m, f) for m, f, _ in map(graph, range(9, 50)) if not makes_steps(m))
    with in_float64():
        wide = {name: x.astype(np.float64) for name, x in feeds.items()}
        twin = doubled(model)
        exact = dict(differences_of(twin, Loaded(twin), wide, "attnlrp"))
    assert max(exact.values()) < 1e-12


def test_every_operator_on_a_path_is_drawn() -> None:
    """But those that onnxruntime's CPU provider does not run, or that stand in no opset that it knows."""
    drawn = {key for single in (False, True) for keys, _ in chances(single)[2].values() for key in keys}
    assert drawn == set(pieces())
    kinds = {key for key, entry in OPS.items() if entry.kind in ON_PATHS}
    standard = {op for domain, op in kinds - drawn if domain != "com.microsoft"}
    assert standard == {"CausalConvWithState", "LinearAttention", "SwiGLU"}


def test_a_graph_holds_the_operator_that_is_asked_for() -> None:
    for key in (("", "Det"), ("", "If"), (ML, "Normalizer")):
        model, _, used = graph(5, key)
        assert key in used
        assert key[1] in {node.op_type for node in model.graph.node}


def test_the_operator_that_has_come_up_least_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a graph that is refused no operator counts as answered, but it has been asked for."""
    asked: list[Key] = []

    def compared(seed: int, key: Key) -> Verdict:
        asked.append(key)
        return Verdict("no" if seed == 1 else "", (), 0, 3, (name_of(key), "Relu"))

    monkeypatch.setattr("tools.fuzz.__main__.compare", compared)
    report = graphs(0, 0, len(pieces()) - 1, {"Relu": 1})
    assert len(set(asked)) == len(pieces()) - 1
    assert ("", "Relu") not in asked
    assert (report["counts"]["equal"], report["counts"]["refused"]) == (len(pieces()) - 2, 1)
    assert report["least"] == {"op": name_of(asked[1]), "graphs": 0}


def test_what_was_at_fault_is_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def ends(kind: str, seed: int) -> Outcome:
        return Outcome(kind, "run", 3, 1.0, 1, ("traceback",) if seed == 8 else (), "")

    monkeypatch.setattr("tools.fuzz.again.attack", ends)
    faults = [{"seed": seed, "class": "input", "code": "1"} for seed in (7, 8)]
    report = again({"counts": {"input": {"1": 2, "2": 5}}, "faults": faults})
    assert report["counts"] == {"input": {"1": 1, "2": 5, "3": 1}}
    assert (report["faults"], report["mended"]) == ([faults[1]], [faults[0]])


def test_an_attack_is_judged() -> None:
    outcome = attack("settings", 3)
    assert outcome.code == 2
    assert outcome.faults == ()
