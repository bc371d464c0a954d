"""A server under load on loopback: answers, p50 and p99 beside the bare explainer, memory, and a stop in the middle.

    python -m tools.bench.serve [--seconds 60] [--clients 8] [--model FILE] [--input FILE.npy] [--method M]

To stdout one JSON object. Each client asks again as soon as it is answered, over one connection, in binary tensors.
`lost` counts requests without an answer, and answers that are not the API's to 1e-6 of the largest relevance. Then
as many clients ask while the server is told to stop: `accepted` is what it took, `answered` what the clients got.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import onnxdtd
from tools.paths import MODELS

HEAD = "Inference-Header-Content-Length"
WARM = 5
"""Answers before time and memory count."""
SETTLED = 0.25
"""The part of the run after which memory is to stay as it is."""


class Server:
    """`onnxdtd serve` in a process of its own."""

    def __init__(self, model: Path, method: str) -> None:
        command = [sys.executable, "-m", "onnxdtd", "serve", str(model), "--port", "0", "--method", method]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, **pipes)
        first = self.process.stderr.readline()  # type: ignore[union-attr]
        match = re.search(r"http://([\d.]+):(\d+)", first)
        if match is None:
            raise RuntimeError(first)
        self.host, self.port = match[1], int(match[2])

    @property
    def megabytes(self) -> float:
        """Resident now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]

    def stop(self) -> tuple[int, str]:
        """Exit code and last word."""
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, (out + err).strip()


@dataclass
class Client:
    """Asks until it is told to end or the connection ends. wrong: answers that are not as they must be."""

    server: Server
    body: bytes
    head: int
    path: str
    name: str
    expected: Any
    seconds: list[float] = field(default_factory=list)
    wrong: int = 0
    unanswered: int = 0
    end: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> None:
        connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=60)
        while not self.end.is_set():
            begun = time.perf_counter()
            try:
                connection.request("POST", self.path, self.body, {HEAD: str(self.head)})
                reply = connection.getresponse()
                content = reply.read()
            except OSError:
                self.unanswered += 1
                return
            self.seconds.append(time.perf_counter() - begun)
            self.wrong += reply.status != 200 or not self._right(reply, content)
            if reply.getheader("connection") == "close":
                return

    def _right(self, reply: Any, content: bytes) -> bool:
        relevance = np.frombuffer(content[int(reply.getheader(HEAD)) :], np.float32).reshape(
            self.expected.shape
        )
        return bool(np.abs(relevance - self.expected).max() <= 1e-6 * np.abs(self.expected).max())


def clients(server: Server, count: int, model: Path, x: Any, e: Any) -> list[Client]:
    """Each asks for the relevance of the same input."""
    (name,) = e.relevance
    tensor = {
        "name": name,
        "datatype": "FP32",
        "shape": x.shape,
        "parameters": {"binary_data_size": x.nbytes},
    }
    outputs = [{"name": f"relevance.{name}", "parameters": {"binary_data": True}}]
    head = json.dumps({"inputs": [tensor], "outputs": outputs}).encode()
    path = f"/v2/models/{model.stem}/infer"
    return [
        Client(server, head + x.tobytes(), len(head), path, name, e.relevance[name]) for _ in range(count)
    ]


def asking(crowd: Sequence[Client]) -> list[threading.Thread]:
    threads = [threading.Thread(target=client) for client in crowd]
    for thread in threads:
        thread.start()
    return threads


def times(seconds: Sequence[float]) -> dict[str, float]:
    """In milliseconds."""
    p50, p99 = np.percentile(1e3 * np.asarray(seconds), [50, 99])
    return {"p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2)}


def bare(explainer: onnxdtd.Explainer, x: Any, seconds: float) -> dict[str, float]:
    """The explainer alone, called again and again."""
    each, end = list[float](), time.perf_counter() + seconds
    while time.perf_counter() < end:
        begun = time.perf_counter()
        explainer(x)
        each.append(time.perf_counter() - begun)
    each = each[WARM:]
    return {"explained": len(each), "per_second": round(len(each) / sum(each), 1), **times(each)}


def loaded(server: Server, crowd: Sequence[Client], seconds: float) -> dict[str, Any]:
    begun, memory = time.perf_counter(), list[float]()
    threads = asking(crowd)
    while time.perf_counter() < begun + seconds:
        time.sleep(min(1.0, seconds / 20))
        memory.append(server.megabytes)
    for client in crowd:
        client.end.set()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begun
    each = [s for client in crowd for s in client.seconds[WARM:]]
    settled = memory[int(SETTLED * len(memory)) :]
    return {
        "answered": sum(len(client.seconds) for client in crowd),
        "lost": sum(client.unanswered + client.wrong for client in crowd),
        "per_second": round(sum(len(client.seconds) for client in crowd) / took, 1),
        **times(each),
        "megabytes": {
            "settled": round(settled[0], 1),
            "end": round(settled[-1], 1),
            "most": round(max(memory), 1),
        },
    }


def stopped(server: Server, crowd: Sequence[Client]) -> dict[str, Any]:
    threads = asking(crowd)
    time.sleep(2)
    code, words = server.stop()
    for thread in threads:
        thread.join()
    answered = sum(len(client.seconds) for client in crowd)
    return {"exit_code": code, "said": words, "answered": answered, "wrong": sum(client.wrong for client in crowd),
            "clients_without_an_answer": sum(client.unanswered for client in crowd)}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--model", type=Path, default=MODELS / "mnist_cnn.onnx")
    parser.add_argument("--input", type=Path, default=MODELS / "mnist_digit.npy")
    parser.add_argument("--method", default="auto")
    a = parser.parse_args()
    explainer = onnxdtd.Explainer(a.model, a.method, engine="onnx")
    x = np.ascontiguousarray(np.load(a.input), np.float32)
    e = explainer(x)
    report: dict[str, Any] = {
        "model": a.model.name,
        "method": e.method,
        "clients": a.clients,
        "seconds": a.seconds,
    }
    report["bare"] = bare(explainer, x, min(a.seconds, 10))
    server = Server(a.model, a.method)
    report["served"] = loaded(server, clients(server, a.clients, a.model, x, e), a.seconds)
    report["bare_after"] = bare(explainer, x, min(a.seconds, 10))
    server.stop()
    server = Server(a.model, a.method)
    report["stopped_in_the_middle"] = stopped(server, clients(server, a.clients, a.model, x, e))
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
