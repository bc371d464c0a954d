"""The page: inert against hostile names, closed to every network, of every kind of data."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import onnxdtd
from onnxdtd.errors import UsageError
from onnxdtd.report import Entry, report_page, save_report
from onnxdtd.report.markup import data, escape
from onnxdtd.report.picture import image, packed
from tests.support.command_line import DIGIT, DIGIT_MODEL, Cli, array, dense
from tests.support.model_text import model
from tests.support.page import HOSTILE, Reader
from tests.support.paths import MODELS


@pytest.fixture(scope="module")
def digit() -> onnxdtd.Explanation:
    return onnxdtd.explain(DIGIT_MODEL, DIGIT)


def hostile(tmp_path: Path) -> onnxdtd.Explanation:
    """Classes, columns, nodes, values and warnings by a name that attacks."""
    proto = onnx.load(dense(tmp_path / "m.onnx", labels=[HOSTILE] * 3))
    proto.graph.node[0].name = HOSTILE
    for value in (proto.graph.input[0], proto.graph.output[0]):
        value.name += HOSTILE
    proto.graph.node[0].input[0] += HOSTILE
    proto.graph.node[0].output[0] += HOSTILE
    x = np.array([[1.0, 2.0]], np.float32)
    e = onnxdtd.Explainer(proto, "attnlrp", features=[HOSTILE, "second"])(x)
    finding = {
        "name": HOSTILE,
        "value": 1.0,
        "threshold": 0.5,
        "fires": "above",
        "sentence": HOSTILE,
        "fired": True,
    }
    return dataclasses.replace(
        e, warnings=(HOSTILE,), findings=(finding,), sentence=HOSTILE, notes=(HOSTILE,)
    )


def test_what_a_stranger_wrote_is_shown_as_text(tmp_path: Path) -> None:
    page = report_page([Entry(hostile(tmp_path), HOSTILE)])
    own, reader = Reader(report_page(onnxdtd.explain(dense(tmp_path / "p.onnx"), [[1.0, 2.0]]))), Reader(page)
    assert reader.tags.count("script") == own.tags.count("script") == 2
    assert [tag for tag in reader.tags if tag in ("img", "iframe", "object", "link", "base", "form")] == []
    assert [name for name, _ in reader.attributes if name.startswith("on")] == []
    assert not [c for c in page if not c.isprintable() and c != "\n"]
    assert any("<script>alert(1)</script>" in text for text in reader.text)
    assert "\\x1b[31m" in page
    assert "\\u202e" in page


def test_json_for_the_script_cannot_end_its_element() -> None:
    text = data({"a": HOSTILE}, class_="boxes")
    inner = text.removesuffix("</script>").partition(">")[2]
    assert "<" not in inner
    assert json.loads(inner) == {"a": HOSTILE}


def test_escaping() -> None:
    assert escape("a<b> & \"c\" 'd'") == "a&lt;b&gt; &amp; &quot;c&quot; &#x27;d&#x27;"
    assert escape("x" * 200_000, 9) == "xxxx…xxxx"
    assert escape("\u202e\x00\n") == "\\u202e\\x00\\n"


def test_the_policy_allows_only_what_the_page_holds(digit: onnxdtd.Explanation) -> None:
    page = report_page(digit)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    rules = dict(rule.split(" ", 1) for rule in html.unescape(policy).split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for name, element in (("style-src", "style"), ("script-src", "script")):
        (text,) = re.findall(f"<{element}>(.*?)</{element}>", page, re.S)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[name] == f"'sha256-{digest}'"
    addresses = [value for name, value in Reader(page).attributes if name in ("src", "href")]
    assert [address for address in addresses if not address.startswith(("data:image/png;base64,", "#"))] == []
    assert 'style="' not in page
    assert len(page) < 100_000


KINDS: dict[str, tuple[str, tuple[int, ...], str]] = {
    "curves": ("(float[N, 2, 40] x) => (float[N, 80] y) { y = Flatten(x) }", (1, 2, 40), 'class="curves"'),
    "row": ("(float[N, 3] x) => (float[N, 3] y) { y = Identity(x) }", (1, 3), 'class="bars"'),
    "image": ("(float[N, 3, 16, 16] x) => (float[N, 768] y) { y = Flatten(x) }", (1, 3, 16, 16), "<canvas"),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_data_has_its_picture(kind: str) -> None:
    text, shape, mark = KINDS[kind]
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    assert mark in report_page(onnxdtd.explain(model(text), values))


TEXT = """(int64[N, T] input_ids, int64[N, T] attention_mask) => (float[N, 1] y) {
  a = Gather(table, input_ids) m = Cast<to=1>(attention_mask) k = Unsqueeze(m, last) h = Mul(a, k)
  y = ReduceSum<keepdims=0>(h, one) }"""


def test_a_text_is_read_by_its_words() -> None:
    names = ["[PAD]", "[CLS]", "un", "##kind", "<b>", ".", "more"]
    table = np.array([[9], [0.5], [1], [3], [-2], [0.125], [7]], np.float32)
    proto = model(TEXT, table=table, last=np.array([2]), one=np.array([1]))
    x = {"input_ids": np.array([[1, 2, 3, 4, 5, 0]]), "attention_mask": np.array([[1, 1, 1, 1, 1, 0]])}
    named = report_page(onnxdtd.Explainer(proto, tokenizer=names)(x))
    (text,) = re.findall('<div class="tokens">(.*?)</div>', named)
    shown = re.findall('<span class="(.*?)" title="(.*?)">(.*?)</span>', text)
    assert shown == [
        ("for-1 special", "0.5", "[CLS]"),
        ("for-8", "4 = un 1, ##kind 3", "unkind"),
        ("against-4", "\u22122", "&lt;b&gt;"),
        ("level", "0.125", "."),
    ]
    typed = TEXT.replace(" attention_mask)", " attention_mask, int64[N, T] token_type_ids)")
    typed = typed.replace("k = Unsq", "b = Gather(kinds, token_type_ids) c = Add(a, b) k = Unsq").replace(
        "(a, k)", "(c, k)"
    )
    two = model(typed, table=table, last=np.array([2]), one=np.array([1]), kinds=np.zeros((2, 1), np.float32))
    several = report_page(onnxdtd.Explainer(two, tokenizer=names)(x | {"token_type_ids": 0 * x["input_ids"]}))
    assert "<h3>token_type_ids</h3>" in several
    assert "&#x27;unkind&#x27; (+4)" in several
    (numbers,) = re.findall('<div class="tokens">(.*?)</div>', report_page(onnxdtd.Explainer(proto)(x)))
    assert re.sub("<.*?>", "", numbers).split() == ["1", "2", "3", "4", "5"]


def test_several_inputs_each_by_its_shape() -> None:
    text = (
        "(float[N, 3, 16, 16] photo, float[N, 2] row) => (float[N, 1] y) "
        "{ a = ReduceSum <keepdims = 0> (photo, axes) b = Unsqueeze(a, one) c = MatMul(row, v) y = Add(b, c) }"
    )
    proto = model(text, axes=np.array([1, 2, 3]), one=np.array([1]), v=np.ones((2, 1), np.float32))
    x: dict[str, Any] = {"photo": np.ones((1, 3, 16, 16), np.float32), "row": np.ones((1, 2), np.float32)}
    page = report_page(onnxdtd.explain(proto, x))
    assert "<h3>photo</h3>" in page
    assert "<h3>row</h3>" in page
    assert "<canvas" in page


def test_numbers_of_a_picture_come_back() -> None:
    r = np.array([[1.0, -2.0], [0.0, 0.5]])
    pixels = packed(r).astype(int)
    np.testing.assert_allclose((256 * pixels[..., 0] + pixels[..., 1] - 32768) / 32767 * 2, r, atol=1e-4)


def test_a_large_picture_is_made_smaller_and_keeps_its_sum() -> None:
    page = image(np.ones((1, 1300, 1000)), np.zeros((1, 1300, 1000)))
    assert 'width="334"' in page
    assert 'height="434"' in page


def test_the_command_on_a_model_and_on_a_folder(cli: Cli, tmp_path: Path) -> None:
    code, out, err = cli("report", DIGIT_MODEL, DIGIT, "-o", "digit.html")
    assert (code, err) == (0, "")
    assert "class 3 '3'" in out
    assert cli("run", DIGIT_MODEL, DIGIT, "-o", "out")[0] == 0
    assert cli("report", "out", "-o", "again.html")[0] == 0
    text = [(tmp_path / name).read_text("utf-8") for name in ("digit.html", "again.html")]
    assert text[0] == text[1]


def test_the_command_on_many_inputs(cli: Cli, tmp_path: Path) -> None:
    dense(tmp_path / "m.onnx")
    array(tmp_path / "a.npy", [[1, 2]])
    array(tmp_path / "b.npy", [[3, 4]])
    array(tmp_path / "c.npy", [[3, 4, 5]])
    code, out, _ = cli("report", "m.onnx", "a.npy", "b.npy", "--json")
    assert (code, json.loads(out)["explanations"]) == (0, 2)
    code, _, err = cli("report", "m.onnx", "a.npy", "c.npy", "-o", "partly.html")
    assert code == 6
    assert "1 of 2 inputs could not be explained" in err
    assert (tmp_path / "partly.html").is_file()


def test_what_the_command_refuses(cli: Cli, tmp_path: Path) -> None:
    dense(tmp_path / "m.onnx")
    array(tmp_path / "a.npy", [[1, 2]])
    (tmp_path / "mine.html").write_text("<p>mine</p>")
    for arguments, words in (
        (("m.onnx",), "no INPUT is given"),
        (("m.onnx", "a.npy", "-o", "m.onnx"), "no HTML file by its name"),
        (("m.onnx", "a.npy", "-o", "mine.html"), "is no report of onnxdtd"),
        ((".",), "holds no result of onnxdtd"),
    ):
        code, _, err = cli("report", *arguments)
        assert (code, words in err) == (2, True), err
    assert (tmp_path / "mine.html").read_text() == "<p>mine</p>"
    with pytest.raises(UsageError, match="no explanation"):
        save_report([], tmp_path / "new.html")


def test_a_page_is_replaced_by_the_next(tmp_path: Path, digit: onnxdtd.Explanation) -> None:
    assert save_report(digit, tmp_path / "a" / "page.html") == save_report(
        digit, tmp_path / "a" / "page.html"
    )
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["page.html"]


def test_a_table_row_adds_up_with_its_constants() -> None:
    page = report_page(onnxdtd.explain(MODELS / "wine_mlp.onnx", MODELS / "wine_sample.npy"))
    assert ">constants</text>" in re.sub("<title>[^<]*</title>", "", page)
