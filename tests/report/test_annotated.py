"""A model with the books of its nodes: the numbers, the outputs, the weights, and what is never overwritten."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from onnxdtd import Explainer
from onnxdtd.report import annotated, save_annotated
from tests.support import integer_models
from tests.support.command_line import DIGIT, DIGIT_MODEL, PHOTO, PHOTO_MODEL, Cli, array, dense
from tests.support.model_text import model


def outputs(path: Path, x: np.ndarray) -> list[np.ndarray]:
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    return list(session.run(None, {session.get_inputs()[0].name: x}))


def facts(node: onnx.NodeProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in node.metadata_props}


def test_by_hand(cli: Cli, tmp_path: Path) -> None:
    """4 = 1 * 1 + 2 * 1 + bias 1: three are handed to x, one is the bias's."""
    file, x = dense(tmp_path / "m.onnx"), array(tmp_path / "x.npy", [[1, 2]])
    code, out, err = cli("annotate", file, x, "-o", "a.onnx", "-m", "attnlrp", "--json")
    assert (code, err, json.loads(out)) == (
        0, "", {"files": ["a.onnx"], "nodes": 1, "method": "attnlrp"},
    )  # fmt: skip
    proto = onnx.load(tmp_path / "a.onnx")
    onnx.checker.check_model(proto, full_check=True)
    (node,) = proto.graph.node
    assert node.doc_string == (
        "rule epsilon;\nrelevance 4 arrived, 3 left;\nlost 1 to bias;\nhanded 3 to 'x'"
    )
    own = facts(node)
    assert (own["onnxdtd/rule"], own["onnxdtd/node"]) == ("epsilon", "dense")
    assert float(own["onnxdtd/arrived"]) == pytest.approx(4)
    assert json.loads(own["onnxdtd/lost"])["bias"] == pytest.approx(1)
    assert json.loads(own["onnxdtd/handed"]) == {"x": pytest.approx(3)}


@pytest.mark.parametrize(("file", "x"), [(DIGIT_MODEL, DIGIT), (PHOTO_MODEL, PHOTO)])
def test_every_node_of_a_network_holds_its_numbers(cli: Cli, tmp_path: Path, file: Path, x: Path) -> None:
    explainer = Explainer(file)
    feeds = explainer.feeds(x)
    e = explainer(feeds)
    assert cli("annotate", file, x, "-o", "a.onnx")[0] == 0
    assert cli("annotate", file, x, "-o", "a.onnx")[0] == 0  # an earlier one is replaced
    proto = onnx.load(tmp_path / "a.onnx")
    onnx.checker.check_model(proto, full_check=True)
    by_name = {node.name: node for node in proto.graph.node}
    for report in e.conservation.nodes:
        node, own = by_name[report.name], facts(by_name[report.name])
        assert f"relevance {report.arrived:.6g} arrived, {report.left:.6g} left" in node.doc_string
        assert (own["onnxdtd/rule"], float(own["onnxdtd/left"])) == (report.rule, report.left)
        assert json.loads(own["onnxdtd/lost"]) == report.lost
    (image,) = feeds.values()
    for ours, theirs in zip(outputs(tmp_path / "a.onnx", image), outputs(file, image), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_parts_of_one_node_say_so(tmp_path: Path) -> None:
    """A convolution's bias by position is a sum of its own in a file: both nodes tell the same books."""
    w, b = np.ones((1, 1, 2, 2), np.float32), np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2)
    text = "(float[1, 1, 3, 3] x) => (float[1, 1, 2, 2] y) { [c] h = Conv(x, w)\n[s] y = Add(h, b) }"
    explainer = Explainer(model(text, w=w, b=b), "attnlrp")
    e = explainer(np.ones((1, 1, 3, 3), np.float32), (0, 1, 1))
    proto = annotated(e, explainer.plan(e.output).graph)
    assert {"Conv", "Add"} == {node.op_type for node in proto.graph.node}
    assert all("relevance" in node.doc_string for node in proto.graph.node)


def test_a_quantised_model_computes_what_was_explained(tmp_path: Path) -> None:
    """Where onnxruntime does not fuse the steps to integers again, with a rounding of its own."""
    case = integer_models.CASES["conv"]
    explainer, x = Explainer(integer_models.model_of(case)), integer_models.draw(case)
    e = explainer(x)
    (path,) = save_annotated(e, explainer.plan(e.output).graph, tmp_path / "a.onnx")
    options = ort.SessionOptions()
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {session.get_inputs()[0].name: x})
    np.testing.assert_allclose(y, e.outputs[e.output], rtol=1e-5, atol=1e-6)
    assert len(e.nodes) == len(
        {facts(node)["onnxdtd/node"] for node in onnx.load(path).graph.node if facts(node)}
    )


