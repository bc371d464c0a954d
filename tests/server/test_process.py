"""The server as a process: other people's clients, and a stop in the middle."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import onnxdtd
from tests.support.command_line import DIGIT, DIGIT_MODEL

pytest.importorskip("starlette", reason="the extra `serve` is not installed")
pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")

from onnxdtd.web.running import bound

PATIENCE = 30
NAME = DIGIT_MODEL.stem


@contextmanager
def served() -> Iterator[tuple[str, int, subprocess.Popen[str]]]:
    """Host, port and process of a server of the digits."""
    command = [sys.executable, "-m", "onnxdtd", "serve", str(DIGIT_MODEL), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            address = re.search(r"http://([\d.]+):(\d+)", first_line := process.stderr.readline())
            assert address, first_line
            yield address[1], int(address[2]), process
        finally:
            process.terminate()


def digit() -> tuple[Any, Any]:
    """An input, and the relevance of class 3."""
    x = np.load(DIGIT).astype(np.float32)
    return x, onnxdtd.explain(DIGIT_MODEL, x, 3).relevance["image"]


def test_the_client_of_triton_asks_as_it_is() -> None:
    triton = pytest.importorskip("tritonclient.http", reason="tritonclient[http] is not installed")
    (x, relevance), names = digit(), ("relevance.image", "target", "target_label")
    with served() as (host, port, _):
        client = triton.InferenceServerClient(f"{host}:{port}")
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready(NAME, "1")
        assert client.get_server_metadata()["name"] == "onnxdtd"
        assert client.get_model_metadata(NAME)["inputs"][0]["shape"] == [-1, 1, 28, 28]
        for binary, packing in ((True, None), (True, "gzip"), (False, "deflate")):
            tensor = triton.InferInput("image", list(x.shape), "FP32")
            tensor.set_data_from_numpy(x, binary_data=binary)
            outputs = [triton.InferRequestedOutput(name, binary_data=binary) for name in names]
            answer = client.infer(
                NAME, [tensor], outputs=outputs, request_id="7", parameters={"target": 3},
                request_compression_algorithm=packing,
            )  # fmt: skip
            size = np.abs(relevance).max()
            np.testing.assert_allclose(
                answer.as_numpy("relevance.image"), relevance, rtol=0, atol=1e-6 * size
            )
            assert answer.as_numpy("target").tolist() == [3]
            assert answer.get_response()["id"] == "7"
        with pytest.raises(Exception, match=r"\[400\] target 99 is out of range"):
            client.infer(NAME, [tensor], parameters={"target": 99})
        client.close()


def test_the_client_of_kserve_asks_as_it_is() -> None:
    kserve = pytest.importorskip("kserve", reason="kserve is not installed")
    x, relevance = digit()

    async def asked(base: str) -> tuple[Any, Any, Any]:
        tensor = kserve.InferInput("image", list(x.shape), "FP32")
        tensor.set_data_from_numpy(x, binary_data=True)
        v2, v1 = (
            kserve.InferenceRESTClient(kserve.RESTConfig(protocol=protocol)) for protocol in ("v2", "v1")
        )
        assert await v2.is_server_ready(base)
        for client in (v1, v2):
            assert await client.is_server_live(base)
            assert await client.is_model_ready(base, NAME)
        request = kserve.InferRequest(NAME, [tensor], parameters={"target": 3})
        answer = await v2.infer(base, request, model_name=NAME)
        instances = {"instances": x.tolist(), "parameters": {"target": 3}}
        predicted = await v1.infer(base, instances, model_name=NAME)
        explained = await v1.explain(base, NAME, instances)
        await asyncio.gather(v1.close(), v2.close())
        return answer, predicted, explained

    with served() as (host, port, _):
        answer, predicted, explained = asyncio.run(asked(f"http://{host}:{port}"))
    by_name = {output.name: output.as_numpy() for output in answer.outputs}
    for r in (by_name["relevance.image"], [explained["explanations"][0]["relevance"]["image"]]):
        np.testing.assert_allclose(r, relevance, rtol=0, atol=1e-6 * np.abs(relevance).max())
    np.testing.assert_allclose(predicted["predictions"], by_name["logits"], rtol=1e-6)


def test_an_answer_is_sent_at_once() -> None:
    """asyncio turns the wait for acknowledgements off where a socket says its protocol, and only there."""
    with bound("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_sigterm_loses_no_request_that_was_accepted() -> None:
    with served() as (host, port, process):
        body = json.dumps({"instances": np.zeros((1, 1, 28, 28)).tolist()})

        def client(_: int) -> tuple[int, int, bool]:
            """Answers, others, and whether the last one was told that the connection ends."""
            connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
            statuses = []
            while True:
                try:
                    connection.request("POST", "/v1/models/mnist_cnn:explain", body)
                    reply = connection.getresponse()
                    statuses.append(reply.status)
                    reply.read()
                except OSError:
                    return statuses.count(200), len(statuses), False
                if reply.getheader("connection") == "close":
                    return statuses.count(200), len(statuses), True

        with ThreadPoolExecutor(4) as pool:
            clients = [pool.submit(client, i) for i in range(4)]
            time.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            ends = [own.result(PATIENCE) for own in clients]
        out, err = process.communicate(timeout=PATIENCE)
    answered = sum(good for good, _, _ in ends)
    assert [good == count > 0 and told for good, count, told in ends] == [True] * 4
    assert (process.returncode, out.strip(), err) == (0, f"stopped: {answered} requests, all answered", "")
