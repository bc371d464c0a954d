"""Every module loads, and then every public function is still a function: no room hides one by its name."""

from __future__ import annotations

import importlib.util
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import onnxdtd
from tests.support.model_text import model
from tests.support.paths import MODELS

pytestmark = pytest.mark.quick

MODEL, DIGIT, WINE = MODELS / "mnist_cnn.onnx", MODELS / "mnist_digit.npy", MODELS / "wine_mlp.onnx"
# Of the extra `serve`, which not everybody has.
SERVING = ("onnxdtd.web", "onnxdtd.server", "onnxdtd.viewer", "onnxdtd.cli.serve_job", "onnxdtd.cli.view_job")
SUBMODULES = [
    m.name
    for m in pkgutil.walk_packages(onnxdtd.__path__, "onnxdtd.")
    if not m.name.startswith(SERVING) or importlib.util.find_spec("starlette")
]


def explained() -> onnxdtd.Explanation:
    return onnxdtd.explain(MODEL, np.load(DIGIT), method="gradient")


def audited(_: Path) -> Any:
    explainer = onnxdtd.Explainer(MODEL, "dtd", input_range=(0, 1))
    return onnxdtd.run_audit(explainer, explainer(np.load(DIGIT)), only=["conservation"])


def batched(out: Path) -> Any:
    pytest.importorskip("pyarrow", reason="shards are Parquet")
    return onnxdtd.batch(WINE, np.load(MODELS / "wine_sample.npy"), out / "job")


def clustered(out: Path) -> Any:
    """Eight rows, fewer of a class are left out; scikit-learn is an extra."""
    pytest.importorskip("sklearn", reason="clusters are those of scikit-learn")
    rows = np.load(MODELS / "wine_sample.npy") * np.linspace(0.9, 1.1, 8, dtype=np.float32)[:, None]
    return onnxdtd.cluster(onnxdtd.batch(WINE, rows, out / "job", target=0), by="target")


def conceived(out: Path) -> Any:
    pytest.importorskip("pyarrow", reason="shards are Parquet")
    results = onnxdtd.batch(MODEL, DIGIT, out / "job", "top", "epsilon_plus")
    return onnxdtd.concepts(results, "/0/Conv")


CALLS: dict[str, Callable[[Path], Any]] = {
    "batch": batched,
    "summarise": lambda out: onnxdtd.summarise(batched(out)),
    "cluster": clustered,
    "concepts": conceived,
    "check": lambda _: onnxdtd.check(MODEL),
    "compare": lambda _: onnxdtd.compare(WINE, np.load(MODELS / "wine_sample.npy"), ["gradient"], repeats=0),
    "compare_models": lambda _: onnxdtd.compare_models(
        onnxdtd.Explainer(WINE), onnxdtd.Explainer(WINE), np.load(MODELS / "wine_sample.npy")
    ),
    "compile": lambda out: onnxdtd.compile(WINE, out / "explainer.onnx", method="gradient"),
    "evaluate": lambda _: onnxdtd.evaluate(MODEL, np.load(DIGIT), "gradient", metrics="sparseness"),
    "explain": lambda _: explained(),
    "explain_each": lambda _: next(
        onnxdtd.explain_each(
            explainer := onnxdtd.Explainer(MODEL), onnxdtd.open_data(DIGIT, explainer.inputs)
        )
    ),
    "heatmap": lambda _: onnxdtd.heatmap(explained().relevance["image"][0]),
    "open_data": lambda _: next(iter(onnxdtd.open_data(DIGIT, onnxdtd.Explainer(MODEL).inputs))),
    "predict_fn": lambda _: onnxdtd.predict_fn(WINE)(np.load(MODELS / "wine_sample.npy")),
    "read_inputs": lambda _: onnxdtd.read_inputs(DIGIT, onnxdtd.Explainer(MODEL).inputs),
    "recursive_taylor": lambda _: onnxdtd.recursive_taylor(
        onnxdtd.Explainer(WINE), np.load(MODELS / "wine_sample.npy")
    ),
    "roots": lambda _: onnxdtd.roots(onnxdtd.Explainer(MODEL, "dtd"), np.load(DIGIT), "/0/Conv", neurons=2),
    "run_audit": audited,
    "save_heatmap": lambda out: onnxdtd.save_heatmap(explained(), out / "heatmap.png"),
}


def test_every_module_loads_and_says_what_it_is() -> None:
    assert [name for name in SUBMODULES if not importlib.import_module(name).__doc__] == []


@pytest.mark.parametrize("name", sorted(CALLS))
def test_every_public_function_can_be_called(name: str, tmp_path: Path) -> None:
    for module in SUBMODULES:
        importlib.import_module(module)
    result = CALLS[name](tmp_path)
    assert result is not None or any(tmp_path.iterdir())


def test_every_public_function_is_called_here() -> None:
    assert set(CALLS) == {name for name in onnxdtd.__all__ if inspect.isfunction(getattr(onnxdtd, name))}


def test_auto_finds_methods_of_many_passes_whatever_is_called_first(tmp_path: Path) -> None:
    """A sum of functions of single inputs takes `natural`, which nothing has asked to load."""
    onnx.save(model("(float[N, 3] x) => (float[N, 3] y) { y = Relu (x) }"), tmp_path / "relu.onnx")
    script = f"import onnxdtd; print(onnxdtd.check({str(tmp_path / 'relu.onnx')!r}).ok)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("True", "")
