"""The page itself, whose policy names the one style and the one script that it has, and those of the report in it.

The report is shown in a frame of an origin of its own (`sandbox`), so that nothing of it can ask the server for
anything; a frame made from a blob inherits the policy, which is why that names the report's style and script, too.
"""

from __future__ import annotations

from importlib.resources import files

from starlette.responses import Response

from onnxdtd.report.document import assets, digest
from onnxdtd.report.markup import Markup, tag, void

ASSETS = ("view.css", "view.js", "view.html")


def page() -> Response:
    """The page, which holds no token: its script reads it from the address."""
    style, script, body = (
        files("onnxdtd.viewer").joinpath("assets", name).read_text("utf-8") for name in ASSETS
    )
    own_style, own_script = assets()
    policy = "; ".join(
        [
            "default-src 'none'",
            f"style-src {digest(style)} {digest(own_style)}",
            f"script-src {digest(script)} {digest(own_script)}",
            "img-src data:",
            "connect-src 'self'",
            "frame-src blob:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    head = [
        void("meta", charset="utf-8"),
        void("meta", name="viewport", content="width=device-width, initial-scale=1"),
        void("meta", name="color-scheme", content="light dark"),
        tag("title", "onnxdtd view"),
        tag("style", Markup(style)),
    ]
    text = tag(
        "html", tag("head", *head), tag("body", Markup(body), tag("script", Markup(script))), lang="en"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    return Response(f"<!doctype html>\n{text}\n", headers=headers, media_type="text/html")
