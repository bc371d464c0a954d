"""What comes over HTTP is what the API says, by either protocol, as JSON and as bytes."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxdtd
from onnxdtd.errors import InputError
from onnxdtd.server.tensors import DATATYPES, datatype_of, from_bytes, from_json, to_bytes, to_json
from tests.support.asking import Reply, ask
from tests.support.command_line import DIGIT, DIGIT_MODEL, PHOTO, dense
from tests.support.model_text import model
from tests.support.paths import MODELS

pytest.importorskip("starlette", reason="the extra `serve` is not installed")
pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")

from onnxdtd.server.app import Limits, Service
from onnxdtd.server.model import prepared
from onnxdtd.web.running import Leaving

Serve = Callable[..., Any]
X = np.array([[1.0, 2.0], [-1.0, 0.5]], np.float32)


@pytest.fixture
def serve() -> Iterator[Serve]:
    services = []

    def start(limits: Limits = Limits(), **explainers: onnxdtd.Explainer) -> Any:  # noqa: B008
        models = [prepared(name, explainer) for name, explainer in explainers.items()]
        services.append(Service(models, limits, Leaving()))
        return services[-1].app("127.0.0.1", None)

    yield start
    for service in services:
        service.close()


@pytest.fixture
def table(serve: Serve, tmp_path: Path) -> Any:
    """y = x w + b of tests.support.command_line: at (1, 2) it is (4, 2, -3)."""
    path = dense(tmp_path / "dense.onnx", labels=["a", "b", "c"])
    return serve(dense=onnxdtd.Explainer(path, "attnlrp", engine="onnx"))


def tensor(x: Any = X, datatype: str = "FP32") -> dict[str, Any]:
    return {"name": "x", "datatype": datatype, "shape": list(np.shape(x)), "data": np.ravel(x).tolist()}


def infer(app: Any, *inputs: dict[str, Any], **more: Any) -> Reply:
    return ask(app, "/v2/models/dense/infer", {"inputs": list(inputs or [tensor()]), **more})


def arrays(reply: Reply) -> dict[str, Any]:
    """The outputs of a reply, JSON or binary."""
    length = int(reply.headers.get("inference-header-content-length", len(reply.body)))
    head, tail = json.loads(reply.body[:length]), reply.body[length:]
    read = {}
    for output in head["outputs"]:
        name, datatype, shape = output["name"], output["datatype"], output["shape"]
        if "data" in output:
            read[name] = from_json(name, datatype, output["data"], shape)
        else:
            size = output["parameters"]["binary_data_size"]
            read[name], tail = from_bytes(name, datatype, tail[:size], shape), tail[size:]
    assert tail == b""
    return read


@pytest.mark.parametrize("binary", [False, True])
def test_a_digit_over_http_is_what_the_api_says(serve: Serve, binary: bool) -> None:
    x = np.load(DIGIT).astype(np.float32)
    x = np.concatenate([x, x[:, :, ::-1], 0.5 * x])
    app = serve(digits=onnxdtd.Explainer(DIGIT_MODEL, "dtd", engine="onnx", input_range=(0, 1)))
    head: dict[str, Any] = {"name": "image", "datatype": "FP32", "shape": list(x.shape)}
    head |= {"parameters": {"binary_data_size": x.nbytes}} if binary else {"data": x.tolist()}
    text = json.dumps({"inputs": [head], "parameters": {"binary_data_output": binary, "target": 3}}).encode()
    extra = {"Inference-Header-Content-Length": str(len(text))} if binary else {}
    reply = ask(app, "/v2/models/digits/infer", text + (x.tobytes() if binary else b""), headers=extra)
    outputs, e = arrays(reply), onnxdtd.explain(DIGIT_MODEL, x, 3, "dtd", input_range=(0, 1))
    assert reply.status == 200
    assert reply.headers["content-type"] == f"application/{'octet-stream' if binary else 'json'}"
    size = np.abs(e.relevance["image"]).max()
    np.testing.assert_allclose(outputs["relevance.image"], e.relevance["image"], rtol=0, atol=1e-6 * size)
    np.testing.assert_allclose(outputs["logits"], e.outputs["logits"], rtol=1e-5)
    np.testing.assert_allclose(outputs["target_value"], e.target_value, rtol=1e-5)
    np.testing.assert_allclose(outputs["shares"].sum(1), e.seed, rtol=1e-6)
    assert outputs["target"].tolist() == [3, 3, 3]


def test_every_number_of_a_table_by_hand(table: Any) -> None:
    """At (1, 2) class a is 1 x 1 + 2 x 1 + 1: relevance 1 and 2, and 1 for the bias."""
    reply = infer(table, tensor(X[:1]), id="seven")
    outputs = arrays(reply)
    assert reply.json["model_name"], reply.json["id"] == ("dense", "seven")
    assert reply.json["parameters"] == {"method": "attnlrp", "engine": "onnx", "explained": "y"}
    np.testing.assert_allclose(outputs["y"], [[4, 2, -3]])
    np.testing.assert_allclose(outputs["relevance.x"], [[1, 2]], rtol=1e-5)
    np.testing.assert_allclose(outputs["shares"], [[3, 1]], rtol=1e-5)
    assert (outputs["target"].tolist(), outputs["target_value"].tolist()) == ([0], [4])
    assert outputs["target_label"].tolist() == ["class 0 'a'"]
    shares = next(output for output in reply.json["outputs"] if output["name"] == "shares")
    assert json.loads(shares["parameters"]["columns"]) == ["x", "rest"]


def test_metadata_describes_what_comes_out(table: Any) -> None:
    described = ask(table, "/v2/models/dense").json
    assert described["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}]
    outputs = {output["name"]: output for output in infer(table).json["outputs"]}
    assert [output["name"] for output in described["outputs"]] == list(outputs)
    for output in described["outputs"]:
        assert output["datatype"] == outputs[output["name"]]["datatype"]
        sizes = zip(output["shape"], outputs[output["name"]]["shape"], strict=True)
        assert all(size in (-1, actual) for size, actual in sizes)


def test_outputs_that_are_named_come_alone_each_in_its_form(table: Any) -> None:
    reply = infer(
        table, outputs=[{"name": "relevance.x", "parameters": {"binary_data": True}}, {"name": "target"}]
    )
    assert list(arrays(reply)) == ["relevance.x", "target"]
    head = json.loads(reply.body[: int(reply.headers["inference-header-content-length"])])
    assert ["data" in output for output in head["outputs"]] == [False, True]


def test_the_models_own_outputs_take_no_walk(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxdtd.Explainer, "__call__", lambda *_: pytest.fail("explained"))
    np.testing.assert_allclose(
        arrays(infer(table, outputs=[{"name": "y"}]))["y"], [[4, 2, -3], [0.5, 0.5, 0.5]]
    )
    reply = ask(table, "/v1/models/dense:predict", {"instances": X.tolist()})
    assert reply.json == {"predictions": [[4, 2, -3], [0.5, 0.5, 0.5]]}


def test_explain_of_v1_says_all_of_each_instance(table: Any) -> None:
    reply = ask(
        table, "/v1/models/dense:explain", {"instances": [{"x": [1, 2]}], "parameters": {"target": "b"}}
    )
    (row,) = reply.json["explanations"]
    assert {key: row[key] for key in ("target", "target_label", "target_value")} == {
        "target": 1, "target_label": "class 1 'b'", "target_value": 2,
    }  # fmt: skip
    assert row["outputs"] == {"y": [4, 2, -3]}
    np.testing.assert_allclose(row["relevance"]["x"], [0, 2], atol=1e-5)
    np.testing.assert_allclose([row["shares"]["x"], row["shares"]["rest"]], [2, 0], atol=1e-5)


def test_method_and_audit_are_asked_for_by_request(table: Any) -> None:
    reply = infer(table, parameters={"method": "gradient", "audit": True, "target": 1})
    notes = reply.json["parameters"]
    np.testing.assert_allclose(arrays(reply)["relevance.x"], [[0, 1], [0, 1]])
    assert notes["method"] == "gradient"
    assert "conservation" in [finding["name"] for finding in json.loads(notes["findings"])]
    assert notes["sentence"]


def test_pictures_are_sent_as_their_files(serve: Serve) -> None:
    explainer = onnxdtd.Explainer(MODELS / "mnist_cnn.onnx", "attnlrp", preprocess={"preset": "unit"})
    app, file = serve(digits=explainer), PHOTO.read_bytes()
    outputs = [{"name": "logits"}]
    as_bytes = {
        "name": "image",
        "datatype": "BYTES",
        "shape": [1],
        "parameters": {"binary_data_size": len(file) + 4},
    }
    text = json.dumps({"inputs": [as_bytes], "outputs": outputs}).encode()
    packed = text + len(file).to_bytes(4, "little") + file
    reply = ask(
        app, "/v2/models/digits/infer", packed, headers={"Inference-Header-Content-Length": str(len(text))}
    )
    logits = explainer.forward(["logits"])(explainer.feeds(PHOTO))["logits"]
    np.testing.assert_allclose(arrays(reply)["logits"], logits, rtol=1e-5)
    coded = {"instances": [{"b64": base64.b64encode(file).decode()}]}
    reply = ask(app, "/v1/models/digits:predict", coded)
    np.testing.assert_allclose(reply.json["predictions"], logits, rtol=1e-5)


def test_an_element_of_a_map_and_several_at_once(serve: Serve) -> None:
    w = np.ones((2, 1, 1, 1), np.float32)
    proto = model("(float[N, 1, 2, 2] x) => (float[N, 2, 2, 2] y) { y = Conv(x, w) }", w=w)
    app = serve(dense=onnxdtd.Explainer(proto, "attnlrp"))
    x = np.arange(1.0, 5.0).reshape(1, 1, 2, 2)
    one = arrays(infer(app, tensor(x), parameters={"target": "1,0,1"}))
    assert (one["target"].tolist(), one["target_value"].tolist()) == ([[1, 0, 1]], [2])
    several = arrays(infer(app, tensor(x), parameters={"target": "1,:,1"}))
    assert several["target"].tolist() == [[[1, 0, 1], [1, 1, 1]]]
    assert several["target_value"].tolist() == [6]


def test_a_branch_that_an_input_decides_is_described_and_taken(serve: Serve) -> None:
    """y is 2 x or -x, as `up` says."""
    text = """(float[N, 2] x, bool up) => (float[N, 2] y) {
      two = Constant <value = float {2}> ()
      y = If (up) <
        then_branch = yes () => (float[N, 2] a) { a = Mul(x, two) },
        else_branch = no () => (float[N, 2] b) { b = Neg(x) }
      >
    }"""
    app = serve(dense=onnxdtd.Explainer(model(text), "gradient", engine="onnx"))
    described = ask(app, "/v2/models/dense").json
    names = [output["name"] for output in described["outputs"]]
    assert described["inputs"][1] == {"name": "up", "datatype": "BOOL", "shape": []}
    for up, slope in ((True, 2), (False, -1)):
        flag = {"name": "up", "datatype": "BOOL", "shape": [], "data": [up]}
        outputs = arrays(infer(app, tensor(X[:1]), flag, parameters={"target": 1}))
        assert list(outputs) == names
        np.testing.assert_allclose(outputs["relevance.x"], [[0, slope]])
        chosen = infer(app, tensor(X[:1]), flag, outputs=[{"name": "relevance.x"}])
        assert list(arrays(chosen)) == ["relevance.x"]


def test_names_of_the_models_own_outputs_stay_the_models(serve: Serve) -> None:
    app = serve(
        dense=onnxdtd.Explainer(model("(float[N, 2] x) => (float[N, 2] target) { target = Relu(x) }"))
    )
    outputs = arrays(infer(app))
    np.testing.assert_allclose(outputs["target"], np.maximum(X, 0))
    assert outputs["onnxdtd.target"].tolist() == [1, 1]


@pytest.mark.parametrize("datatype", [name for name in DATATYPES if name != "BYTES"])
def test_every_datatype_goes_through_json_and_bytes(datatype: str) -> None:
    dtype = DATATYPES[datatype]
    array = np.array([[0, 1, 1], [1, 0, 1]], dtype)
    if dtype.kind in "ui":
        array[0, 0], array[1, 1] = np.iinfo(dtype).min, np.iinfo(dtype).max
    for read in (
        from_bytes("x", datatype, to_bytes(array), array.shape),
        from_json("x", datatype, json.loads(json.dumps(to_json(array))), array.shape),
        from_json("x", datatype, array.tolist(), array.shape),
    ):
        np.testing.assert_array_equal(read, array, strict=True)
    assert datatype_of(dtype) == datatype


def test_texts_and_what_is_not_finite_go_through() -> None:
    texts = np.array([["a", "ä\n"], ["", "\x00"]], object)
    assert from_json("x", "BYTES", to_json(texts), (2, 2)).tolist() == texts.tolist()
    as_bytes = from_bytes("x", "BYTES", to_bytes(texts), (2, 2))
    assert [text.decode() for text in as_bytes.reshape(-1)] == texts.reshape(-1).tolist()
    odd = np.array([np.nan, np.inf, 1.5], np.float32)
    assert to_json(odd) == [None, None, 1.5]
    np.testing.assert_array_equal(
        from_json("x", "FP32", [None, 1.5], (2,)), np.array([np.nan, 1.5], np.float32)
    )


@pytest.mark.parametrize(
    ("datatype", "data", "words"),
    [
        ("INT64", [1.5], "not of INT64"),
        ("INT8", [128], "holds -128 to 127"),
        ("UINT8", [-1], "holds 0 to 255"),
        ("BOOL", [1], "not of BOOL"),
        ("FP32", ["1"], "not of FP32"),
        ("FP32", [[1], [1, 2]], "no array"),
        ("FP32", [None, "x"], "no array of numbers"),
        ("BYTES", [1], "as texts"),
        ("FP32", None, "a list"),
        ("INT64", [10**40], "not of INT64"),
        ("FP32", [1, 2], "has 1 elements, 2 were sent"),
    ],
)
def test_data_that_is_not_of_its_datatype_is_refused(datatype: str, data: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        from_json("x", datatype, data, (1,))


def test_bytes_that_are_not_as_many_are_refused() -> None:
    with pytest.raises(InputError, match="has 8 bytes, 4 were sent"):
        from_bytes("x", "FP32", b"1234", (2,))
    for cut in (b"\x05\x00\x00\x00abc", b"\x05\x00"):
        with pytest.raises(InputError, match="ends too early"):
            from_bytes("x", "BYTES", cut, (1,))
