"""`cluster` and `concepts` of models that read tokens: coloured words, or a line that there are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from onnxdtd.each import explain_each
from onnxdtd.explainer import Explainer
from onnxdtd.inputs import Row
from onnxdtd.lessons.tokens import writer_of
from onnxdtd.render.passages import Passage, passages
from onnxdtd.tokens import Word, words_of
from tests.support.command_line import Cli, command_line
from tests.support.model_text import model

pytest.importorskip("pyarrow", reason="shards are Parquet")
TEXT = (
    "(int64[N, 6] input_ids, int64[N, 6] attention_mask) => (float[N, 2] y) { e = Gather(w, input_ids)\n"
    "h = Relu(e)\n m = Cast<to = 1>(attention_mask)\n k = Unsqueeze(m, last)\n p = Mul(h, k)\n"
    "s = ReduceSum<keepdims = 0>(p, middle)\n y = MatMul(s, v) }"
)
WORDS = ["[CLS]", "good", "bad", "##ly", "film", "[PAD]", "unused"]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """In a folder with the job of 20 texts: token 1 speaks for class 0, token 2 against it."""
    cli = command_line(capsys, tmp_path, monkeypatch)
    rng = np.random.default_rng(4)
    w = np.array([[0, 0, 1], [3, 0, 0], [0, 2, 0], [0, 1, 0], [0.5, 0.2, 0], [0, 0, 0]], np.float32)
    net = model(
        TEXT,
        w=w,
        v=np.array([[1, 0], [-1, 1], [0.1, 0]], np.float32),
        last=np.array([2]),
        middle=np.array([1]),
    )
    onnx.save(net, tmp_path / "net.onnx")
    ids = rng.integers(1, 5, (20, 6))
    ids[:, 0], ids[:10, 5] = 0, 5
    np.savez(
        tmp_path / "x.npz",
        input_ids=ids,
        attention_mask=(ids != 5).astype(np.int64),
        labels=np.zeros(20, int),
    )
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    assert cli("batch", "net.onnx", "x.npz", "-o", "job", "--target", 0, "-m", "gradient_x_input")[0] == 0
    return cli


def test_words_of_a_row_are_those_of_a_run(cli: Cli, tmp_path: Path) -> None:
    """Padding left out, [CLS] apart, a word's pieces together."""
    explainer = Explainer(tmp_path / "net.onnx", "gradient_x_input", tokenizer=WORDS)
    feeds = {"input_ids": np.array([[0, 1, 2, 3, 4, 5]]), "attention_mask": np.array([[1, 1, 1, 1, 1, 0]])}
    e = explainer(feeds, 0)
    row = Row("a", explainer.feeds(feeds))
    listed = writer_of(explainer).words("input_ids", row, e.relevance["input_ids"][0])
    assert [(word.text, word.special) for word in listed] == [
        ("[CLS]", True), ("good", False), ("badly", False), ("film", False),
    ]  # fmt: skip
    assert listed == words_of(e.tokens())
    assert writer_of(explainer).words("attention_mask", row, e.relevance["input_ids"][0]) == []


def test_each_row_of_a_pass_has_its_own_words(cli: Cli, tmp_path: Path) -> None:
    explainer = Explainer(tmp_path / "net.onnx", "gradient_x_input", tokenizer=WORDS)
    ids = np.array([[0, 1, 2, 3, 4, 5], [0, 4, 4, 1, 2, 2]])
    rows = [
        Row(
            str(i), explainer.feeds({"input_ids": x[None], "attention_mask": (x[None] != 5).astype(np.int64)})
        )
        for i, x in enumerate(ids)
    ]
    for i, (_, e) in enumerate(explain_each(explainer, rows, 0)):
        assert [token.token for token in e.tokens()] == [WORDS[k] for k in ids[i]]


def test_clusters_of_texts_are_drawn_in_words(cli: Cli, tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason='clusters are an extra: pip install "onnxdtd[cluster]"')
    code, _, err = cli("cluster", "job", "-o", "words", "--clusters", 2, "--tokenizer", "vocab.txt")
    assert (code, err) == (0, "")
    sheets = sorted((tmp_path / "words").glob("*/cluster-*.png"))
    assert len(sheets) == 2
    with Image.open(sheets[0]) as picture:
        assert np.asarray(picture.convert("RGB")).std(axis=2).max() > 50  # in colours
    (tmp_path / "x.npz").unlink()
    code, _, err = cli("cluster", "job", "-o", "alone", "--clusters", 2)
    assert (code, "no contact sheets: neither pictures nor texts that can be read again" in err) == (0, True)


def test_concepts_of_texts_are_drawn_in_words(cli: Cli, tmp_path: Path) -> None:
    words = ("concepts", "job", "--layer", "h", "--axis", -1, "--top", 2, "--references", 3)
    code, out, err = cli(*words, "-o", "words", "--tokenizer", "vocab.txt", "--row", "3")
    assert (code, err) == (0, "")
    assert "3 channels" in out
    pictures = {path.name for path in (tmp_path / "words").glob("*.png")}
    assert len(pictures) >= 3
    assert "where.png" in pictures


def test_a_long_text_is_shown_around_its_strongest_word() -> None:
    many = [Word(f"w{i}", " ", float(i == 400), False, ()) for i in range(500)]
    figure = passages([Passage(("row", "class"), many)], "title")
    shown = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert "w400" in shown
    assert len([word for word in shown if word.startswith("w")]) == 120
