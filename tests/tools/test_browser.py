"""The page of tools/browser in headless Chromium: the relevance there is Python's, and what one draws is explained.

Needs Chromium (Debian: apt-get install chromium) and onnxruntime-web, and is skipped with its reason without. The
latter is taken from the folder that ONNXDTD_NODE_MODULES names, or from tools/browser/node_modules; with
ONNXDTD_NPM_CI=1 the test installs it itself (npm ci, into a folder of its own), which needs the registry. Nothing is
installed unasked, so that a machine without a network skips and does not wait.
"""

from __future__ import annotations

import base64
import json
import math
import os
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

import onnxdtd
from onnxdtd.render.colours import Scale
from tests.support import chromium
from tests.support.paths import MODELS, ROOT
from tools.browser import explainers, serve

FOLDER = ROOT / "tools" / "browser"
MNIST = MODELS / "mnist_cnn.onnx"
HELD = np.load(MODELS / "mnist_heldout.npz")
DIGITS = (HELD["images"][:6].astype(np.float32) / 255)[:, None]
BUILT = shutil.ignore_patterns("node_modules", "explainers", "__pycache__")
THREE = [(0.5 + 0.2 * math.cos(a), 0.34 + 0.15 * math.sin(a)) for a in np.linspace(-2.6, 1.57, 24)] + [
    (0.5 + 0.22 * math.cos(a), 0.66 + 0.17 * math.sin(a)) for a in np.linspace(-1.57, 2.6, 24)
]
"""Points of a three, in parts of the pad."""


METHODS = list(explainers.METHODS)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """node_modules with onnxruntime-web of the version that the page pins."""
    if os.environ.get("ONNXDTD_NPM_CI"):
        folder = tmp_path_factory.mktemp("npm")
        for name in ("package.json", "package-lock.json"):
            shutil.copy(FOLDER / name, folder)
        subprocess.run(["npm", "ci", "--ignore-scripts"], cwd=folder, check=True, timeout=300)
        return folder / "node_modules"
    folder = Path(os.environ.get("ONNXDTD_NODE_MODULES", FOLDER / "node_modules"))
    about = folder / "onnxruntime-web" / "package.json"
    if not about.is_file():
        pytest.skip(
            "onnxruntime-web is not installed: npm ci --ignore-scripts in tools/browser, or ONNXDTD_NPM_CI=1"
        )
    pinned = json.loads((FOLDER / "package.json").read_text())["dependencies"]["onnxruntime-web"]
    assert json.loads(about.read_text())["version"] == pinned, f"{folder} is out of date"
    return folder


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The folder as its README builds it, without npm's part, and its address."""
    folder = tmp_path_factory.mktemp("site") / "browser"
    shutil.copytree(FOLDER, folder, ignore=BUILT)
    explainers.write(folder / "explainers")
    with serve.server(folder) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser(
    served: tuple[Path, str], packages: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[chromium.Page]:
    program = chromium.find()
    if program is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    folder, url = served
    (folder / "node_modules").symlink_to(packages.absolute())
    with chromium.browsing(url, tmp_path_factory.mktemp("profile"), program) as page:
        page.send("Emulation.setTouchEmulationEnabled", enabled=True)
        yield page


@pytest.fixture
def page(browser: chromium.Page, served: tuple[Path, str]) -> chromium.Page:
    """The page afresh, ready to be drawn on; nothing in it may have gone wrong by then."""
    browser.events.clear()
    browser.go(served[1])
    browser.wait("document.querySelectorAll('.class').length === 11")
    return browser


def floats(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.float32)


def packed(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array, np.float32).tobytes()).decode()


PACK = """
  const pack = (a) => btoa(Array.from(new Uint8Array(a.buffer, a.byteOffset, a.byteLength), (b) =>
    String.fromCharCode(b)).join(""));
  const unpack = (t) => new Float32Array(Uint8Array.from(atob(t), (c) => c.charCodeAt(0)).buffer);
"""


