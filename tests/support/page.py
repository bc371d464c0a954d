"""A page as a test reads it, and a name that attacks it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

HOSTILE = (
    "</script><script>alert(1)</script>\"' onload=x \x1b[31m\u202ekcatta\u2066&lt;<img src=//evil.example>"
)


class Reader(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attributes]
        self.inside = tag

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, text: str) -> None:
        if self.inside not in ("script", "style"):
            self.text.append(text)


def is_inert(page: str) -> bool:
    """Whether nothing of a page runs but its own script, nothing is asked for, and no control character is left."""
    reader = Reader(page)
    own = len(re.findall('<script type="application/json"', page)) + 1
    addresses = [
        value for name, value in reader.attributes if name in ("src", "href", "xlink:href", "action")
    ]
    return (
        reader.tags.count("script") == own
        and not {"iframe", "object", "link", "base", "form", "embed"} & {*reader.tags}
        and not [name for name, _ in reader.attributes if name.startswith("on") or name == "style"]
        and all(address.startswith(("data:image/png;", "data:image/jpeg;", "#")) for address in addresses)
        and all(c.isprintable() or c == "\n" for c in page)
    )
