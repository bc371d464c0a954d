"""Texts in, coloured words out: by tokenizers of three kinds, in Python, on the command line, as HTML and picture."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxdtd import Explainer, Explanation
from onnxdtd.cli.coloured import coloured
from onnxdtd.errors import InputError, UsageError
from onnxdtd.reading.words import word_labels, words
from onnxdtd.render import coloured_html
from tests.support.command_line import Cli
from tests.support.model_text import model

VOCABULARY = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "the",
    "film",
    "was",
    "un",
    "##believ",
    "##ably",
    "good",
    ".",
]
TABLE = np.array([0, 1, 2, 3, 0.1, 0.2, 0.3, 1, 2, 3, 4, -5], np.float32)[:, None]
BAG = """(int64[N, T] input_ids, int64[N, T] attention_mask, int64[N, T] token_type_ids) => (float[N, 1] y) {
  a = Gather(table, input_ids) t = Gather(kinds, token_type_ids) e = Add(a, t)
  m = Cast<to=1>(attention_mask) k = Unsqueeze(m, last) h = Mul(e, k) y = ReduceSum<keepdims=0>(h, one) }"""
LAST, ONE = np.array([2]), np.array([1])
TEXT = "The film was unbelievably good."


def bag() -> Any:
    """The sum of what each token that counts says; the second kind of token says nothing."""
    return model(BAG, table=TABLE, kinds=np.zeros((2, 1), np.float32), last=LAST, one=ONE)


def tokenizer() -> Any:
    """BERT's: lower case, punctuation apart, WordPiece, [CLS] and [SEP]."""
    reason = "reading texts needs the extra `text`"
    tokenizers = pytest.importorskip("tokenizers", reason=reason)
    processors = pytest.importorskip("tokenizers.processors", reason=reason)
    numbers = {token: i for i, token in enumerate(VOCABULARY)}
    engine = tokenizers.Tokenizer(tokenizers.models.WordPiece(numbers, unk_token="[UNK]"))
    engine.normalizer = tokenizers.normalizers.BertNormalizer()
    engine.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    engine.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    engine.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    return engine


def test_a_text_is_read_and_its_words_are_told() -> None:
    e = Explainer(bag(), tokenizer=tokenizer())(TEXT)
    rows = e.tokens()
    assert [row.token for row in rows] == [
        "[CLS]", "the", "film", "was", "un", "##believ", "##ably", "good", ".", "[SEP]",
    ]  # fmt: skip
    assert [row.word for row in rows[4:7]] == ["unbelievably"] * 3
    assert [row.special for row in rows] == [True, *[False] * 8, True]
    np.testing.assert_allclose(
        [row.relevance for row in rows], [2, 0.1, 0.2, 0.3, 1, 2, 3, 4, -5, 3], rtol=1e-6
    )
    assert e.inputs["token_type_ids"].tolist() == [[0] * 10]
    assert e.masks == ("attention_mask",)


def test_what_the_tokenizer_does_not_know_is_shown_as_it_stands() -> None:
    e = Explainer(bag(), tokenizer=tokenizer())("The FILM was 😀 magnificent.")
    assert [row.word for row in e.tokens()] == ["", "The", "FILM", "was", "😀", "magnificent", ".", ""]
    assert [row.token for row in e.tokens()][4:6] == ["[UNK]", "[UNK]"]


def test_an_apostrophe_is_quoted_by_other_marks() -> None:
    e = Explainer(bag(), tokenizer=tokenizer())("The film wasn't good")
    listed = words(e)
    assert word_labels(e, 0, "input_ids", listed)[4:7] == ['"\'"', "'t'", "'good'"]


def test_tables_of_what_was_kept_print_as_tables() -> None:
    e = Explainer(bag(), tokenizer=tokenizer())("The film", keep=["h"])
    assert repr(e.tables()).splitlines()[0].split() == ["relevance", "|relevance|", "value"]


def test_a_batch_is_padded_and_padding_gets_nothing() -> None:
    e = Explainer(bag(), tokenizer=tokenizer())(["good", TEXT])
    assert [row.padding for row in e.tokens(sample=0)] == [False] * 3 + [True] * 7
    assert not e.relevance["input_ids"][0, 3:].any()
    assert [row.token for row in e.tokens(sample=0)][:4] == ["[CLS]", "good", "[SEP]", "[PAD]"]


def test_a_pair_has_kinds_of_its_own() -> None:
    e = Explainer(bag(), tokenizer=tokenizer())(("good", "the film"))
    assert e.inputs["token_type_ids"].tolist() == [[0, 0, 0, 1, 1, 1]]
    assert [row.word for row in e.tokens()] == ["", "good", "", "the", "film", ""]