def in_browser(
    page: chromium.Page, method: str, digits: np.ndarray, targets: list[int]
) -> tuple[np.ndarray, ...]:
    """(logits, relevance) by the page's own explainer.js."""
    encoded = page.evaluate(f"""(async () => {{ {PACK}
      const {{ Explainer }} = await import("/explainer.js");
      const folder = new URL("/explainers/", location.href);
      const index = await (await fetch(new URL("index.json", folder))).json();
      const explainer = await Explainer.load(index.methods.find((m) => m.method === "{method}"), folder);
      const found = await explainer.explain(unpack("{packed(digits)}"), {targets});
      return [pack(found.logits), pack(found.relevance)];
    }})()""")
    return floats(encoded[0]).reshape(-1, 10), floats(encoded[1]).reshape(digits.shape)


def close(actual: np.ndarray, expected: np.ndarray) -> None:
    """1e-3 of each sample's largest value."""
    assert actual.shape == expected.shape
    for ours, theirs in zip(actual, expected, strict=True):
        assert np.abs(theirs).max() > 0
        assert np.abs(ours - theirs).max() <= 1e-3 * np.abs(theirs).max()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("target", ["top", 3])
def test_relevance_in_the_browser_is_pythons(page: chromium.Page, method: str, target: Any) -> None:
    explainer = onnxdtd.Explainer(MNIST, method, engine="numpy")
    for digit in DIGITS:
        expected = explainer(digit[None], target)
        logits, relevance = in_browser(page, method, digit[None], [-1 if target == "top" else target])
        close(logits, expected.outputs["logits"])
        if expected.relevance["image"].any():
            close(relevance, expected.relevance["image"])
        else:  # a negative logit, which Deep Taylor does not explain
            assert method == "dtd"
            assert not relevance.any()


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_is_explained_with_a_target_for_each(page: chromium.Page, method: str) -> None:
    labels = [int(label) for label in HELD["labels"][:6]]
    expected = onnxdtd.Explainer(MNIST, method, engine="numpy")(DIGITS, labels).relevance["image"]
    _, relevance = in_browser(page, method, DIGITS, labels)
    close(relevance, expected)
    _, others = in_browser(page, method, DIGITS, [(label + 1) % 10 for label in labels])
    assert np.abs(relevance - others).max() > 0.1 * np.abs(relevance).max()


# A digit on the page


