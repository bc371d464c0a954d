"""What every page is: one HTML file that holds all it shows, asks for nothing from anywhere, and prints.

Its policy forbids everything but the style and the script whose digests it names, and pictures inside the file.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from onnxdtd.report.markup import Markup, tag, void
from onnxdtd.version import __version__

GENERATOR = 'name="generator" content="onnxdtd'
ASSETS = ("page.css", "page.js")


@dataclass(frozen=True)
class Section:
    """place: its address on the page. link: what the head of the page calls it, "" where it has no link there."""

    place: str
    title: str
    content: Sequence[object]
    link: str = ""


@dataclass(frozen=True)
class Page:
    """title: of the window. above: a line over the heading. remark: what of all there is the page does not show."""

    title: str
    above: str
    heading: object
    sections: Sequence[Section]
    remark: str = ""


def document(page: Page) -> str:
    """The page as HTML."""
    style, script = assets()
    policy = "; ".join(
        [
            "default-src 'none'",
            "img-src data:",
            f"style-src {digest(style)}",
            f"script-src {digest(script)}",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    head = [
        void("meta", charset="utf-8"),
        void("meta", http_equiv="Content-Security-Policy", content=policy),
        void("meta", name="viewport", content="width=device-width, initial-scale=1"),
        void("meta", name="generator", content=f"onnxdtd {__version__}"),
        void("meta", name="referrer", content="no-referrer"),
        tag("title", f"{page.title} · onnxdtd"),
        tag("style", Markup(style)),
    ]
    body = tag(
        "body", tag("main", _header(page), *map(_section, page.sections)), tag("script", Markup(script))
    )
    return f"<!doctype html>\n{tag('html', tag('head', *head), body, lang='en')}\n"


def assets() -> tuple[str, str]:
    """The page's style and its script."""
    style, script = (files("onnxdtd.report").joinpath("assets", name).read_text("utf-8") for name in ASSETS)
    return style, script


def digest(text: str) -> str:
    """As a policy names a style or a script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _header(page: Page) -> Markup:
    links = [tag("a", own.link, href=f"#{own.place}") for own in page.sections if own.link]
    remark = tag("p", page.remark, class_="remark") if page.remark else None
    return tag(
        "header", tag("p", page.above, class_="model"), tag("h1", page.heading), tag("nav", *links), remark
    )


def _section(section: Section) -> Markup:
    return tag("section", tag("h2", section.title), *section.content, id=section.place)
