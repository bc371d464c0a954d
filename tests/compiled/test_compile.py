"""`compile`: the file, what it takes and returns, how large it is, and that it needs onnxruntime alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper

import onnxdtd
from onnxdtd.compiled import export, upgrade
from onnxdtd.errors import TargetError, UnsupportedError, UsageError
from onnxdtd.primitives.traced import stored
from tests.support.command_line import Cli, dense
from tests.support.model_text import model
from tests.support.paths import MODELS
from tests.support.single_op import Example, X, model_of

MNIST, RESNET = MODELS / "mnist_cnn.onnx", MODELS / "mnist_resnet.onnx"
RNG = np.random.default_rng(5)
DIGITS = RNG.random((3, 1, 28, 28), np.float32)


def weights_of(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def run(path: Path, **feeds: Any) -> dict[str, np.ndarray]:
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


def close(actual: np.ndarray, expected: np.ndarray) -> None:
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= 1e-4 * np.abs(expected).max()


def test_the_file_needs_onnxruntime_alone(tmp_path: Path) -> None:
    made = onnxdtd.compile(MNIST, tmp_path / "e.onnx", method="dtd")
    np.save(tmp_path / "x.npy", DIGITS)
    script = (
        "import sys, numpy, onnxruntime\n"
        "s = onnxruntime.InferenceSession('e.onnx', providers=['CPUExecutionProvider'])\n"
        "feeds = {'image': numpy.load('x.npy'), 'target': numpy.array([-1, 3, 7])}\n"
        "logits, relevance = s.run(None, feeds)\n"
        "numpy.savez('out.npz', logits=logits, relevance=relevance)\n"
        "assert not [name for name in sys.modules if name.startswith('onnxdtd') or name == 'onnx']\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    assert (made.inputs, made.outputs) == (("image", "target"), ("logits", "relevance/image"))
    outputs = np.load(tmp_path / "out.npz")
    explainer = onnxdtd.Explainer(MNIST, "dtd")
    top = explainer(DIGITS[:1]).target[0][0][0]
    e = explainer(DIGITS, target=[top, 3, 7])
    close(outputs["relevance"], e.relevance["image"])
    close(outputs["logits"], e.outputs["logits"])


def test_one_target_serves_a_whole_batch(tmp_path: Path) -> None:
    onnxdtd.compile(MNIST, tmp_path / "e.onnx", method="dtd")
    for target, meant in (([3], 3), ([-1], "top")):
        outputs = run(tmp_path / "e.onnx", image=DIGITS, target=np.array(target))
        close(outputs["relevance/image"], onnxdtd.explain(MNIST, DIGITS, meant, "dtd").relevance["image"])
    nothing = run(tmp_path / "e.onnx", image=DIGITS, target=np.array([10]))
    assert not nothing["relevance/image"].any()


@pytest.mark.parametrize("target", [3, "top", "logits:3"])
def test_a_fixed_target_leaves_no_input(target: Any, tmp_path: Path) -> None:
    made = onnxdtd.compile(MNIST, tmp_path / "e.onnx", method="epsilon_plus", target=target)
    assert made.inputs == ("image",)
    assert made.target == ("top" if target == "top" else "3")
    outputs = run(tmp_path / "e.onnx", image=DIGITS)
    close(
        outputs["relevance/image"], onnxdtd.explain(MNIST, DIGITS, target, "epsilon_plus").relevance["image"]
    )


def test_a_seed_is_where_relevance_starts(tmp_path: Path) -> None:
    onnxdtd.compile(MNIST, tmp_path / "e.onnx", method="gradient", target="seed")
    seed = RNG.standard_normal((3, 10)).astype(np.float32)
    relevance = run(tmp_path / "e.onnx", image=DIGITS, seed=seed)["relevance/image"]
    gradients = [onnxdtd.explain(MNIST, DIGITS, k, "gradient").relevance["image"] for k in range(10)]
    close(relevance, sum(seed[:, k, None, None, None] * g for k, g in enumerate(gradients)))


def test_outputs_of_higher_rank_take_flat_indices(tmp_path: Path) -> None:
    path = tmp_path / "e.onnx"
    proto = model("(float[N, 2, 3] x) => (float[N, 2, 4] y) { [n] y = MatMul(x, w) }", w=weights_of(3, 4))
    onnxdtd.compile(proto, path, method="gradient")
    x = RNG.random((3, 2, 3), np.float32)
    relevance = run(path, x=x, target=np.array([6, -1, 0]))["relevance/x"]
    for i, target in enumerate([(1, 2), "top", (0, 0)]):
        close(relevance[i : i + 1], onnxdtd.explain(proto, x[i : i + 1], target, "gradient").relevance["x"])


def test_a_symbolic_output_shape_is_counted_when_it_runs(tmp_path: Path) -> None:
    path = tmp_path / "e.onnx"
    proto = model("(float[N, T, 3] x) => (float[N, T, 4] y) { [n] y = MatMul(x, w) }", w=weights_of(3, 4))
    onnxdtd.compile(proto, path, method="gradient")
    for steps in (1, 5):
        x = RNG.random((2, steps, 3), np.float32)
        relevance = run(path, x=x, target=np.array([4 * steps - 2, -1]))["relevance/x"]
        for i, target in enumerate([(steps - 1, 2), "top"]):
            close(
                relevance[i : i + 1], onnxdtd.explain(proto, x[i : i + 1], target, "gradient").relevance["x"]
            )


def test_names_that_are_taken_give_way(tmp_path: Path) -> None:
    proto = model("(float[N, 2] target) => (float[N, 3] seed) { [n] seed = MatMul(target, w) }",
                  w=weights_of(2, 3))  # fmt: skip
    assert onnxdtd.compile(proto, tmp_path / "a.onnx").inputs == ("target", "onnxdtd/target")
    assert onnxdtd.compile(proto, tmp_path / "b.onnx", target="seed").inputs == ("target", "onnxdtd/seed")


def test_symbolic_dimensions_stay_and_fixed_ones_too(tmp_path: Path) -> None:
    for batch in ("batch", 1):
        onnxdtd.compile(model_of(Example("Relu", (X((2, 3)),)), batch=batch), tmp_path / "e.onnx")
        graph = onnx.load(tmp_path / "e.onnx").graph
        shapes = {v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim]
                  for v in (*graph.input, *graph.output)}  # fmt: skip
        assert shapes["x0"] == shapes["relevance/x0"] == [batch, 3]
        assert shapes["target"] == ([1] if batch == 1 else ["onnxdtd/targets"])


def test_several_outputs_need_a_name(tmp_path: Path) -> None:
    proto = model("(float[N, 2] x) => (float[N, 3] a, float[N, 3] b) { [n] a = MatMul(x, w) [m] b = Relu(a) }",
                  w=weights_of(2, 3))  # fmt: skip
    with pytest.raises(UsageError, match="'a', 'b'"):
        onnxdtd.compile(proto, tmp_path / "e.onnx")
    made = onnxdtd.compile(proto, tmp_path / "e.onnx", output="b")
    assert (made.output, made.outputs) == ("b", ("a", "b", "relevance/x"))
    with pytest.raises(TargetError, match="give one of them"):
        onnxdtd.compile(proto, tmp_path / "e.onnx", output="b", target="a:1")
    with pytest.raises(TargetError, match="one index for all"):
        onnxdtd.compile(proto, tmp_path / "e.onnx", output="b", target=[1, 2])


def test_the_file_is_valid_and_tells_what_it_is(tmp_path: Path) -> None:
    made = onnxdtd.compile(RESNET, tmp_path / "e.onnx", method="epsilon_plus")
    written, source = onnx.load(tmp_path / "e.onnx"), onnx.load(RESNET)
    onnx.checker.check_model(written, full_check=True)
    metadata = {entry.key: entry.value for entry in written.metadata_props}
    assert {e.key: e.value for e in source.metadata_props}.items() <= metadata.items()
    assert metadata["onnxdtd/method"] == "epsilon_plus"
    assert metadata["onnxdtd/target"] == "runtime"
    assert metadata["onnxdtd/version"] == onnxdtd.__version__
    assert metadata["onnxdtd/source_sha256"] == onnxdtd.Explainer(RESNET).graph.sha256
    assert json.loads(metadata["onnxdtd/rules"]) == onnxdtd.Explainer(RESNET, "epsilon_plus").plan().rules
    own = {node.name for node in source.graph.node}
    assert {n.name for n in written.graph.node if not n.name.startswith(("onnxdtd/", "relevance/"))} <= own
    assert made.opset == source.opset_import[0].version == written.opset_import[0].version


def tensors(path: Path) -> dict[str, np.ndarray]:
    return {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}


def test_weights_that_no_rule_changes_are_shared(tmp_path: Path) -> None:
    """Also those that an adjoint reads transposed (MatMul) or mirrored (Conv)."""
    text = (
        "(float[N, 400] x) => (float[N, 300] y) { [n] h = MatMul(x, v) [m] r = Relu(h) [o] y = MatMul(r, w) }"
    )
    wide = model(text, v=weights_of(400, 500), w=weights_of(500, 300))  # fmt: skip
    deep = model_of(Example("Conv", (X((1, 64, 9, 9)), RNG.random((64, 64, 3, 3), np.float32))))
    pointwise = model_of(Example("Conv", (X((1, 160, 5, 5)), weights_of(200, 160, 1, 1))))
    for proto in (wide, deep, pointwise):
        made = onnxdtd.compile(proto, tmp_path / "e.onnx", method="epsilon_plus",
                               rules=[{"kind": "linear", "use": "epsilon"}])  # fmt: skip
        assert made.nbytes <= 1.05 * len(proto.SerializeToString())


def test_a_view_is_taken_apart_into_what_it_views() -> None:
    whole = weights_of(20, 16, 1, 3)
    for view in (whole.swapaxes(0, 1), whole[..., ::-1], whole.transpose(2, 3, 1, 0)[:, ::-1]):
        data, order, mirrored = stored(view)
        assert np.array_equal(data, whole.reshape(data.shape))
        assert np.array_equal(np.flip(data.transpose(order), mirrored), view)
    matrix = weights_of(20, 16)
    data, order, _ = stored(matrix.reshape(1, 1, 20, 16).transpose(3, 2, 0, 1))
    assert (data.shape, order) == ((20, 16, 1, 1), (1, 0, 2, 3))


@pytest.mark.parametrize(("weights", "most"), [("store", 2.05), ("derive", 1.05)])
def test_derived_weights_are_stored_once_or_not_at_all(weights: Any, most: float, tmp_path: Path) -> None:
    proto = model("(float[N, 400] x) => (float[N, 300] y) { [n] h = MatMul(x, v) [m] y = MatMul(h, w) }",
                  v=weights_of(400, 500), w=weights_of(500, 300))  # fmt: skip
    x = RNG.standard_normal((2, 400)).astype(np.float32)
    rules = [{"kind": "linear", "use": "zplus"}]
    made = onnxdtd.compile(proto, tmp_path / "e.onnx", rules=rules, method="gradient", weights=weights)
    assert made.nbytes <= most * len(proto.SerializeToString())
    relevance = run(tmp_path / "e.onnx", x=x, target=np.array([-1]))["relevance/x"]
    close(relevance, onnxdtd.explain(proto, x, method="gradient", rules=rules).relevance["x"])


def test_what_depends_on_no_input_is_computed_once(tmp_path: Path) -> None:
    """w-square and z-box at the first layer: no node reads constants only."""
    for method, limits in (("dtd", None), ("dtd", (0, 1))):
        rules = [{"name": "/0/Conv", "use": "wsquare"}] if limits is None else None
        onnxdtd.compile(MNIST, tmp_path / "e.onnx", method=method, rules=rules, input_range=limits, target=1)
        graph = onnx.load(tmp_path / "e.onnx").graph
        constants = {t.name for t in graph.initializer}
        idle = [n.op_type for n in graph.node if n.input and constants.issuperset(n.input)]
        assert set(idle) <= {"Transpose", "Slice", "Relu"}, method  # other readings of stored weights
        arrays = [t for t in tensors(tmp_path / "e.onnx").values() if t.nbytes > 64]
        assert len({(a.dtype, a.shape, a.tobytes()) for a in arrays}) == len(arrays)


def test_what_is_computed_once_serves_any_batch(tmp_path: Path) -> None:
    """w-square of a dense layer: its denominators are alike for all samples."""
    proto = model("(float[N, 4] x) => (float[N, 5] y) { [n] y = MatMul(x, w) }", w=weights_of(4, 5))
    rules = [{"name": "n", "use": "wsquare"}]
    onnxdtd.compile(proto, tmp_path / "e.onnx", method="gradient", rules=rules)
    assert [n.op_type for n in onnx.load(tmp_path / "e.onnx").graph.node].count("MatMul") == 2
    for batch in (1, 3):
        x = weights_of(batch, 4)
        relevance = run(tmp_path / "e.onnx", x=x, target=np.array([2]))["relevance/x"]
        close(relevance, onnxdtd.explain(proto, x, 2, "gradient", rules=rules).relevance["x"])


def test_methods_of_many_passes_are_refused(cli: Cli, tmp_path: Path) -> None:
    code, _, stderr = cli("compile", MNIST, "-o", "e.onnx", "-m", "smoothgrad")
    assert (code, stderr.count("\n")) == (4, 1)
    assert "many passes" in stderr
    assert not (tmp_path / "e.onnx").exists()


def test_an_explainer_is_not_compiled_again(tmp_path: Path) -> None:
    onnxdtd.compile(MNIST, tmp_path / "e.onnx")
    with pytest.raises(UnsupportedError, match="compiled already"):
        onnxdtd.compile(tmp_path / "e.onnx", tmp_path / "f.onnx", output="logits")


def test_old_opsets_are_converted_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    w = RNG.standard_normal((4, 3, 3, 3)).astype(np.float32)
    old = model_of(Example("Conv", (X((2, 3, 7, 6)), w), opset=9))
    x = RNG.random((2, 3, 7, 6), np.float32)
    made = onnxdtd.compile(old, tmp_path / "e.onnx", method="gradient")
    assert made.opset == 13
    assert "opset 9 converted to 13, outputs checked" in made.notes
    engines = [onnxdtd.explain(old, x, method="gradient", engine=e) for e in ("numpy", "onnx")]
    close(engines[1].relevance["x0"], engines[0].relevance["x0"])
    assert made.notes[-1] in engines[1].notes

    other = model_of(Example("Conv", (X((2, 3, 7, 6)), 1.001 * w), opset=13))
    monkeypatch.setattr(upgrade, "_converted", lambda graph, opset: other)
    with pytest.raises(UnsupportedError, match="differs by"):
        onnxdtd.compile(old, tmp_path / "f.onnx")


def test_half_precision_is_explained_in_single(tmp_path: Path) -> None:
    proto = model("(float16[N, 3] x) => (float16[N, 4] y) { [n] y = MatMul(x, w) }",
                  w=RNG.random((3, 4)).astype(np.float16))  # fmt: skip
    x = RNG.random((2, 3)).astype(np.float16)
    onnxdtd.compile(proto, tmp_path / "e.onnx", method="epsilon_plus")
    relevance = run(tmp_path / "e.onnx", x=x.astype(np.float32), target=np.array([1]))["relevance/x"]
    expected = onnxdtd.explain(proto, x, 1, "epsilon_plus").relevance["x"]
    assert relevance.dtype == expected.dtype == np.float32
    close(relevance, expected)


def test_large_weights_go_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = onnxdtd.compile(MNIST, tmp_path / "whole.onnx", method="dtd")
    monkeypatch.setattr(export, "LIMIT", 100_000)
    made = onnxdtd.compile(MNIST, tmp_path / "e.onnx", method="dtd")
    assert [file.name for file in made.files] == ["e.onnx", "e.onnx.data"]
    assert made.files[0].stat().st_size < 100_000 < whole.nbytes
    onnx.checker.check_model(tmp_path / "e.onnx", full_check=True)
    feeds = {"image": DIGITS, "target": np.array([-1])}
    outputs, expected = run(tmp_path / "e.onnx", **feeds), run(tmp_path / "whole.onnx", **feeds)
    assert np.array_equal(outputs["relevance/image"], expected["relevance/image"])
    assert sorted(f.name for f in tmp_path.iterdir()) == ["e.onnx", "e.onnx.data", "whole.onnx"]


@pytest.mark.parametrize("limit", [100_000, 2**31])
def test_nothing_is_left_half_written(limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "e.onnx"
    onnxdtd.compile(MNIST, path, target=1)
    before = path.read_bytes()
    monkeypatch.setattr(export, "LIMIT", limit)

    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UsageError, match="No space left"):
        onnxdtd.compile(MNIST, path, target=2)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["e.onnx"]


def test_new_weights_are_never_beside_an_old_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, replace = tmp_path / "e.onnx", os.replace
    monkeypatch.setattr(export, "LIMIT", 100_000)
    onnxdtd.compile(MNIST, path, target=1)

    def interrupted(source: Path, target: Path) -> None:
        if Path(target) == path:
            raise OSError(5, "Input/output error")
        replace(source, target)

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(UsageError, match="Input/output"):
        onnxdtd.compile(MNIST, path, target=2, method="epsilon_plus")
    assert [file.name for file in tmp_path.iterdir()] == ["e.onnx.data"]


def test_only_an_earlier_explainer_is_replaced(cli: Cli, tmp_path: Path) -> None:
    source = dense(tmp_path / "model.onnx")
    before = source.read_bytes()
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "folder").mkdir()
    for path, word in (
        ("model.onnx", "the model itself"),
        ("notes.txt", "no explainer"),
        ("folder", "directory"),
    ):
        code, _, stderr = cli("compile", source, "-o", path)
        assert (code, word in stderr) == (2, True), stderr
    assert source.read_bytes() == before
    assert [cli("compile", source, "-o", "new/e.onnx", "-t", k)[0] for k in "01"] == [0, 0]


def test_the_command_tells_what_it_wrote(cli: Cli, tmp_path: Path) -> None:
    source = dense(tmp_path / "model.onnx", labels=["cat", "dog", "owl"])
    code, out, _ = cli("compile", source, "-o", "e.onnx", "--target", "dog", "--input-range", 0, 4, "--json")
    document = json.loads(out)
    assert (code, document["target"], document["inputs"], document["files"]) == (0, "1", ["x"], ["e.onnx"])
    code, out, _ = cli("compile", source, "-o", "e.onnx", "--weights", "derive")
    assert (code, "target" in out, "relevance/x" in out) == (0, True, True)
    code, _, document = cli("compile", source, "-o", "e.onnx", "--weights", "all", "-t", "7", "-m", "lrp")
    assert (code, document.count("\n")) == (2, 2), document


def test_a_large_output_is_counted_in_the_graph(tmp_path: Path) -> None:
    proto = model("(float[N, 3] x) => (float[N, 3000] y) { [n] y = MatMul(x, w) }", w=weights_of(3, 3000))
    x = weights_of(2, 3)
    e = onnxdtd.explain(proto, x, 2999, "gradient")
    onnxdtd.compile(proto, tmp_path / "e.onnx", method="gradient")
    close(run(tmp_path / "e.onnx", x=x, target=np.array([2999]))["relevance/x"], e.relevance["x"])
    onnxdtd.compile(proto, tmp_path / "e.onnx", method="gradient", target=2999)
    close(run(tmp_path / "e.onnx", x=x)["relevance/x"], e.relevance["x"])
