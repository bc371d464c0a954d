"""What rounding does is told: by layer, and as the distance to the same network in floats."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from onnxdtd import Explainer, Explanation
from onnxdtd.audit import audited, run_audit
from onnxdtd.model.canonise import canonise
from onnxdtd.model.load import load
from onnxdtd.model.twin import float_twin
from onnxdtd.walk.forward import Forward
from tests.quantised.test_steps import pair
from tests.support.integer_models import CASES, draw, f32, model_of

DYNAMIC = """<ir_version: 8, opset_import: ["" : 17]> g (float[N,2] x) => (float[N,1] y) {
    q, s, z = DynamicQuantizeLinear(x)
    d = DequantizeLinear(q, s, z)
    y = MatMul(d, w)
}"""


def test_rounding_is_told_by_layer_and_lost_to_nobody(tmp_path: Path) -> None:
    """x = 1.14, -.38, 20, .01 becomes 1.1, -.4, 12.7, 0: of w v = 1.1, -.8, -12.7, 0 rounding has -.04, -.04, 0, 0:
    12.7 is the end of the range, where values are bounded but not rounded."""
    e = Explainer(pair(np.int8(0)), "attnlrp", engine="numpy")(f32([[1.14, -0.38, 20.0, 0.01]]), target=0)
    assert e.conservation.rounding == {"QuantizeLinear_0": pytest.approx(-0.08, abs=1e-5)}
    assert "rounding" not in e.conservation.causes
    assert e.conservation.error == pytest.approx(0, abs=1e-5)
    node = next(node for node in e.nodes if node.op == "QuantizeLinear")
    assert node.sample(0).rounding == pytest.approx(-0.08, abs=1e-5)
    e.save(tmp_path)
    assert Explanation.load(tmp_path).conservation.rounding == e.conservation.rounding
    written = {n["name"]: n for n in json.loads((tmp_path / "explanation.json").read_text())["nodes"]}
    assert written["QuantizeLinear_0"]["rounding"] == pytest.approx(-0.08, abs=1e-5)


def test_rounding_in_a_range_of_its_own() -> None:
    """The range is [-.3, 25.2], in steps of .1, for both samples together."""
    model = parser.parse_model(DYNAMIC)
    model.graph.initializer.append(numpy_helper.from_array(f32([[1], [10]]), "w"))
    x = f32([[25.2, 0.14], [1.07, -0.3]])
    e = Explainer(model, "attnlrp", engine="numpy")(x, target=[0, 0])
    node = next(node for node in e.nodes if node.op == "DynamicQuantizeLinear")
    np.testing.assert_allclose(node.samples.rounding, [-0.4, 0.03], atol=1e-3)


def twin_of(model: onnx.ModelProto, x: np.ndarray, name: str = "y") -> np.ndarray:
    return Forward(float_twin(canonise(load(model))), [name], ["CPUExecutionProvider"])({"x": x})[name]


def test_the_float_twin_keeps_the_ranges() -> None:
    x = f32([[1.14, -0.38, 20.0, 0.01]])
    np.testing.assert_allclose(twin_of(pair(np.int8(0)), x), [[1.14 - 0.76 - 12.7 + 0.03]], rtol=1e-6)
    np.testing.assert_allclose(twin_of(pair(np.uint8(0)), x), [[1.14 - 20.0 + 0.03]], rtol=1e-6)
    model = parser.parse_model(DYNAMIC)
    model.graph.initializer.append(numpy_helper.from_array(f32([[1], [10]]), "w"))
    np.testing.assert_allclose(twin_of(model, x[:, :2]), [[1.14 - 3.8]], rtol=1e-6)


@pytest.mark.parametrize("name", ["conv", "conv, channels", "gemm", "matmul integer", "lstm", "add"])
def test_the_float_twin_of_an_operator_is_a_step_away(name: str) -> None:
    case = CASES[name]
    x, model = draw(case), model_of(case)
    real = Forward(canonise(load(model)), ["y"], ["CPUExecutionProvider"])({"x": x})["y"]
    twin = twin_of(model, x)
    off = np.abs(twin - real).max()
    assert 1e-6 < off < 0.1 * np.abs(real).max()


def test_the_finding_says_how_far_the_float_network_is() -> None:
    """1.1 + 0 of 1.14 + .03: 6.4 % of 1.1."""
    explainer = Explainer(pair(np.int8(0)), "attnlrp", engine="numpy")
    e = audited(explainer, f32([[1.14, 0, 0, 0.01]]), target=0)
    finding = next(f for f in e.findings if f["name"] == "quantisation")
    assert finding["value"] == pytest.approx(0.07 / 1.1, rel=1e-4)
    assert not finding["fired"]
    report = run_audit(explainer, explainer(f32([[0.26, 0, 0, 0.14]]), target=0), ["quantisation"])
    (finding,) = report.findings
    assert finding.fired  # .3 + .3 against .26 + .42
    assert "0.68 instead of 0.6" in finding.sentence


def test_a_float_model_has_no_such_finding() -> None:
    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[1,2] x) => (float[1,2] y) { y = Relu(x) }'
    explainer = Explainer(parser.parse_model(text), "attnlrp", engine="numpy")
    e = audited(explainer, f32([[1.0, 2.0]]), target=0)
    assert "quantisation" not in [f["name"] for f in e.findings]
    assert run_audit(explainer, e, ["quantisation"]).findings[0].value is None
