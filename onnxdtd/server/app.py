"""The routes: health and metadata of the Open Inference Protocol, `infer`, KServe's `:predict` and `:explain`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from onnxdtd.server import metrics, v1, v2
from onnxdtd.server.model import Answer, Served
from onnxdtd.server.question import Question
from onnxdtd.server.waiting import Line
from onnxdtd.version import __version__
from onnxdtd.web.body import body_of
from onnxdtd.web.faults import RequestError, as_json, refused
from onnxdtd.web.guard import App, Guard
from onnxdtd.web.running import Leaving

T = TypeVar("T")
HEALTH = ("/v2/health/live", "/v2/health/ready", "/")
"""Answered without a token: probes have none, and learn nothing else."""
_AT_ONCE = 1 << 16
"""Bytes that are read or written in less than a millisecond or two."""
_LATE = 5.0
"""Seconds beyond the limit of time for which a pass that does not look at the clock is waited for."""


@dataclass(frozen=True)
class Limits:
    """seconds: of a request. body: bytes of one. waiting: requests that wait for a model. rows, elements: of what
    shares a pass."""

    seconds: float = 60.0
    body: int = 64 * 2**20
    waiting: int = 64
    rows: int = 32
    elements: int = 1 << 19


class Service:
    """Models, each with its line, and what is counted of them; `app` is the ASGI application."""

    def __init__(self, models: Sequence[Served], limits: Limits, leaving: Leaving) -> None:
        self.limits, self.leaving, self.metrics = limits, leaving, metrics.Metrics()
        self.lines = {
            served.name: Line(
                served, size=limits.waiting, rows=limits.rows, elements=limits.elements, seconds=limits.seconds,
                on_pass=self._on_pass,
            )
            for served in models
        }  # fmt: skip

    def app(self, host: str, token: str | None) -> App:
        """The application, for those who may ask."""
        routes = [
            Route("/", self.alive),
            Route("/metrics", self.prometheus),
            Route("/v2", self.server),
            Route("/v2/health/live", self.live),
            Route("/v2/health/ready", self.ready),
            Route("/v2/models", self.models),
            Route("/v1/models", self.models),
            Route("/v1/models/{name}", self.v1_status, methods=["GET"]),
            Route("/v1/models/{name}", self.v1_ask, methods=["POST"]),
        ]
        for place in ("/v2/models/{name}", f"/v2/models/{{name}}/versions/{v2.VERSION}"):
            routes += [
                Route(place, self.metadata),
                Route(f"{place}/ready", self.model_ready),
                Route(f"{place}/infer", self.infer, methods=["POST"]),
            ]
        application = Starlette(routes=routes, exception_handlers={HTTPException: _no_such_page})
        return Guard(self._counted(application), host, token, public=HEALTH)

    def close(self) -> None:
        """Answer what waits, and end the threads."""
        for line in self.lines.values():
            line.close()

    async def alive(self, _request: Any) -> Response:
        """What KServe's client asks of a V1 server."""
        return as_json({"status": "alive"})

    async def server(self, _request: Any) -> Response:
        """Who this is."""
        return as_json({"name": "onnxdtd", "version": __version__, "extensions": ["binary_tensor_data"]})

    async def live(self, _request: Any) -> Response:
        """Whether the process works."""
        return as_json({"live": True})

    async def ready(self, _request: Any) -> Response:
        """Whether further requests are welcome; models are ready before the server listens."""
        return as_json({"ready": not self.leaving.begun}, 503 if self.leaving.begun else 200)

    async def prometheus(self, _request: Any) -> Response:
        """Counts."""
        waiting = {name: len(line) for name, line in self.lines.items()}
        return Response(self.metrics.text(waiting), media_type=metrics.CONTENT_TYPE)

    async def models(self, _request: Any) -> Response:
        """Their names."""
        return as_json({"models": list(self.lines)})

    async def metadata(self, request: Any) -> Response:
        """What a model takes and returns."""
        return await self._answered(request, "metadata", self._metadata)

    async def _metadata(self, line: Line, _request: Any) -> Response:
        return as_json(v2.metadata(line.served))

    async def model_ready(self, request: Any) -> Response:
        """Whether a model answers."""
        return await self._answered(request, "ready", self._model_ready)

    async def _model_ready(self, line: Line, _request: Any) -> Response:
        ready = not self.leaving.begun
        return as_json({"name": line.served.name, "ready": ready}, 200 if ready else 503)

    async def v1_status(self, request: Any) -> Response:
        """The same in V1."""
        return await self._answered(request, "ready", self._model_ready)

    async def infer(self, request: Any) -> Response:
        """Predict and explain, by tensors."""
        return await self._answered(request, "infer", self._infer)

    async def _infer(self, line: Line, request: Any) -> Response:
        body = await body_of(request, self.limits.body)
        head = request.headers.get(v2.HEAD_LENGTH)
        asked = await _beside(len(body), lambda: v2.read_request(line.served, body, head))
        answer = await self._wait(line, asked.question)
        content, headers = await _beside(answer.nbytes, lambda: v2.written_answer(line.served, asked, answer))
        return Response(content, headers=headers)

    async def v1_ask(self, request: Any) -> Response:
        """`:predict` and `:explain`, by instances."""
        name, _, verb = request.path_params["name"].rpartition(":")
        if verb not in ("predict", "explain"):
            return refused(RequestError(404, "a V1 model is asked to :predict or to :explain"))

        async def ask(line: Line, request: Any) -> Response:
            body = await body_of(request, self.limits.body)
            question = await _beside(len(body), lambda: v1.read_request(line.served, body, verb == "explain"))
            answer = await self._wait(line, question)
            write = v1.explanations if verb == "explain" else v1.predictions
            return await _beside(answer.nbytes, lambda: as_json(write(line.served, answer)))

        return await self._answered(request, verb, ask, name)

    async def _wait(self, line: Line, question: Question) -> Answer:
        answer = line.put(question)
        try:
            async with asyncio.timeout(self.limits.seconds + _LATE):
                return await asyncio.wrap_future(answer)
        except TimeoutError:
            raise RequestError(504, f"not answered after {self.limits.seconds:g} s") from None

    async def _answered(
        self,
        request: Any,
        kind: str,
        answer: Callable[[Line, Any], Awaitable[Response]],
        name: str | None = None,
    ) -> Response:
        """The answer of a model, or the fault that stands against it, counted and timed."""
        name, begun = name or request.path_params["name"], time.perf_counter()
        if (line := self.lines.get(name)) is None:
            models = ", ".join(map(repr, self.lines))
            return refused(RequestError(404, f"there is no model {name[:100]!r}: {models}"))
        try:
            response = await answer(line, request)
        except Exception as error:
            response = refused(error)
        status = str(response.status_code)
        self.metrics.count("onnxdtd_requests_total", model=name, kind=kind, status=status)
        seconds = time.perf_counter() - begun
        self.metrics.observe("onnxdtd_request_seconds", seconds, model=name, kind=kind)
        return response

    def _on_pass(self, name: str, questions: int) -> None:
        self.metrics.observe("onnxdtd_pass_questions", questions, model=name)

    def _counted(self, app: App) -> App:
        """Counts what is accepted and what is answered whole; tells clients when the server is about to end."""

        async def counted(scope: Any, receive: Any, send: Any) -> None:
            self.metrics.count("onnxdtd_accepted_total")

            async def sending(message: Any) -> None:
                if message["type"] == "http.response.start" and self.leaving.begun:
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
                await send(message)
                if message["type"] == "http.response.body" and not message.get("more_body"):
                    self.metrics.count("onnxdtd_answered_total")

            await app(scope, receive, sending)

        return counted


async def _beside(size: int, work: Callable[[], T]) -> T:
    """What work makes of so many bytes: of many in a thread of its own, so that others are not kept waiting; of few
    at once, since a change of threads takes longer."""
    return await run_in_threadpool(work) if size > _AT_ONCE else work()


async def _no_such_page(_request: Any, error: Any) -> Response:
    """Starlette's own refusals as JSON."""
    words = {404: "there is no such address: see /v2", 405: "this address takes another method"}
    return refused(RequestError(error.status_code, words.get(error.status_code, str(error.detail))))
