"""How tokens are written: words of subwords by the marks of vocabularies, special ones and padding apart."""

from __future__ import annotations

import numpy as np
import pytest

from onnxdtd.tokens import Spelling, by_ids, by_names, words_of

WRITTEN = {
    "WordPiece": (["[CLS]", "play", "##ing", "it", "##s", "[SEP]"], ["playing", "its"]),
    "WordPiece, a sign of its own": (["##", "a"], ["##", "a"]),
    "byte-level": (["Play", "ing", "Ġit", "s", "<|endoftext|>"], ["Playing", "its"]),
    "bytes of one character": (["Ġcaf", "Ã", "©", "Ġ", "ðŁĺ", "Ģ"], ["café", "😀"]),
    "SentencePiece": (["<s>", "▁play", "ing", "▁it", "</s>"], ["playing", "it"]),
    "bytes of SentencePiece": (["▁caf", "<0xC3>", "<0xA9>", "▁x"], ["café", "x"]),
    "a space behind": (["<|startoftext|>", "play", "ing</w>", "it</w>", "<|endoftext|>"], ["playing", "it"]),
    "no marks": (["play", "it"], ["play", "it"]),
}


@pytest.mark.parametrize("form", WRITTEN)
def test_subwords_are_merged_to_words(form: str) -> None:
    tokens, words = WRITTEN[form]
    rows = by_names(tokens).rows(np.arange(len(tokens), dtype=float))
    listed = words_of(rows)
    assert [word.text for word in listed if not word.special] == words
    assert [row.token for row in rows] == tokens
    assert sum(word.relevance for word in listed) == sum(range(len(tokens)))


def test_each_token_says_its_word_and_special_ones_have_none() -> None:
    rows = by_names(["[CLS]", "very", "very", "un", "##well"]).rows(np.array([1.0, 2, 3, 4, 5]))
    assert [row.word for row in rows] == ["", "very", "very", "unwell", "unwell"]
    assert [row.number for row in rows] == [None, 0, 1, 2, 2]
    assert [row.special for row in rows] == [True, False, False, False, False]
    assert [word.relevance for word in words_of(rows)] == [1, 2, 3, 9]


def test_padding_is_no_word() -> None:
    rows = by_names(["a", "[PAD]", "[PAD]"]).padded([False, True, True]).rows(np.zeros(3))
    assert [row.padding for row in rows] == [False, True, True]
    assert [word.text for word in words_of(rows)] == ["a"]


def test_a_spelling_is_read_back() -> None:
    spelling = by_names(["[CLS]", "a", "##b"])
    assert Spelling.read({name: list(values) for name, values in vars(spelling).items()}) == spelling
    assert by_ids(np.array([7, 8])).tokens == ("7", "8")
