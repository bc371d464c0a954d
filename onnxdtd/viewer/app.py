"""The routes of the viewer: the page, files that are dropped, and jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route

from onnxdtd.disk import parsed_json
from onnxdtd.errors import UsageError
from onnxdtd.viewer import work
from onnxdtd.viewer.jobs import Job, Jobs, Work
from onnxdtd.viewer.page import page
from onnxdtd.viewer.workspace import Workspace
from onnxdtd.web.body import body_of
from onnxdtd.web.faults import RequestError, as_json, refused
from onnxdtd.web.guard import App, Guard

HOST = "127.0.0.1"
KINDS: dict[str, Callable[..., dict[str, Any]]] = {
    "explain": work.explained,
    "audit": work.audit,
    "compare": work.compared,
}
_SMALL = 1 << 20
"""Bytes of a choice."""
_PATIENCE = 600.0
"""Seconds that a file may take to arrive."""


class Viewer:
    """held: names of a model and of an input that the command was given."""

    def __init__(self, workspace: Workspace, jobs: Jobs, held: tuple[str, str] = ("", "")) -> None:
        self.workspace, self.jobs, self._held = workspace, jobs, held

    def app(self, token: str) -> App:
        """The application, for whoever has the address that was printed."""
        routes = [
            Route("/", _answering(self._page)),
            Route("/api/held", _answering(self._given)),
            Route("/api/files/{name}", _answering(self._receive), methods=["PUT"]),
            Route("/api/model", _answering(self._model), methods=["POST"]),
            Route("/api/jobs/{number:int}", _answering(self._job)),
            Route("/api/jobs/{number:int}/page", _answering(self._job_page)),
            *(
                Route(f"/api/{kind}", _answering(partial(self._start, make)), methods=["POST"])
                for kind, make in KINDS.items()
            ),
        ]
        application = Starlette(routes=routes, exception_handlers={HTTPException: _no_such_page})
        return Guard(application, HOST, token, by_address=("/",))

    async def _page(self, _request: Any) -> Response:
        return page()

    async def _given(self, _request: Any) -> Response:
        model, input = self._held
        return as_json({"model": model, "input": input})

    async def _receive(self, request: Any) -> Response:
        """A file, written as it arrives."""
        receiver, whole = self.workspace.receive(request.path_params["name"]), False
        try:
            async with asyncio.timeout(_PATIENCE):
                async for part in request.stream():
                    await run_in_threadpool(receiver.write, part)
            whole = True
        except (TimeoutError, ClientDisconnect):
            raise RequestError(408, "the file did not arrive") from None
        finally:
            await run_in_threadpool(receiver.end, whole)
        return as_json({"kind": receiver.kind})

    async def _model(self, request: Any) -> Response:
        fields = await _fields(request)
        if not isinstance(name := fields.get("name"), str):
            raise UsageError("a model is opened by its name")
        return self._begun(lambda _progress: self.workspace.open(name))

    async def _start(self, make: Callable[..., dict[str, Any]], request: Any) -> Response:
        choice = work.Choice.read(await _fields(request))
        return self._begun(partial(make, self.workspace, choice))

    def _begun(self, task: Work) -> Response:
        return as_json({"job": self.jobs.start(task).number}, 202)

    async def _job(self, request: Any) -> Response:
        return as_json(self._asked(request).document())

    async def _job_page(self, request: Any) -> Response:
        """HTML, but as text: it is shown in a frame of another origin, never in this one."""
        job = self._asked(request)
        if not job.page:
            raise RequestError(404, "this job has no page")
        headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
        return Response(job.page, headers=headers, media_type="text/plain; charset=utf-8")

    def _asked(self, request: Any) -> Job:
        job = self.jobs.get(request.path_params["number"])
        if job is None:
            raise RequestError(404, "there is no such job")
        return job


def _answering(handler: Callable[[Any], Awaitable[Response]]) -> Callable[[Any], Awaitable[Response]]:
    """With every fault as JSON."""

    async def answer(request: Any) -> Response:
        try:
            return await handler(request)
        except Exception as error:
            return refused(error)

    return answer


async def _fields(request: Any) -> dict[str, Any]:
    try:
        fields = parsed_json(await body_of(request, _SMALL))
    except ValueError as error:
        raise UsageError(f"the body is no JSON: {error}") from None
    if not isinstance(fields, dict):
        raise UsageError("the body must be a JSON object")
    return fields


async def _no_such_page(_request: Any, error: Any) -> Response:
    return refused(RequestError(error.status_code, "there is no such address"))
