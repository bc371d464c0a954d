"""How tokens are written: as the vocabulary has them, as they stand in the text, and the words that they make up."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, NamedTuple

import numpy.typing as npt

from onnxdtd.types import Array

SPACE, LOW_LINE, END = "Ġ", "▁", "</w>"
"""What stands for a space before a token in byte-level vocabularies and in SentencePiece's; for one behind it."""
CONTINUES = "##"
"""Before a piece of WordPiece that goes on with a word."""
_SPECIAL = re.compile(
    r"\[(PAD|CLS|SEP|MASK|BOS|EOS)\]|</?(s|pad|mask|bos|eos)>|<\|[^|]*\|>|<(start|end)_of_turn>"
)
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class Token(NamedTuple):
    """One token of an explained text.

    token: as the vocabulary writes it. word: the word that it is a part of; "" for a special one. relevance: what it
    is given. special: whether it stands for no text, such as [CLS]. padding: whether it only fills up a length.
    piece: as it stands in the text, with the space before it. position: in the input. number: of its word.
    """

    token: str
    word: str
    relevance: float
    special: bool
    padding: bool
    piece: str
    position: int
    number: int | None


class Word(NamedTuple):
    """A word, or a special token, of an explained text. text: without the space before it, which `space` is.
    relevance: of all its tokens."""

    text: str
    space: str
    relevance: float
    special: bool
    tokens: tuple[Token, ...]


def words_of(rows: Sequence[Token]) -> list[Word]:
    """The words of tokens in reading order, special ones apart and padding left out."""
    words = []
    for (special, _), group in groupby(
        [row for row in rows if not row.padding],
        lambda row: (row.special, row.position if row.special else row.number),
    ):
        tokens = tuple(group)
        whole = "".join(token.piece for token in tokens)
        text = whole.lstrip()
        relevance = math.fsum(token.relevance for token in tokens)
        words.append(Word(text, whole[: len(whole) - len(text)], relevance, special, tokens))
    return words


@dataclass(frozen=True)
class Spelling:
    """How the tokens of one sample are written. tokens, pieces, special, padding: as of `Token`; words: the number of
    each token's word, None of special ones."""

    tokens: tuple[str, ...]
    pieces: tuple[str, ...]
    words: tuple[int | None, ...]
    special: tuple[bool, ...]
    padding: tuple[bool, ...]

    @classmethod
    def of(
        cls, tokens: Sequence[str], pieces: Sequence[str], words: Sequence[Any], apart: Sequence[bool]
    ) -> Spelling:
        """Tokens with their pieces and what tells words apart: a word ends where `words` changes, and before a piece
        that begins with a space. apart: which tokens are special."""
        numbers: list[int | None] = []
        count, before = -1, None
        for piece, word, special in zip(pieces, words, apart, strict=True):
            if special:
                numbers.append(None)
                before = None
                continue
            if before is None or word != before[0] or piece[:1].isspace():
                count += 1
            before = (word,)
            numbers.append(count)
        none = (False,) * len(tokens)
        return cls(tuple(tokens), tuple(pieces), tuple(numbers), tuple(map(bool, apart)), none)

    @classmethod
    def read(cls, document: Mapping[str, Sequence[Any]]) -> Spelling:
        """The entry in explanation.json, back."""
        return cls(**{name: tuple(values) for name, values in document.items()})

    def padded(self, padding: Sequence[bool]) -> Spelling:
        """The same tokens, of which some only fill up a length."""
        return replace(self, padding=tuple(map(bool, padding)))

    def rows(self, relevance: Array) -> list[Token]:
        """The tokens in reading order. relevance: of each position."""
        texts: dict[int | None, str] = {None: ""}
        for number, piece in zip(self.words, self.pieces, strict=True):
            if number is not None:
                texts[number] = texts.get(number, "") + piece
        columns = (self.tokens, self.words, relevance.tolist(), self.special, self.padding, self.pieces)
        return [
            Token(token, texts[number].strip(), amount, special, padding, piece, position, number)
            for position, (token, number, amount, special, padding, piece) in enumerate(
                zip(*columns, strict=True)
            )
        ]


class Spelled(dict[str, npt.NDArray[Any]]):
    """A model's inputs by name that were read from texts. texts: by input, how each sample's tokens are written."""

    def __init__(self, feeds: Mapping[str, Array], texts: Mapping[str, tuple[Spelling, ...]]) -> None:
        super().__init__(feeds)
        self.texts = dict(texts)


def by_names(tokens: Sequence[str], special: Sequence[bool] | None = None) -> Spelling:
    """Tokens whose vocabulary alone is known: its marks say where words begin.

    `##` before what goes on with a word, `Ġ` (bytes) and `▁` for a space before, `</w>` for a space behind; without
    any of them each token is a word. special: by default what is written like [CLS], <s> or <|im_end|>.
    """
    apart = [bool(_SPECIAL.fullmatch(t)) for t in tokens] if special is None else [*special]
    text = [t for t, alone in zip(tokens, apart, strict=True) if not alone]
    return Spelling.of(tokens, _pieces(tokens, apart, _marks(text)), [0] * len(tokens), apart)


def _marks(tokens: Sequence[str]) -> str:
    """The mark of words that these tokens have."""
    for mark in (SPACE, LOW_LINE):
        if any(t.startswith(mark) for t in tokens):
            return mark
    return END if any(t.endswith(END) for t in tokens) else CONTINUES


def _pieces(tokens: Sequence[str], apart: Sequence[bool], mark: str) -> list[str]:
    pieces, behind = list[str](), False
    left = b""  # bytes of a character that further tokens end
    for token, special in zip(tokens, apart, strict=True):
        if special:
            pieces.append(token)
        elif mark == END:
            pieces.append((" " if behind else "") + token.removesuffix(END))
        elif mark == CONTINUES:
            goes_on = token.startswith(CONTINUES) and len(token) > len(CONTINUES)
            pieces.append(token.removeprefix(CONTINUES) if goes_on else f" {token}")
        else:
            left += _bytes(token) if mark == SPACE else _low_line(token)
            text, left = _whole(left)
            pieces.append(text)
        behind = token.endswith(END)
    return pieces


def _whole(data: bytes) -> tuple[str, bytes]:
    """The text of whole characters, and the bytes that wait for the rest of one."""
    for cut in range(len(data), max(len(data) - 4, -1), -1):
        try:
            return data[:cut].decode("utf-8"), data[cut:]
        except UnicodeDecodeError:
            continue
    return data.decode("utf-8", "replace"), b""


def _low_line(token: str) -> bytes:
    single = _BYTE.fullmatch(token)
    return bytes([int(single[1], 16)]) if single else token.replace(LOW_LINE, " ").encode()


def _bytes(token: str) -> bytes:
    """The bytes that the characters of a byte-level vocabulary stand for."""
    return b"".join(bytes([_CHARACTERS[c]]) if c in _CHARACTERS else c.encode() for c in token)


def _characters() -> dict[str, int]:
    """Printable bytes stand for themselves, the others for characters from 256 on."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in shown]
    return {chr(b): b for b in shown} | {chr(256 + i): b for i, b in enumerate(others)}


_CHARACTERS = _characters()


def by_ids(ids: Array) -> Spelling:
    """Tokens of which nothing is known but their numbers."""
    names = [str(i) for i in ids.tolist()]
    none = (False,) * len(names)
    return Spelling(tuple(names), tuple(f" {n}" for n in names), tuple(range(len(names))), none, none)
