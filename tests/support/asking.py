"""An ASGI application as a test asks it: one request at a time, in process, without a client package."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

LOCAL = {"host": "127.0.0.1:8000"}


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def asking(
    app: Any, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> Reply:
    """The reply to one request."""
    place, _, query = path.partition("?")
    lines = {**LOCAL, "content-length": str(len(body)), **(headers or {})}
    scope = {
        "type": "http", "method": method, "path": place, "raw_path": place.encode(), "scheme": "http",
        "query_string": query.encode(), "http_version": "1.1", "root_path": "",
        "headers": [(k.lower().encode(), v.encode()) for k, v in lines.items()],
    }  # fmt: skip
    parts = [{"type": "http.request", "body": body, "more_body": False}]
    messages: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return parts.pop() if parts else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    await app(scope, receive, send)
    start, *rest = messages
    own = {name.decode(): value.decode() for name, value in start["headers"]}
    return Reply(start["status"], own, b"".join(message.get("body", b"") for message in rest))


def ask(
    app: Any, path: str, content: Any = None, *, method: str = "", headers: dict[str, str] | None = None
) -> Reply:
    """GET, or POST where there is something to send: bytes, or what becomes JSON."""
    body = b"" if content is None else content if isinstance(content, bytes) else json.dumps(content).encode()
    return asyncio.run(asking(app, method or ("GET" if content is None else "POST"), path, body, headers))
