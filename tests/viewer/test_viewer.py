"""The viewer behind its page: what is dropped, what is chosen, what comes out, and who may ask."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import onnx
import pytest

import onnxdtd
from onnxdtd.cli import main
from onnxdtd.report import report_page
from tests.support.asking import Reply, ask
from tests.support.command_line import DIGIT, DIGIT_MODEL, array, dense
from tests.support.model_text import model

pytest.importorskip("starlette", reason="the extra `serve` is not installed")
pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")

from onnxdtd.viewer.app import Viewer
from onnxdtd.viewer.jobs import Jobs
from onnxdtd.viewer.workspace import Workspace

TOKEN, PATIENCE = "t0ken", 30.0
BEARER = {"authorization": f"Bearer {TOKEN}"}


class Page:
    """What the script of the page does."""

    def __init__(self, folder: Path, limit: int = 1 << 22) -> None:
        self.workspace = Workspace(folder, onnxdtd.Explainer, limit)
        self.jobs = Jobs(PATIENCE)
        self.app = Viewer(self.workspace, self.jobs).app(TOKEN)

    def ask(self, path: str, content: Any = None, method: str = "") -> Reply:
        return ask(self.app, path, content, method=method, headers=BEARER)

    def drop(self, path: Path) -> Reply:
        return self.ask(f"/api/files/{path.name}", path.read_bytes(), "PUT")

    def finished(self, reply: Reply) -> Any:
        assert reply.status == 202, reply.body
        end = time.monotonic() + PATIENCE
        while (job := self.ask(f"/api/jobs/{reply.json['job']}").json)["state"] in ("waiting", "running"):
            assert time.monotonic() < end
            time.sleep(0.005)
        return job

    def open(self, path: Path) -> Any:
        assert self.drop(path).json == {"kind": "model"}
        return self.finished(self.ask("/api/model", {"name": path.name}))

    def result(self, kind: str, **choice: Any) -> tuple[Any, str]:
        job = self.finished(self.ask(f"/api/{kind}", choice))
        assert job["state"] == "done", job
        return job["result"], self.ask(f"/api/jobs/{job['number']}/page").body.decode() if job["page"] else ""


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    (tmp_path / "dropped").mkdir()
    own = Page(tmp_path / "dropped")
    yield own
    own.jobs.close()


@pytest.fixture
def table(page: Page, tmp_path: Path) -> Page:
    """A dense model of two columns, and two rows, are dropped."""
    assert page.open(dense(tmp_path / "dense.onnx", labels=["a", "b", "c"]))["state"] == "done"
    page.drop(array(tmp_path / "rows.npy", [[1, 2], [-1, 3]]))
    return page


def text_of(html: str) -> str:
    return re.sub(r"<[^>]+>", " ", html)


def test_what_is_shown_is_the_reports_page_of_the_api(page: Page) -> None:
    about = page.open(DIGIT_MODEL)["result"]
    assert page.drop(DIGIT).json == {"kind": "input"}
    assert about["inputs"] == [{"name": "image", "type": "float32", "shape": "N × 1 × 28 × 28"}]
    assert {"auto", "dtd", "smoothgrad"} <= set(about["methods"])
    result, html = page.result("explain", input=DIGIT.name, target="5", method="attnlrp")
    e = onnxdtd.explain(DIGIT_MODEL, np.load(DIGIT), 5, "attnlrp")
    ours = re.findall(r'class="sum">[^<]*', report_page(e))
    assert ours
    assert re.findall(r'class="sum">[^<]*', html) == ours
    assert result["said"] == "class 5 '5', by attnlrp"
    assert result["best"][0]["target"] == "3"


def test_a_layer_is_shown_with_its_channels_and_places(page: Page) -> None:
    layers = [layer["name"] for layer in page.open(DIGIT_MODEL)["result"]["layers"]]
    page.drop(DIGIT)
    result, html = page.result("explain", input=DIGIT.name, layer=layers[1])
    e = onnxdtd.Explainer(DIGIT_MODEL)(np.load(DIGIT), keep=[layers[1]])
    r = e.kept[layers[1]][0]
    assert result["place"] == "inside-0"
    section = html[html.index('id="inside-0"') :].partition("</section>")[0]
    assert f"channel {np.abs(r.sum((1, 2))).argmax()}" in section
    assert "data:image/png" in section


def test_a_row_of_a_table_is_chosen(table: Page) -> None:
    for sample, value in ((0, "4"), (1, "3")):
        result, html = table.result("explain", input="rows.npy", sample=sample, method="attnlrp")
        assert result["samples"] == 2
        assert f"<strong>{value}</strong>" in html
    job = table.finished(table.ask("/api/explain", {"input": "rows.npy", "sample": 2}))
    assert (job["state"], job["error"]) == ("failed", "sample 2 is not among the 2 of 'rows.npy': 0 to 1")


def test_the_audit_shows_all_findings_in_the_same_page(table: Page) -> None:
    result, html = table.result("audit", input="rows.npy", method="attnlrp")
    text = text_of(html[html.index('id="findings-0"') :])
    assert [word in text for word in ("conservation", "randomisation", "positivity")] == [True] * 3
    assert result["place"] == "findings-0"
    assert "Does it depend on what was learnt?" in text


def test_methods_side_by_side(table: Page) -> None:
    """On a linear model attnlrp is gradient x input: x_i w_i, 3 of 4 (the bias is 1)."""
    methods = ["attnlrp", "gradient", "epsilon_plus"]
    result, html = table.result("compare", input="rows.npy", methods=methods, target="a")
    assert result["said"] == "class 0 'a'"
    costs = re.findall(r"<tr>(.*?)</tr>", html[html.index('id="costs-0"') :])
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in costs if "<td" in row]
    assert [row[0] for row in rows][:2] == ["attnlrp", "gradient"]
    assert rows[0][-1] == "75.0%"
    alike = re.findall(r"<td[^>]*>(.*?)</td>", html[html.index('class="alike"') :])
    assert alike[:2] == ["1.00", "0.95"]  # (1, 2) and (1, 1)


def test_what_cannot_be_is_said_as_on_the_command_line(table: Page, tmp_path: Path) -> None:
    for choice, words in (
        ({"input": "rows.npy", "target": "z"}, "no output 'z', nor a class"),
        ({"input": "rows.npy", "target": "mask:/etc/passwd"}, "no output"),
        ({"input": "rows.npy", "method": "magic"}, "no method 'magic'"),
        ({"input": "rows.npy", "method": "grad_cam"}, "Grad-CAM needs a spatial feature map"),
        ({"input": "/etc/passwd"}, "'/etc/passwd' was not dropped on the page"),
        ({"input": ""}, "nothing to explain was dropped yet"),
        ({"input": "rows.npy", "layer": "none", "method": "attnlrp"}, "none"),
        (
            {"input": "rows.npy", "layer": "y"},
            "natural takes many passes; keep, only and start go with one walk",
        ),
    ):
        job = table.finished(table.ask("/api/explain", choice))
        assert (job["state"], words in job["error"]) == ("failed", True), job["error"]
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    assert table.open(tmp_path / "bad.onnx")["state"] == "failed"
    job = table.finished(table.ask("/api/explain", {"input": "rows.npy"}))
    assert job["error"] == "no model is open: drop one on the page"


@pytest.mark.parametrize(
    "choice", [[], {"rules": "x"}, {"sample": "1"}, {"methods": [1]}, {"target": 3}, {"sample": True}]
)
def test_choices_of_another_kind_are_refused(page: Page, choice: Any) -> None:
    assert page.ask("/api/explain", choice).status == 400


def test_weights_that_lie_beside_a_model_are_dropped_with_it(page: Page, tmp_path: Path) -> None:
    proto = model("(float[N, 2] x) => (float[N, 2] y) { y = MatMul(x, w) }", w=np.eye(2, dtype=np.float32))
    onnx.save(
        proto, tmp_path / "m.onnx", save_as_external_data=True, location="m.onnx.data", size_threshold=0
    )
    assert "m.onnx.data" in page.open(tmp_path / "m.onnx")["error"]
    assert page.drop(tmp_path / "m.onnx.data").json == {"kind": "beside"}
    assert page.open(tmp_path / "m.onnx")["state"] == "done"


@pytest.mark.parametrize(
    "name", ["..%2Fx.onnx", ".hidden", "a\\b.onnx", "a\x00.npy", "\u202ex.npy", "x" * 300]
)
def test_names_that_lead_elsewhere_are_refused(page: Page, name: str, tmp_path: Path) -> None:
    reply = page.ask(f"/api/files/{unquote(name)}", b"x", "PUT")
    assert reply.status in (400, 404)
    assert [*tmp_path.rglob("*x*")] == []


def test_no_more_is_taken_than_there_is_room(tmp_path: Path) -> None:
    (tmp_path / "dropped").mkdir()
    page = Page(tmp_path / "dropped", limit=1000)
    assert page.ask("/api/files/a.npy", b"x" * 900, "PUT").status == 200
    reply = page.ask("/api/files/b.npy", b"x" * 200, "PUT")
    assert (reply.status, "too large" in reply.json["error"]) == (400, True)
    assert [path.name for path in (tmp_path / "dropped").iterdir()] == ["a.npy"]
    page.jobs.close()


def test_only_who_has_the_address_may_ask(page: Page) -> None:
    assert ask(page.app, "/").status == 401
    assert ask(page.app, "/?token=wrong").status == 401
    assert ask(page.app, f"/api/held?token={TOKEN}").status == 401
    assert ask(page.app, f"/?token={TOKEN}").status == 200
    for path in ("/api/held", "/api/jobs/1", "/api/jobs/1/page", "/view.js"):
        assert ask(page.app, path).status == 401
    assert ask(page.app, f"/?token={TOKEN}", headers={"host": "evil.example"}).status == 403
    assert ask(page.app, "/api/held", headers={**BEARER, "origin": "http://evil.example"}).status == 403


def test_the_page_runs_nothing_but_its_own_script(page: Page) -> None:
    reply = ask(page.app, f"/?token={TOKEN}")
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert reply.headers["x-frame-options"] == "DENY"
    assert reply.headers["referrer-policy"] == "no-referrer"
    html = reply.body.decode()
    assert TOKEN not in html
    assert re.findall(r"(?:src|href)=\"?http", html) == re.findall(r"\son\w+=", html) == []


def test_the_reports_html_comes_as_text(table: Page) -> None:
    job = table.finished(table.ask("/api/explain", {"input": "rows.npy"}))
    reply = table.ask(f"/api/jobs/{job['number']}/page")
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    assert reply.headers["x-content-type-options"] == "nosniff"


def test_a_new_job_takes_the_place_of_the_one_that_runs() -> None:
    jobs, begun = Jobs(PATIENCE), threading.Event()

    def endless(progress: Any) -> dict[str, Any]:
        for done in range(10**9):
            progress(done, 10**9)
            begun.set()
            time.sleep(0.001)
        return {}

    first = jobs.start(endless)
    assert begun.wait(PATIENCE)
    assert (first.state, first.total) == ("running", 10**9)
    between, last = jobs.start(lambda _: {"n": 1}), jobs.start(lambda _: {"n": 2, "page": "<p>"})
    end = time.monotonic() + PATIENCE
    while last.state != "done" and time.monotonic() < end:
        time.sleep(0.005)
    assert [job.state for job in (first, between, last)] == ["superseded", "superseded", "done"]
    assert (last.result, last.page) == ({"n": 2}, "<p>")
    jobs.close()


def test_a_bug_ends_the_job_and_not_the_viewer(page: Page, capsys: pytest.CaptureFixture[str]) -> None:
    job = page.jobs.start(lambda _: {}["no"])
    end = time.monotonic() + PATIENCE
    while job.state != "failed" and time.monotonic() < end:
        time.sleep(0.005)
    assert "this is a bug in onnxdtd" in job.error
    assert "KeyError" in capsys.readouterr().err
    assert json.loads(page.ask("/api/held").body) == {"model": "", "input": ""}


def test_faults_of_the_start_are_told_at_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = ["view", tmp_path / "no.onnx", tmp_path / "no.npy", "--timeout", 0, "--upload", "big"]
    assert main([*map(str, arguments)]) == 2
    said = capsys.readouterr().err
    assert [word in said for word in ("no.onnx", "no.npy", "--timeout 0", "512M")] == [True] * 4
