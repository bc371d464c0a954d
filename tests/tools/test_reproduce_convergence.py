"""The reproductions of convergence, class similarity and randomisation: controls, a check by hand, files."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxdtd.audit.probe import Probe
from tests.support.paths import DOCS, FIGURES
from tools.reproduce import classes, convergence
from tools.reproduce.convergence import falls, pairs
from tools.reproduce.curves import WAYS, stand
from tools.reproduce.vgg import vgg16

Array = np.ndarray


def dense(*weights: Array, rectify: bool = True) -> onnx.ModelProto:
    """x -> y by weights (inputs, outputs), with ReLUs between."""
    nodes, value = [], "x"
    for i in range(len(weights)):
        out = "y" if i == len(weights) - 1 else f"z{i}"
        nodes.append(helper.make_node("MatMul", [value, f"w{i}"], [out], f"layer{i}"))
        value = out
        if rectify and out != "y":
            nodes.append(helper.make_node("Relu", [out], [f"a{i}"], f"relu{i}"))
            value = f"a{i}"
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", size])
        for name, size in (("x", len(weights[0])), ("y", weights[-1].shape[1]))
    )
    constants = [numpy_helper.from_array(w.astype(np.float32), f"w{i}") for i, w in enumerate(weights)]
    graph = helper.make_graph(nodes, "g", [x], [y], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def stack(depth: int = 12, width: int = 256, seed: int = 1) -> tuple[onnx.ModelProto, Array]:
    """He-normal layers. In narrow ones, of 64 units, the gradient's own |cos| rises to 0.4 to 0.6 in 12 layers."""
    rng = np.random.default_rng(seed)
    sizes = [width] * depth + [10]
    weights = [rng.standard_normal((i, o)) * np.sqrt(2 / i) for i, o in itertools.pairwise(sizes)]
    return dense(*weights), rng.random((3, width), np.float32)


def at_the_input(name: str, kind: str, seed: int = 0) -> float:
    model, x = stack(seed=seed)
    return float(np.nanmedian(falls(model, WAYS[name], x, (0, 1), 0)[kind]["input"]))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["random", "classes"])
def test_positive_weights_forget_and_the_gradient_does_not(kind: str, seed: int) -> None:
    for name in ("zplus", "dtd"):
        assert at_the_input(name, kind, seed) > 0.9, name
    for name in ("gradient", "lrp0"):
        assert at_the_input(name, kind, seed) < 0.5, name


def test_seeds_that_are_not_propagated_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    walked = Probe.relevance

    def deaf(self: Probe, seed: Array, *rest: Any) -> Any:
        return walked(self, np.ones_like(seed), *rest)

    monkeypatch.setattr(Probe, "relevance", deaf)
    assert at_the_input("gradient", "random") == pytest.approx(1)


def test_cosines_by_hand_in_a_linear_network() -> None:
    rng = np.random.default_rng(4)
    w, v = rng.standard_normal((7, 6)), rng.standard_normal((6, 9))
    x = rng.random((1, 7), np.float32)
    cosines = falls(dense(w, v, rectify=False), WAYS["gradient"], x, None, 5)["random"]
    draws = np.random.default_rng(5)
    c = np.stack([draws.standard_normal((1, 9))[0] for _ in range(convergence.RANDOM)])
    for layer, jacobian in (("layer1", np.eye(9)), ("layer0", v.T), ("input", (w @ v).T)):
        r = c @ jacobian
        unit = r / np.linalg.norm(r, axis=1, keepdims=True)
        np.testing.assert_allclose(cosines[layer], pairs((unit @ unit.T)[None]), atol=1e-5)


def test_lrp0_is_gradient_times_input_without_biases() -> None:
    model, x = stack(depth=4)
    shared, slope = (stand(model, WAYS[name], x, (0, 1)) for name in ("lrp0", "gradient"))
    logits = (shared.logits * shared.mask).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shared.original["x"] * logits, slope.original["x"] * x, rtol=2e-3, atol=2e-5)


def test_vgg16_has_the_layers_of_configuration_d() -> None:
    model = vgg16(32, 0, shrink=32)
    ops = [node.op_type for node in model.graph.node]
    assert [ops.count(op) for op in ("Conv", "Gemm", "Relu", "MaxPool")] == [13, 3, 15, 5]
    first, again = vgg16(32, 0, shrink=32), vgg16(32, 1, shrink=32)
    assert model.SerializeToString() == first.SerializeToString() != again.SerializeToString()


def test_convergence_whole_and_small(tmp_path: Path) -> None:
    measured = convergence.measure(2, 1, 32, 0, shrink=16)
    assert measured == convergence.measure(2, 1, 32, 0, shrink=16)
    deep = measured["vgg16"]["curves"]
    assert deep["zplus"]["random"]["input"][1] > 0.99
    assert deep["gradient"]["random"]["input"][1] < 0.5
    assert all(curve["classes"]["gemm16"] == [0, 0, 0] for curve in deep.values())
    assert "alpha2-beta1" in convergence.page(measured)
    convergence.save(convergence.figure(measured), tmp_path / "c.png")


def test_classes_whole_and_small(tmp_path: Path) -> None:
    measured = classes.measure(4, 1, 0, ("mnist_cnn",))
    assert measured == classes.measure(4, 1, 0, ("mnist_cnn",))
    of = measured["models"]["mnist_cnn"]["methods"]
    assert of["zplus"]["classes"]["runner_up"]["cosine"][1] > 0.9
    assert of["gradient"]["classes"]["runner_up"]["cosine"][1] < 0.5
    assert of["zplus"]["cascade"]["cosine"][0][1] > 0.9 > of["gradient"]["cascade"]["cosine"][0][1]
    assert "MNIST CNN" in classes.page(measured)
    classes.save(classes.figure(measured), tmp_path / "c.png")


def test_a_cascade_without_new_weights_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classes, "redrawn", lambda *_: {})
    model, x = stack(depth=3)
    by_step = classes.cascade(stand(model, WAYS["gradient"], x, (0, 1)), 1)
    np.testing.assert_allclose(by_step["cosine"], 1, atol=1e-6)


def test_every_sample_is_explained_for_its_own_top_class() -> None:
    model, x = stack(depth=2)
    probe = stand(model, WAYS["gradient"], x, (0, 1))
    assert (probe.mask.argmax(axis=1) == probe.logits.argmax(axis=1)).all()
    assert (probe.mask.sum(axis=1) == 1).all()
    assert len(probe.mask) == len(x) == dataclasses.replace(probe).logits.shape[0]


@pytest.mark.parametrize("tool", [convergence, classes])
def test_the_shipped_page_is_that_of_the_shipped_figures(tool: Any) -> None:
    name = tool.__name__.rpartition(".")[2]
    document = json.loads((FIGURES / f"{name}.json").read_text())
    assert (FIGURES / f"{name}.md").read_text() == tool.page(document)
    assert (FIGURES / f"{name}.png").stat().st_size < 300_000


def test_the_rigour_page_quotes_the_shipped_tables() -> None:
    page = (DOCS / "rigour.md").read_text()
    quoted = [line for line in page.splitlines() if line.startswith("| ")]
    shipped = {line for file in FIGURES.glob("*.md") for line in file.read_text().splitlines()}
    assert quoted
    assert [line for line in quoted if line not in shipped] == []
