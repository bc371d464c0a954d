"""What a package index shows of the README: no link leads nowhere, code stays as it is."""

from __future__ import annotations

import re
import runpy
import tomllib

import pytest

from tests.support.paths import ROOT

SETUP = runpy.run_path(str(ROOT / "setup.py"))
TEXT = (ROOT / "README.md").read_text("utf-8")
SOURCE = "https://example.org/onnxdtd"


def links(text: str) -> list[tuple[str, str]]:
    """Mark and target of each link outside of code."""
    return re.findall(r"(!?)\[[^\]]*\]\(([^)\s]+)\)", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))


def test_every_file_that_the_readme_links_is_there() -> None:
    paths = [target.partition("#")[0] for _, target in links(TEXT) if "://" not in target]
    assert paths
    assert [path for path in paths if path and not (ROOT / path).exists()] == []


def test_links_and_pictures_get_full_addresses() -> None:
    shown = SETUP["shown"](TEXT, f"{SOURCE}/")
    assert [t for _, t in links(shown) if not t.startswith(("https://", "#"))] == []
    assert len(links(shown)) == len(links(TEXT))
    assert f"]({SOURCE}/raw/HEAD/docs/cat.jpg)" in shown
    assert f"[docs/report.md]({SOURCE}/blob/HEAD/docs/report.md)" in shown


def test_without_an_address_nothing_leads_nowhere() -> None:
    shown = SETUP["shown"](TEXT, "")
    assert [t for _, t in links(shown) if not t.startswith(("https://", "#"))] == []
    assert "(docs/report.md)" in shown  # the words of the link, in the brackets of the text
    assert "cat.jpg" not in shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a](b/c.md#d) [e](https://f.org) [g](#h)", "[a](S/blob/HEAD/b/c.md#d) [e](https://f.org) [g](#h)"),
        ("![p](q.png)", "![p](S/raw/HEAD/q.png)"),
        ("```\n[a](b)\n```\n[a](b)", "```\n[a](b)\n```\n[a](S/blob/HEAD/b)"),
    ],
)
def test_markdown_as_an_index_shows_it(text: str, expected: str) -> None:
    assert SETUP["shown"](text, "S") == expected


def test_classifiers_name_the_pythons_that_are_asked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert "readme" in project["dynamic"]
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    assert named[0] == project["requires-python"].removeprefix(">=")
