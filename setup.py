"""The README as a package index shows it, where a relative link leads nowhere. All else stands in pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent
_CODE = re.compile(r"(^```.*?^```$)", re.M | re.S)
_RELATIVE = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s:#]+)(#[^)\s]*)?\)")


def shown(text: str, source: str) -> str:
    """Markdown whose relative links and pictures are full addresses below `source`, the address of the repository;
    while there is none ("") a link is its words, and a picture is left out."""

    def full(link: re.Match[str]) -> str:
        picture, words, path, place = link[1], link[2], link[3], link[4] or ""
        if not source:
            return "" if picture else words
        return f"{picture}[{words}]({source.rstrip('/')}/{'raw' if picture else 'blob'}/HEAD/{path}{place})"

    return "".join(p if p.startswith("```") else _RELATIVE.sub(full, p) for p in _CODE.split(text))


def readme() -> str:
    """Of this project, whose repository `project.urls` names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return shown((ROOT / "README.md").read_text("utf-8"), project.get("urls", {}).get("Source", ""))


if __name__ == "__main__":
    from setuptools import setup

    setup(long_description=readme(), long_description_content_type="text/markdown")
