"""Which engine runs, what is compiled once and kept, in memory and on disk, and on which device."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper

import onnxdtd
from onnxdtd.compiled import sessions
from onnxdtd.compiled.digest import digest
from onnxdtd.compiled.run import OnnxWalker
from onnxdtd.errors import ProviderError, UnsupportedError, UsageError
from onnxdtd.explainer import Explainer
from onnxdtd.plan.choice import MANY, break_even, choose, multiplications
from onnxdtd.walk.run import NumpyWalker
from tests.support.command_line import DIGIT, Cli, command_line
from tests.support.paths import MODELS

MNIST = MODELS / "mnist_cnn.onnx"
DIGITS = np.random.default_rng(3).random((2, 1, 28, 28), np.float32)


def forget() -> None:
    sessions._in_use.clear()
    sessions._latest.clear()


@pytest.fixture(autouse=True)
def _fresh() -> None:
    forget()


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Grows by one with each walk that is compiled."""
    calls, compile_plan = [], sessions.compile_plan
    monkeypatch.setattr(
        sessions, "compile_plan", lambda plan, *how: calls.append(plan) or compile_plan(plan, *how)
    )
    return calls


def onnx_engine(method: str = "dtd", **options: Any) -> np.ndarray:
    return Explainer(MNIST, method, "onnx", **options)(DIGITS).relevance["image"]


def test_what_is_compiled_is_shared(compiled: list[Any]) -> None:
    first, again = onnx_engine(), onnx_engine()
    assert len(compiled) == 1
    assert np.array_equal(first, again)
    onnx_engine(input_range=(0, 2))
    onnx_engine("epsilon_plus")
    onnx_engine("epsilon_plus", bias="redistribute")
    onnx_engine("epsilon_plus", rules=[{"first": True, "use": "flat"}])
    assert len(compiled) == 5


def test_other_weights_are_another_model(compiled: list[Any]) -> None:
    """Also in a file whose own bytes are alike, since its weights are elsewhere: they count by content."""
    graph = Explainer(MNIST, "dtd").graph
    name = next(n for n, a in graph.constants.items() if a.ndim == 4)
    other = graph.replace(constants={**graph.constants, name: graph.constants[name] * np.float32(1.01)})
    explainers = [Explainer(graph, "dtd", "onnx"), Explainer(other, "dtd", "onnx")]
    assert digest(explainers[0].plan()) != digest(explainers[1].plan())
    relevance = [explainer(DIGITS).relevance["image"] for explainer in explainers]
    assert len(compiled) == 2
    assert not np.array_equal(*relevance)