def test_weights_stay_beside_the_file(cli: Cli, tmp_path: Path) -> None:
    """In the model's folder the file names the model's own data; elsewhere it has a file of data beside it."""
    proto = onnx.load(DIGIT_MODEL)
    onnx.save(proto, tmp_path / "m.onnx", save_as_external_data=True, location="out.onnx.data")
    (tmp_path / "away").mkdir()
    x = np.load(DIGIT)
    for file, files in (("a.onnx", ["a.onnx"]), ("away/a.onnx", ["away/a.onnx", "away/a.onnx.data"])):
        code, out, _ = cli("annotate", "m.onnx", DIGIT, "-o", file, "--json")
        assert (code, json.loads(out)["files"]) == (0, files)
        assert (tmp_path / file).stat().st_size < 20_000 < (tmp_path / "out.onnx.data").stat().st_size
        (ours,), (theirs,) = outputs(tmp_path / file, x), outputs(DIGIT_MODEL, x)
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    before = (tmp_path / "out.onnx.data").read_bytes()
    code, _, err = cli("annotate", "m.onnx", DIGIT, "-o", "out.onnx")
    assert (code, err) == (2, "onnxdtd: 'out.onnx.data' belongs to the model itself: name another file\n")
    assert (tmp_path / "out.onnx.data").read_bytes() == before


def test_names_of_a_stranger_are_written_out(tmp_path: Path) -> None:
    proto = onnx.load(dense(tmp_path / "m.onnx"))
    hostile = "x\x1b[31m\u202e<script>" + "a" * 1000
    proto.graph.input[0].name = proto.graph.node[0].input[0] = hostile
    explainer = Explainer(proto, "attnlrp")
    e = explainer(np.array([[1, 2]], np.float32))
    (path,) = save_annotated(e, explainer.plan(e.output).graph, tmp_path / "a.onnx")
    (node,) = onnx.load(path).graph.node
    assert "handed 3 to 'x\\x1b[31m\\u202e<script>aaa" in node.doc_string
    assert len(node.doc_string) < 400
    for text in (node.doc_string, *facts(node).values()):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert outputs(path, np.array([[1, 2]], np.float32))[0].tolist() == [[4, 2, -3]]


def test_what_cannot_be_written_is_one_clear_line(cli: Cli, tmp_path: Path) -> None:
    file, x = dense(tmp_path / "m.onnx"), array(tmp_path / "x.npy", [[1, 2]])
    before = file.read_bytes()
    (tmp_path / "link.onnx").symlink_to(file)
    dense(tmp_path / "other.onnx")
    (tmp_path / "new.onnx.data").write_text("mine")
    (tmp_path / "bad.onnx").write_text("no model")
    refusals = {
        ("m.onnx", "m.onnx"): (2, "'m.onnx' belongs to the model itself"),
        ("m.onnx", "link.onnx"): (2, "'link.onnx' belongs to the model itself"),
        ("m.onnx", "other.onnx"): (2, "'other.onnx' exists and was not written by onnxdtd annotate"),
        ("m.onnx", "new.onnx"): (2, "'new.onnx.data' is there"),
        ("m.onnx", "a.txt"): (2, "'a.txt' is no ONNX file by its name"),
        ("m.onnx", "."): (2, "'.' is a directory"),
        ("bad.onnx", "a.onnx"): (3, "'bad.onnx'"),
        ("missing.onnx", "a.onnx"): (3, "'missing.onnx': no such file"),
    }
    for (source, output), (code, words) in refusals.items():
        ended, out, err = cli("annotate", source, x, "-o", output)
        assert (ended, out, err.count("\n")) == (code, "", 1)
        assert words in err
    code, _, err = cli("annotate", file, x, "-o", "a.onnx", "-m", "occlusion")
    assert (code, "occlusion leaves no numbers of single nodes" in err) == (4, True)
    assert cli("annotate", file, "missing.npy", "-o", "a.onnx")[0] == 2
    assert file.read_bytes() == before
    assert not (tmp_path / "a.onnx").exists()