def test_ids_are_written_by_the_tokenizer_a_vocabulary_or_a_list() -> None:
    ids = np.array([[2, 7, 8, 9, 3, 0]])
    x = {"input_ids": ids, "attention_mask": np.array([[1, 1, 1, 1, 1, 0]]), "token_type_ids": 0 * ids}
    plain = Explainer(bag())(x)
    assert [row.token for row in plain.tokens()] == ["2", "7", "8", "9", "3", "0"]
    for named in (Explainer(bag(), tokenizer=VOCABULARY)(x).tokens(), plain.tokens(VOCABULARY)):
        assert [row.word for row in named] == ["", *["unbelievably"] * 3, "", ""]
        assert [row.padding for row in named] == [False] * 5 + [True]
    one_by_one = plain.tokens(["a", "b", "c", "d", "e", "f"])
    assert [row.word for row in one_by_one] == ["a", "b", "c", "d", "e", "f"]


def test_the_result_keeps_its_text(tmp_path: Path) -> None:
    explainer = Explainer(bag(), tokenizer=tokenizer())
    e = explainer(TEXT)
    assert Explanation.load(e.save(tmp_path / "out")).tokens() == e.tokens()
    assert (tmp_path / "out" / "heatmap.png").is_file()
    assert pickle.loads(pickle.dumps(explainer))(TEXT).tokens() == e.tokens()
    assert explainer.by("gradient_x_input")(TEXT).tokens()[4].word == "unbelievably"


def test_html_holds_the_words_and_none_of_their_markup() -> None:
    e = Explainer(bag(), tokenizer=tokenizer())("good <script>")
    html = coloured_html(e)
    assert "&lt;" in html
    assert "<script>" not in e.html()
    assert ">good</span>" in html
    assert "onnxdtd-strip" not in html
    assert "onnxdtd-strip" in coloured_html(Explainer(bag(), tokenizer=tokenizer())("good film " * 100))


def test_the_terminal_shows_colours_and_nothing_of_the_text_steers_it() -> None:
    e = Explainer(bag(), tokenizer=tokenizer())("good \x1b[31mfilm")
    assert "\x1b[38;2;" in coloured(e)
    assert "\x1b[31m" not in coloured(e)