def test_few_are_kept_and_those_in_use_always(compiled: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    explainer = Explainer(MNIST, "dtd", "onnx")
    explainer(DIGITS)
    for k in range(sessions.KEPT + 1):
        onnx_engine("epsilon_plus", rules=[{"first": True, "use": "gamma", "gamma": 1.0 + k}])
    assert len(sessions._latest) == sessions.KEPT
    count = len(compiled)
    onnx_engine()  # still in use by the first explainer
    assert len(compiled) == count
    monkeypatch.setattr(sessions, "KEPT_BYTES", 0)
    onnx_engine("gradient")
    gc.collect()
    assert not sessions._latest
    assert len(sessions._in_use) == 1


def test_the_disk_keeps_it_too(compiled: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "new" / "cache"
    first = onnx_engine(cache_dir=cache)
    forget()
    monkeypatch.setenv("ONNXDTD_CACHE", str(cache))
    assert np.array_equal(onnx_engine(), first)
    assert len(compiled) == 1
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    middle = len(whole) // 2
    other_weight = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    for damaged in (b"", whole[:middle], other_weight, b"not a model" * 99):
        file.write_bytes(damaged)
        forget()
        assert np.array_equal(onnx_engine(), first)
        assert file.read_bytes() == whole
    assert len(compiled) == 5
    assert [f.name for f in cache.iterdir()] == [file.name]


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        onnx_engine(cache_dir=tmp_path / "file")


def test_auto_takes_numpy_for_one_and_onnx_for_many() -> None:
    explainer = Explainer(MNIST, "dtd", "auto")
    enough = break_even(explainer.plan())
    one = explainer(DIGITS[:1])
    assert one.engine == "numpy"
    assert (
        f"numpy taken by auto: 1 sample, and for this model compiling pays from about {enough} on"
        in one.notes[-1]
    )
    many = explainer(np.repeat(DIGITS, enough, axis=0))
    assert many.engine == "onnx"
    assert f"onnx taken by auto: {2 * enough + 1} samples" in many.notes[-1]
    assert explainer(DIGITS[:1]).engine == "onnx"  # it is compiled now
    r, other = one.relevance["image"][0], many.relevance["image"][0]
    assert np.abs(other - r).max() <= 1e-4 * r.max()


def test_auto_counts_by_the_measured_break_even() -> None:
    """Measured: 21 and 34 samples for the digits, 3 for depthwise convolutions, 5 for ResNet50, 9 for VGG16."""
    names = ("mnist_cnn", "mnist_resnet", "efficientnet_lite0")
    plans = [Explainer(MODELS / f"{name}.onnx", "epsilon_plus").plan() for name in names]
    assert 2.5e8 < sum(multiplications(plans[2])) < 5e8  # 385 million, as its makers say
    for plan, measured in zip(plans, (21, 34, 3), strict=True):
        assert measured / 2 <= break_even(plan) <= 2 * measured
    assert [choose(plan, n)[0] for plan in plans for n in (1, MANY)] == ["numpy", "onnx"] * 3


def test_auto_says_why_it_cannot_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*plan_and_how: Any) -> None:
        raise UnsupportedError("'node' Loop: branches on values")

    monkeypatch.setattr(sessions, "compile_plan", refuse)
    explainer = Explainer(MNIST, "dtd", "auto")
    for _ in range(2):
        e = explainer(np.repeat(DIGITS, MANY, axis=0))
        assert e.engine == "numpy"
        assert "cannot be compiled: 'node' Loop: branches on values" in e.notes[-1]
    with pytest.raises(UnsupportedError, match="branches"):
        Explainer(MNIST, "dtd", "onnx")(DIGITS)


def test_auto_compiles_for_many_passes() -> None:
    e = onnxdtd.Explainer(MNIST, "integrated_gradients", "auto", options={"steps": 2})(DIGITS[:1])
    assert e.engine == "onnx"


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(UsageError, match="numpy, onnx, auto"):
        Explainer(MNIST, engine="torch")


def test_run_takes_the_engine(capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli: Cli = command_line(capsys, tmp_path, monkeypatch)
    code, out, _ = cli("run", MNIST, DIGIT, "--engine", "auto", "--no-audit")
    assert (code, "engine" in out, "numpy taken by auto" in out.replace("\n", " ")) == (0, True, True)
    assert cli("run", MNIST, DIGIT, "--engine", "onnx", "--json")[0] == 0


def test_a_missing_provider_is_told() -> None:
    if "CUDAExecutionProvider" in ort.get_available_providers():
        pytest.skip("CUDA is here")
    with pytest.raises(ProviderError, match="onnxruntime-gpu"):
        Explainer(MNIST, providers="cuda")


def test_cuda_gives_the_same() -> None:
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        pytest.skip(
            "onnxruntime has no CUDA here: pip install onnxruntime-gpu on a machine with an NVIDIA GPU"
        )
    explainer = Explainer(MNIST, "dtd", "onnx", providers="cuda")
    relevance = explainer(DIGITS).relevance["image"]
    assert np.abs(relevance - onnx_engine()).max() <= 1e-3 * np.abs(relevance).max()


def test_only_outputs_and_relevance_leave_the_session() -> None:
    plan = Explainer(MNIST, "dtd").plan()
    assert OnnxWalker(plan, ["CPUExecutionProvider"])._ready.names == ["logits", "relevance/image"]
    assert (OnnxWalker.engine, NumpyWalker.engine) == ("onnx", "numpy")


def test_weights_are_not_copied_into_the_session() -> None:
    plan = Explainer(MNIST, "gradient").plan()
    constants = OnnxWalker(plan, ["CPUExecutionProvider"])._ready.compiled.constants
    shared = [
        n for n, a in plan.graph.constants.items() if a.nbytes > 1024 and np.shares_memory(a, constants[n])
    ]
    assert shared
    stored = {t.name for t in onnx.load(MNIST).graph.initializer if numpy_helper.to_array(t).nbytes > 1024}
    assert set(shared) == stored


def test_a_single_sample_has_a_session_of_its_own() -> None:
    explainer = Explainer(MNIST, "dtd", "onnx")
    both, one = explainer(DIGITS), explainer(DIGITS[:1])
    held = explainer.run()._ready  # type: ignore[attr-defined]
    assert held._batch == {"N", "onnxdtd/targets"}
    assert held.small
    assert held.session_for({"image": DIGITS}) is held.session is not held.alone
    assert held.session_for({"image": DIGITS[:1]}) is held.alone
    assert held.session.get_session_options().intra_op_num_threads == 0
    assert held.alone.get_session_options().intra_op_num_threads == 1
    np.testing.assert_allclose(both.relevance["image"][:1], one.relevance["image"], rtol=1e-5, atol=1e-7)


def test_a_name_of_another_axis_is_not_taken_for_the_batch() -> None:
    square = ["None", "None"]
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, square) for name in "xy"]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Tanh", ["x"], ["y"])], "tanh", ends[:1], ends[1:])
    opsets = [onnx.helper.make_opsetid("", 17)]
    explainer = Explainer(
        onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8), "gradient", "onnx"
    )
    x = np.array([[0.5, -1.0, 2.0]], np.float32)
    np.testing.assert_allclose(explainer(x).relevance["x"], [[0, 0, 1 - np.tanh(2) ** 2]], rtol=1e-5)
    assert not explainer.run()._ready._batch  # type: ignore[attr-defined]
