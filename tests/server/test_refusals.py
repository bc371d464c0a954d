"""Who is refused, and how: one JSON object that says what mends it, no traceback, and no file of the server's."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxdtd
from onnxdtd.cli import main
from onnxdtd.web import needed
from tests.support.asking import ask
from tests.support.command_line import DIGIT_MODEL, dense

pytest.importorskip("starlette", reason="the extra `serve` is not installed")
pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")

from onnxdtd.server.app import Limits, Service
from onnxdtd.server.model import prepared
from onnxdtd.web.guard import is_loopback
from onnxdtd.web.running import Leaving

TENSOR = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}
INFER = "/v2/models/dense/infer"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    path = dense(tmp_path / "dense.onnx")
    made = Service([prepared("dense", onnxdtd.Explainer(path))], Limits(body=4000), Leaving())
    yield made
    made.close()


@pytest.fixture
def app(service: Service) -> Any:
    return service.app("127.0.0.1", None)


def changed(**changes: Any) -> dict[str, Any]:
    return {"inputs": [{**TENSOR, **changes}]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "no JSON"),
        (b"[]", "must be a JSON object"),
        (b"\xff", "no JSON"),
        ({}, "'inputs' must be a JSON list"),
        ({"inputs": []}, "input 'x' float32 (N, 2) is missing"),
        ({"inputs": [1]}, "an input must be a JSON object"),
        ({"inputs": [TENSOR, TENSOR]}, "sent twice"),
        (changed(name="z"), "the model has no input 'z'"),
        (changed(datatype="FP8"), "datatype is one of BOOL"),
        (changed(datatype=[]), "datatype is one of BOOL"),
        (changed(shape=[1, -2]), "shape is a list of sizes"),
        (changed(shape=[1, 3]), "has 3 elements, 2 were sent"),
        (changed(shape=[2, 1]), "where the model takes (N, 2)"),
        (changed(data=[1, None]), "1 NaN"),
        (changed(datatype="INT64"), "convert it with x.astype('float32')"),
        (changed(parameters={"binary_data_size": 8}), "do not agree"),
        ({"inputs": [TENSOR], "parameters": {"target": 7}}, "target 7 is out of range"),
        ({"inputs": [TENSOR], "parameters": {"target": "no such"}}, "nor a class or index"),
        ({"inputs": [TENSOR], "parameters": {"target": [1]}}, "an index or a text"),
        ({"inputs": [TENSOR], "parameters": {"target": "mask:/etc/passwd"}}, "nor a class or index"),
        ({"inputs": [TENSOR], "parameters": {"target": "0 - mask:/etc/passwd"}}, "is no class"),
        ({"inputs": [TENSOR], "parameters": {"method": "magic"}}, "no method 'magic'"),
        ({"inputs": [TENSOR], "parameters": {"audit": "yes"}}, "audit is true or false"),
        ({"inputs": [TENSOR], "parameters": {"rules": "file.toml"}}, "there is no parameter 'rules'"),
        ({"inputs": [TENSOR], "outputs": [{"name": "q"}]}, "there is no output 'q'"),
        (b'{"inputs":' + b"[" * 3000, "nested too deep"),
    ],
)
def test_what_is_wrong_with_a_request_is_400_and_one_object(app: Any, content: Any, words: str) -> None:
    reply = ask(app, INFER, content)
    assert (reply.status, reply.json["exit_code"]) == (400, 2)
    assert words in reply.json["error"]
    assert reply.headers["content-type"] == "application/json"


def test_all_faults_of_a_request_are_told_at_once(app: Any) -> None:
    reply = ask(
        app, INFER, {"inputs": [], "parameters": {"target": "no such", "method": "magic", "speed": 1}}
    )
    assert [word in reply.json["error"] for word in ("is missing", "nor a class", "'magic'", "'speed'")] == [
        True
    ] * 4


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"instances": []}, "one sample or more"),
        ({"instances": "x"}, "one sample or more"),
        ({"instances": [[1, 2], [1]]}, "no array"),
        ({"instances": [{"x": [1, 2]}, {"y": [1, 2]}]}, "do not all have the same inputs"),
        ({"instances": ["/etc/passwd"]}, "not of FP32"),
        ({"instances": [{"b64": "AAAA"}]}, "nothing says how the model wants its pictures"),
        ({"instances": [{"b64": "?"}]}, "no base64"),
        ({"instances": [[1, 2]], "parameters": []}, "'parameters' must be a JSON object"),
    ],
)
def test_what_is_wrong_with_instances_is_400(app: Any, content: Any, words: str) -> None:
    reply = ask(app, "/v1/models/dense:explain", content)
    assert (reply.status, words in reply.json["error"]) == (400, True)


def test_what_no_rule_serves_is_501(app: Any) -> None:
    reply = ask(app, INFER, {"inputs": [TENSOR], "parameters": {"method": "grad_cam"}})
    assert (reply.status, reply.json["exit_code"]) == (501, 4)


def test_addresses_that_are_not_there(app: Any) -> None:
    assert ask(app, "/v2/models/none").json == {"error": "there is no model 'none': 'dense'"}
    assert [ask(app, path).status for path in ("/nowhere", "/v2/models/dense/infer", INFER[:-6] + "/x")] == [
        404,
        405,
        404,
    ]
    assert ask(app, "/v1/models/dense:train", {}).status == 404
    assert ask(app, "/../../etc/passwd").status == 404


def test_a_bug_of_ours_is_500_without_its_words(
    app: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(onnxdtd.Explainer, "__call__", broken)
    reply = ask(app, INFER, {"inputs": [TENSOR]})
    assert (reply.status, "secret" in reply.json["error"]) == (500, False)
    assert "secret" in capsys.readouterr().err


def test_more_than_the_limit_is_413_however_it_is_packed(app: Any) -> None:
    large = json.dumps({"inputs": [{**TENSOR, "name": "x" * 5000}]}).encode()
    assert ask(app, INFER, large).status == 413
    assert ask(app, INFER, large, headers={"content-length": "10"}).status == 413
    packed = gzip.compress(large)
    assert len(packed) < 500
    assert ask(app, INFER, packed, headers={"content-encoding": "gzip"}).status == 413
    for body, encoding, status in ((b"no", "gzip", 400), (packed[:-9], "gzip", 413), (b"", "br", 415)):
        assert ask(app, INFER, body, method="POST", headers={"content-encoding": encoding}).status == status
    small = gzip.compress(json.dumps({"inputs": [TENSOR]}).encode())
    assert ask(app, INFER, small, headers={"content-encoding": "gzip"}).status == 200
    assert ask(app, INFER, small[:-9], headers={"content-encoding": "gzip"}).status == 400


def test_a_token_is_asked_for_everywhere_but_by_probes(service: Service) -> None:
    app = service.app("127.0.0.1", "s3cret")
    for path in ("/v2", "/v2/models/dense", "/metrics", "/v2/models/dense/ready"):
        for headers in ({}, {"authorization": "Bearer no"}, {"authorization": "s3cret"}):
            reply = ask(app, path, headers=headers)
            assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
        assert ask(app, path + "?token=s3cret").status == 401
        assert ask(app, path, headers={"authorization": "Bearer s3cret"}).status == 200
    assert [ask(app, f"/v2/health/{word}").status for word in ("live", "ready")] == [200, 200]


def test_loopback_answers_to_its_own_names_and_pages_only(service: Service) -> None:
    app = service.app("127.0.0.1", None)
    for host in ("evil.example", "127.0.0.1.evil.example:80", "", "[::2]:1", "[::1"):
        assert ask(app, "/v2", headers={"host": host}).status == 403
    for host in ("localhost:8000", "127.0.0.1", "[::1]:80"):
        assert ask(app, "/v2", headers={"host": host}).status == 200
    for origin, status in (("http://127.0.0.1:8000", 200), ("http://evil.example", 403), ("null", 403)):
        assert ask(app, "/v2", headers={"origin": origin}).status == status
    assert ask(service.app("0.0.0.0", None), "/v2", headers={"host": "models.example"}).status == 200
    assert [is_loopback(host) for host in ("127.8.0.1", "::1", "LOCALHOST.", "0.0.0.0", "::")] == [
        True
    ] * 3 + [False] * 2


def test_a_server_that_is_to_end_says_so(service: Service) -> None:
    app = service.app("127.0.0.1", None)
    service.leaving.begun = True
    reply = ask(app, "/v2/health/ready")
    assert (reply.status, reply.json, reply.headers["connection"]) == (503, {"ready": False}, "close")
    assert ask(app, "/v2/models/dense/ready").status == 503
    assert ask(app, INFER, {"inputs": [TENSOR]}).status == 200


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--queue", 0], "--queue 0: give a number from 1 on"),
        (["--timeout", 0], "--timeout 0: give a number of seconds above 0"),
        (["--body", "big"], "memory is a size such as 512M"),
        (["--token", "a b"], "a token is one word"),
        (["--method", "magic"], "no method 'magic'"),
        (["--port", 70000], "--port 70000"),
        (["--host", "no.such.host.invalid"], "nothing can listen at no.such.host.invalid"),
    ],
)
def test_options_that_cannot_be_right(
    arguments: list[Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", str(DIGIT_MODEL), *map(str, arguments)]) == 2
    assert words in capsys.readouterr().err


def test_two_models_of_one_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "other").mkdir()
    paths = [dense(tmp_path / "m.onnx"), dense(tmp_path / "other" / "m.onnx")]
    assert main(["serve", *map(str, paths), str(tmp_path / "none.onnx")]) == 2
    said = capsys.readouterr().err
    assert "would both be served as 'm'" in said
    assert "none.onnx" in said


def test_a_missing_package_is_named_with_its_cure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(needed.importlib.util, "find_spec", lambda name: None if name == "uvicorn" else name)
    assert main(["serve", str(DIGIT_MODEL)]) == 2
    assert 'needs uvicorn, not installed here: pip install "onnxdtd[serve]"' in capsys.readouterr().err


def test_a_name_that_is_hostile_is_told_as_text(service: Service) -> None:
    reply = ask(service.app("127.0.0.1", None), INFER, changed(name="\x1b[31m</script>\u202e"))
    assert "\\x1b[31m</script>\\u202e" in reply.json["error"]
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert np.all([ord(c) >= 32 or c == "\n" for c in reply.json["error"]])
