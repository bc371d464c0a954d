"""The page in a browser: load, drop, choose, see, download."""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from tests.support.chromium import Page, browsing, find
from tests.support.command_line import DIGIT, DIGIT_MODEL

pytest.importorskip("starlette", reason="the extra `serve` is not installed")
pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")

PROGRAM = find()
SHOWN = "!!document.querySelector('#shown:not(.old) iframe')"
RED = (200, 30, 30)
"""Of the report's heading, which stands in the frame."""


@contextmanager
def viewing() -> Iterator[str]:
    """The address of a viewer."""
    command = [sys.executable, "-m", "onnxdtd", "view"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            address = re.search(
                r"http://127\.0\.0\.1:\d+/\?token=\S+", first_line := process.stderr.readline()
            )
            assert address, first_line
            yield address[0]
        finally:
            process.terminate()


def drop(page: Page, *paths: Path) -> None:
    """As a hand drops files."""
    files = [[path.name, base64.b64encode(path.read_bytes()).decode()] for path in paths]
    page.evaluate(
        f"""(() => {{
          const data = new DataTransfer();
          for (const [name, text] of {json.dumps(files)})
            data.items.add(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], name));
          document.getElementById("drop-model").dispatchEvent(
            new DragEvent("drop", {{ bubbles: true, cancelable: true, dataTransfer: data }}));
        }})()"""
    )


def pick(page: Page, field: str, value: str) -> None:
    page.evaluate(
        f"""(() => {{
          const field = document.getElementById({json.dumps(field)});
          field.value = {json.dumps(value)};
          field.dispatchEvent(new Event("change", {{ bubbles: true }}));
        }})()"""
    )


@pytest.mark.skipif(PROGRAM is None, reason="no chromium is on the PATH")
def test_load_drop_choose_see_and_download(tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    saved.mkdir()
    with viewing() as address, browsing(address, tmp_path / "profile", str(PROGRAM)) as page:
        page.send(
            "Browser.setDownloadBehavior", behavior="allow", downloadPath=str(saved), eventsEnabled=True
        )
        features = [{"name": "prefers-color-scheme", "value": "light"}]
        page.send("Emulation.setEmulatedMedia", features=features)
        drop(page, DIGIT_MODEL, DIGIT)
        page.wait(SHOWN)
        assert page.evaluate("document.getElementById('said').textContent").startswith("class 3 '3', by")

        pick(page, "target", "5")
        page.wait(f"{SHOWN} && document.getElementById('said').textContent.startsWith(\"class 5 '5'\")")
        pick(page, "method", "gradient_x_input")
        page.wait(
            f"{SHOWN} && document.getElementById('said').textContent === \"class 5 '5', by gradient_x_input\""
        )
        assert has_colour(page, RED)

        page.evaluate("document.getElementById('download').click()")
        file = saved / f"{DIGIT_MODEL.stem}-{DIGIT.stem}.html"
        assert "gradient_x_input" in written(page, file)

        pick(page, "target", "no such class")
        page.wait("!document.getElementById('error').hidden")
        assert "nor a class or index" in page.evaluate("document.getElementById('error').textContent")
        pick(page, "target", "5")
        page.wait(SHOWN)

        page.evaluate("document.querySelector('[role=tab][data-kind=compare]').click()")
        page.wait(f"{SHOWN} && document.getElementById('said').textContent === \"class 5 '5'\"")
        page.evaluate("document.getElementById('download').click()")
        assert "methods side by side" in written(page, file.with_stem(f"{file.stem}-compare"))

        wrong = [
            e["params"] for e in page.events if e["method"] in ("Log.entryAdded", "Runtime.exceptionThrown")
        ]
        assert wrong == []
        asked = {
            e["params"]["request"]["url"] for e in page.events if e["method"] == "Network.requestWillBeSent"
        }
        server = address.partition("?")[0]
        assert {url for url in asked if not url.startswith((server, f"blob:{server}"[:-1], "data:"))} == set()


def written(page: Page, file: Path) -> str:
    """A downloaded page, once all of it is there."""
    for _ in range(500):
        if file.exists() and (text := file.read_text("utf-8")).endswith("</html>\n"):
            return text
        page.evaluate("new Promise((done) => setTimeout(done, 10))")
    raise TimeoutError(str(file))


def has_colour(page: Page, colour: tuple[int, int, int]) -> bool:
    """Whether it is painted within a second or two."""
    for _ in range(100):
        shot = base64.b64decode(page.send("Page.captureScreenshot")["data"])
        colours = Image.open(io.BytesIO(shot)).convert("RGB").getcolors(1 << 24) or []
        if any(own == colour and count > 50 for count, own in colours):
            return True
        page.evaluate("new Promise((done) => setTimeout(done, 20))")
    return False