def at(page: chromium.Page, points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points of the pad as points of the window."""
    left, top, side = page.evaluate(
        "(() => { const b = document.getElementById('pad').getBoundingClientRect(); "
        "return [b.left, b.top, b.width] })()"
    )
    return [(left + side * x, top + side * y) for x, y in points]


def by_mouse(page: chromium.Page, points: list[tuple[float, float]]) -> None:
    (x, y), *rest = at(page, points)
    page.send("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, button="left", clickCount=1)
    for x, y in rest:
        page.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, button="left", buttons=1)
    page.send("Input.dispatchMouseEvent", type="mouseReleased", x=x, y=y, button="left", clickCount=1)


def by_finger(page: chromium.Page, points: list[tuple[float, float]]) -> None:
    first, *rest = [[{"x": x, "y": y}] for x, y in at(page, points)]
    page.send("Input.dispatchTouchEvent", type="touchStart", touchPoints=first)
    for touch in rest:
        page.send("Input.dispatchTouchEvent", type="touchMove", touchPoints=touch)
    page.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])


def press(page: chromium.Page, key: str, code: int, times: int = 1) -> None:
    text = {"text": key} if len(key) == 1 else {}
    for _ in range(times):
        page.send("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
        page.send("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)


def settled(page: chromium.Page, condition: str) -> dict[str, Any]:
    """What is on the screen once `shown` meets a condition and the drawing is explained to its end."""
    page.evaluate("import('/page.js').then((module) => { window.module = module; return 0 })")
    page.wait(f"(() => {{ const shown = window.module.shown; return {condition} }})()")
    page.evaluate("new Promise((go) => setTimeout(go, 300))")
    shown: dict[str, Any] = page.evaluate(f"""(() => {{ {PACK}
      const {{ digit, relevance, logits, ...rest }} = window.module.shown;
      const map = document.getElementById("heatmap").getContext("2d").getImageData(0, 0, 28, 28).data;
      return {{ ...rest, digit: pack(digit), relevance: pack(relevance), map: Array.from(map),
        text: document.getElementById("story").textContent, time: document.getElementById("time").textContent }};
    }})()""")
    for key in ("digit", "relevance"):
        shown[key] = floats(shown[key]).reshape(1, 1, 28, 28)
    return shown


@pytest.mark.parametrize("draw", [by_mouse, by_finger])
def test_what_is_drawn_is_recognised_and_explained(page: chromium.Page, draw: Any) -> None:
    draw(page, THREE)
    shown = settled(page, "shown?.likely === 3")
    assert (shown["method"], shown["explained"], shown["target"]) == ("dtd", 3, -1)
    expected = onnxdtd.explain(MNIST, shown["digit"], "top", "dtd").relevance["image"]
    close(shown["relevance"], expected)
    colours = np.array(shown["map"]).reshape(28, 28, 4)
    pixels = 255 * Scale.of(shown["relevance"], 99.5).colours(shown["relevance"][0, 0])
    assert np.abs(colours[..., :3] - pixels).max() <= 1
    assert "The logit of 3 is" in shown["text"]
    assert shown["time"].endswith(f"took {shown['ms']:.1f} ms.")


def test_another_class_and_another_method_are_explained(page: chromium.Page) -> None:
    by_mouse(page, THREE)
    settled(page, "shown?.likely === 3")
    page.evaluate("document.querySelector('input[value=epsilon_plus]').click()")
    page.evaluate("document.querySelector('#classes input[value=\"8\"]').click()")
    shown = settled(page, "shown?.method === 'epsilon_plus' && shown.explained === 8")
    assert shown["likely"] == 3
    close(shown["relevance"], onnxdtd.explain(MNIST, shown["digit"], 8, "epsilon_plus").relevance["image"])


def test_the_keyboard_draws_chooses_and_clears(page: chromium.Page) -> None:
    page.evaluate("document.getElementById('pad').focus()")
    press(page, "ArrowUp", 38, 9)
    press(page, " ", 32)
    press(page, "ArrowDown", 40, 18)
    press(page, " ", 32)
    press(page, "ArrowRight", 39, 8)
    shown = settled(page, "shown?.likely === 1")
    (columns,) = np.nonzero(shown["digit"][0, 0].max(0) > 0.5)
    assert columns.max() - columns.min() <= 4, "the pen drew while it was lifted"
    page.evaluate("document.querySelector('#classes input:checked').focus()")
    press(page, "ArrowDown", 40, 8)
    assert settled(page, "shown?.target === 7")["explained"] == 7
    page.evaluate("document.getElementById('pad').focus()")
    press(page, "Backspace", 8)
    page.wait("window.module.shown === null")
    assert page.evaluate("!document.getElementById('hint').hidden")
    assert not page.evaluate("document.getElementById('story').textContent")


def test_a_sample_is_a_digit_of_its_class(page: chromium.Page) -> None:
    for digit in range(10):
        page.evaluate(f"document.querySelectorAll('#samples button')[{digit}].click()")
        settled(page, f"shown?.likely === {digit}")


def test_nothing_leaves_the_page_and_nothing_goes_wrong(
    page: chromium.Page, served: tuple[Path, str]
) -> None:
    by_mouse(page, THREE)
    settled(page, "shown?.likely === 3")
    asked = [e["params"]["request"] for e in page.events if e["method"] == "Network.requestWillBeSent"]
    assert any(request["url"].endswith(".wasm") for request in asked)
    assert {(r["method"], r["url"].startswith(served[1])) for r in asked} == {("GET", True)}
    wrong = {"Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded", "Network.loadingFailed"}
    assert [event for event in page.events if event["method"] in wrong] == []
    refused = """new Promise((told) => {
      document.addEventListener("securitypolicyviolation", (event) => told(event.effectiveDirective));
      fetch("http://127.0.0.2:9/").catch(() => 0);
    })"""
    assert page.evaluate(refused) == "connect-src"


def centred(page: chromium.Page, ink: np.ndarray) -> np.ndarray:
    encoded = page.evaluate(f"""(async () => {{ {PACK}
      const {{ centred }} = await import("/digit.js");
      return pack(centred(unpack("{packed(ink)}"), {ink.shape[1]}, {ink.shape[0]}));
    }})()""")
    return floats(encoded).reshape(28, 28)


def test_a_drawing_is_centred_as_mnist_is(page: chromium.Page) -> None:
    ink = np.zeros((100, 140), np.float32)
    ink[10:90, 70:110] = 1  # 80 x 40 becomes 20 x 10 around (14, 14)
    expected = np.zeros((28, 28))
    expected[4:24, 9:19] = 1
    np.testing.assert_allclose(centred(page, ink), expected, atol=1e-6)
    ink[50:90, 70:90] = 0  # the centre of mass moves, and with it the digit
    actual = centred(page, ink)
    np.testing.assert_allclose(actual.sum(), 150, rtol=1e-5)
    for axis in (0, 1):
        mass = actual.sum(axis)
        assert (mass * (np.arange(28) + 0.5)).sum() / mass.sum() == pytest.approx(14, abs=1e-3)
    assert page.evaluate("import('/digit.js').then((m) => m.centred(new Float32Array(12), 4, 3))") is None


def test_digits_drawn_anywhere_at_any_size_are_recognised(
    page: chromium.Page, rng: np.random.Generator
) -> None:
    """Held-out digits, enlarged and moved, then centred by the page: as good as MNIST's own centring, but for 2%."""
    images, labels = HELD["images"][::8], HELD["labels"][::8]
    seen = []
    for image in images:
        size = int(rng.integers(3, 9))
        ink = np.zeros((280, 280), np.float32)
        top, left = rng.integers(0, 281 - 28 * size, 2)
        ink[top : top + 28 * size, left : left + 28 * size] = np.kron(image / 255, np.ones((size, size)))
        seen.append(centred(page, ink))
    session = ort.InferenceSession(MNIST, providers=["CPUExecutionProvider"])

    def right(digits: np.ndarray) -> float:
        (logits,) = session.run(None, {"image": digits.reshape(-1, 1, 28, 28).astype(np.float32)})
        return float((logits.argmax(1) == labels).mean())

    assert right(np.array(seen)) >= right(images / 255) - 0.02


# The folder, without a browser


def test_the_server_gives_the_types_that_browsers_insist_on(served: tuple[Path, str]) -> None:
    types = {
        "": "text/html", "page.js": "text/javascript", "style.css": "text/css",
        "explainers/dtd.onnx": "application/octet-stream",
    }  # fmt: skip
    for path, kind in types.items():
        with urllib.request.urlopen(served[1] + path) as answer:
            assert answer.headers.get_content_type() == kind
    assert {serve.Handler.extensions_map[end] for end in (".js", ".mjs")} == {"text/javascript"}
    assert serve.Handler.extensions_map[".wasm"] == "application/wasm"


def test_the_server_is_on_loopback_and_says_what_is_missing(tmp_path: Path) -> None:
    with serve.server(tmp_path) as server:
        assert server.server_address[0] == "127.0.0.1"
    assert serve.missing(tmp_path) == [
        "npm ci --ignore-scripts --prefix tools/browser",
        "python -m tools.browser.explainers",
    ]


def test_the_runtime_is_pinned() -> None:
    dependencies = json.loads((FOLDER / "package.json").read_text())["dependencies"]
    lock = json.loads((FOLDER / "package-lock.json").read_text())["packages"]
    assert dependencies == lock[""]["dependencies"]
    assert dependencies["onnxruntime-web"] == lock["node_modules/onnxruntime-web"]["version"]
    assert all("integrity" in entry for name, entry in lock.items() if name)