def test_the_command_line_reads_texts(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(bag().SerializeToString())
    tokenizer().save(str(tmp_path / "tokenizer.json"))
    code, out, _ = cli("run", "m.onnx", "--tokenizer", "tokenizer.json", "--text", TEXT, "-o", "out")
    assert code == 0
    assert "'unbelievably' (+6)" in out
    assert "'attention_mask' says what counts" in out
    assert "special tokens ([CLS], [SEP]) +5" in out
    assert "\x1b" not in out
    code, out, _ = cli("run", "m.onnx", "--tokenizer", "tokenizer.json", "--text", "a", "-o", "out", "--json")
    assert json.loads(out)["texts"]["input_ids"][0]["tokens"] == ["[CLS]", "[UNK]", "[SEP]"]


def test_masks_are_named_and_positions_credited(cli: Cli, tmp_path: Path) -> None:
    """Without a mask the number that multiplies each token has half of the product; the position embedding of 1 is
    credited to the token."""
    (tmp_path / "m.onnx").write_bytes(bag().SerializeToString())
    np.savez("x.npz", input_ids=[[10, 11]], attention_mask=[[1, 1]], token_type_ids=[[0, 0]])

    def relevance(*options: str) -> dict[str, Any]:
        code, out, _ = cli("run", "m.onnx", "x.npz", "-o", "out", "--json", *options)
        assert code == 0
        return {name: r["sum"] for name, r in json.loads(out)["relevance"].items()}

    assert relevance() == relevance("--mask", "attention_mask") == {"input_ids": -1.0, "token_type_ids": 0.0}
    assert relevance("--mask", "none")["attention_mask"] == pytest.approx(-0.5)
    placed = model(
        "(int64[N, 2] ids) => (float[N, 2] y) { e = Gather(table, ids) h = Add(e, p) r = Relu(h) "
        "y = ReduceSum<keepdims = 0>(r, one) }",
        table=np.array([[1, 2], [3, 4]], np.float32), p=np.array([[1, 1], [2, 2]], np.float32), one=ONE,
    )  # fmt: skip
    (tmp_path / "m.onnx").write_bytes(placed.SerializeToString())
    np.savez("x.npz", ids=[[0, 1]])
    assert relevance("--target", "0")["ids"] == pytest.approx(4, rel=1e-5)
    assert relevance("--target", "0", "--positions", "token")["ids"] == pytest.approx(7, rel=1e-5)
    assert cli("run", "m.onnx", "x.npz", "-o", "out", "--positions", "no")[0] == 2
    assert cli("run", "m.onnx", "x.npz", "-o", "out", "--mask", "no")[0] == 2


def test_tokens_that_stand_in_for_others_have_names(cli: Cli, tmp_path: Path) -> None:
    """[UNK] is worth 1, [PAD] 0; this vocabulary has no mask. The film was good: .1, .2, .3, 4."""
    (tmp_path / "m.onnx").write_bytes(bag().SerializeToString())
    tokenizer().save(str(tmp_path / "tokenizer.json"))
    words = ("run", "m.onnx", "--tokenizer", "tokenizer.json", "--text", "the film was good", "-o", "out")
    for stand_in, worth in (("unk", 1), ("1", 1), ("pad", 0)):
        code, _, _ = cli(*words, "--method", "occlusion", "--occlude", stand_in, "--no-audit")
        ids = np.load("out/relevance.npz")["input_ids"][0, 1:-1]
        assert (code, ids.tolist()) == (
            0,
            pytest.approx([0.1 - worth, 0.2 - worth, 0.3 - worth, 4 - worth], abs=1e-5),
        )
    code, _, _ = cli(*words, "--method", "integrated_gradients", "--set", "baseline_token=unk", "--no-audit")
    assert (code, np.load("out/relevance.npz")["input_ids"][0, 4]) == (0, pytest.approx(3, rel=1e-5))
    code, _, err = cli(*words, "--method", "occlusion", "--occlude", "mask")
    assert (code, "no token for mask ([MASK], <mask>, <|mask|>)" in err) == (2, True)
    code, _, err = cli(*words, "--method", "occlusion", "--occlude", "word")
    assert (code, "give its number, or mask, pad or unk" in err) == (2, True)


def test_the_command_line_writes_ids(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(bag().SerializeToString())
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY))
    ids = np.array([[2, 7, 8, 9, 3]])
    np.savez("x.npz", input_ids=ids, attention_mask=0 * ids + 1, token_type_ids=0 * ids)
    code, out, _ = cli("run", "m.onnx", "x.npz", "--tokens", "vocab.txt", "-o", "out")
    assert (code, "'unbelievably' (+6)" in out) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--text", "good"], "--text needs --tokenizer"),
        (["x.npz", "--text", "good", "--tokenizer", "t.json"], "give one of them to explain"),
        (["x.npz", "--tokenizer", "t.json", "--tokens", "v.txt"], "--tokenizer and --tokens"),
        (
            ["--text", "a", "--text", "b", "--pair", "c", "--tokenizer", "t.json"],
            "--pair goes with one --text",
        ),
        (["--text", "a", "--tokenizer", "none.json"], "'none.json' cannot be read"),
        (["--text", "a", "--tokenizer", "list.json"], "holds no tokenizer"),
    ],
)
def test_what_cannot_be_read_is_refused(cli: Cli, tmp_path: Path, arguments: list[str], says: str) -> None:
    (tmp_path / "m.onnx").write_bytes(bag().SerializeToString())
    (tmp_path / "list.json").write_text('["a", "b"]')
    code, _, err = cli("run", "m.onnx", *arguments, "-o", "out")
    assert (code, says in err, "Traceback" in err) == (2, True, False)


def test_texts_that_the_model_cannot_take() -> None:
    short = model("(int64[N, 4] input_ids) => (float[N, 1] y) { a = Gather(table, input_ids)"
                  " y = ReduceSum<keepdims=0>(a, one) }", table=TABLE, one=ONE)  # fmt: skip
    with pytest.raises(InputError, match=r"has 10 tokens, 'input_ids' takes 4"):
        Explainer(short, tokenizer=tokenizer())(TEXT)
    with pytest.raises(InputError, match="no input says which are padding"):
        Explainer(short, tokenizer=tokenizer())("good")
    picture = model("(float[N, 3] x) => (float[N, 3] y) { y = Relu(x) }")
    with pytest.raises(InputError, match="takes no token ids"):
        Explainer(picture, tokenizer=tokenizer())("good")
    with pytest.raises(UsageError, match="no input is of tokens"):
        Explainer(picture)(np.ones((1, 3), np.float32), target=0).tokens()


def test_without_the_package_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tokenizer.json").write_text('{"model": {"type": "WordPiece"}}')
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(UsageError, match=r"pip install .onnxdtd\[text\]"):
        Explainer(bag(), tokenizer=tmp_path / "tokenizer.json")
