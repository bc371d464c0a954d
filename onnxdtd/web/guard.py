"""Who may ask: by the name that the server is reached under, by where a page comes from, by a token.

A page of a stranger's site, opened in a browser on this machine, can reach a server on loopback, also under a name of
its own that resolves to 127.0.0.1. So a server on loopback answers to names of loopback only, and never to a page of
another origin.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable, Collection
from typing import Any
from urllib.parse import parse_qs, urlsplit

from onnxdtd.web.faults import RequestError, refused

App = Callable[..., Any]
"""An ASGI application: (scope, receive, send)."""


def is_loopback(host: str) -> bool:
    """Whether a name or an address is this machine's own."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Guard:
    """An ASGI application behind which only those stand who may ask.

    host: that the server is bound to. token: what the header `Authorization: Bearer TOKEN` must say, None: nothing.
    public: paths that take no token. by_address: paths that take it from the address, `?token=TOKEN`, too.
    """

    def __init__(
        self,
        app: App,
        host: str,
        token: str | None,
        *,
        public: Collection[str] = (),
        by_address: Collection[str] = (),
    ) -> None:
        self._app, self._local, self._token = app, is_loopback(host), token
        self._public, self._by_address = frozenset(public), frozenset(by_address)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http":
            return
        try:
            self._check(scope)
        except RequestError as error:
            await refused(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check(self, scope: Any) -> None:
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        host = headers.get("host", "")
        if self._local and not is_loopback(_name_of(host)):
            raise RequestError(403, "this server answers to names of this machine only, such as 127.0.0.1")
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            raise RequestError(403, "this server answers to no page of another origin")
        if self._token is not None and scope["path"] not in self._public:
            scheme, _, credentials = headers.get("authorization", "").partition(" ")
            token = credentials.strip() if scheme.lower() == "bearer" else ""
            if not token and scope["path"] in self._by_address:
                token = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
            if not hmac.compare_digest(token.encode(), self._token.encode()):
                raise RequestError(
                    401,
                    "the token is missing or wrong: send the header Authorization: Bearer TOKEN",
                    {"WWW-Authenticate": "Bearer"},
                )


def _name_of(host: str) -> str:
    """The name in a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
