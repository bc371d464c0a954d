"""Texts as a model's inputs: read by a tokenizer of Hugging Face, or only written out by a vocabulary."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from onnxdtd.disk import NAMES, parsed_json, read_text
from onnxdtd.errors import InputError, UsageError, one_line
from onnxdtd.inputs.arrays import check_inputs
from onnxdtd.model.graph import Value
from onnxdtd.tokens import Spelled, Spelling, by_ids, by_names
from onnxdtd.types import Array

Tokenizer = Any
"""A tokenizer.json, a `tokenizers.Tokenizer`, a fast tokenizer of transformers, or a vocabulary: the names of tokens
in the order of their numbers (vocab.txt, vocab.json or a list), or a dict of numbers by name."""
PADS = ("[PAD]", "<pad>", "<|pad|>", "<|endoftext|>", "</s>")
ROLES = {"mask": ("mask",), "types": ("type", "segment"), "positions": ("position",)}


def role(name: str) -> str:
    """What an input of integers is by its name: ids, unless it says mask, types or positions."""
    words = name.lower()
    return next((role for role, parts in ROLES.items() if any(part in words for part in parts)), "ids")


class Reader:
    """names: of tokens by number. engine: the tokenizer; None where only the names are there."""

    def __init__(self, names: Mapping[int, str], engine: Any = None) -> None:
        self.names, self.engine = names, engine
        self.special: set[int] = set()
        self.pad: int | None = None
        if engine is not None:
            self.pad = _pad(engine)
            unknown = json.loads(engine.to_str())["model"].get("unk_token")  # which stands for a word
            added = engine.get_added_tokens_decoder().items()
            self.special = {i for i, token in added if token.special and token.content != unknown}

    def texts_in(self, x: Any) -> list[Any] | None:
        """The texts that x is: a str, a pair of them (a tuple), or a list of these; None for anything else, such as
        the Path of a file. Of a vocabulary, by which no text can be read, a list raises InputError."""
        if self.engine is None and isinstance(x, str):
            return None
        texts = x if isinstance(x, list) else [x]
        pairs = [(t,) if isinstance(t, str) else t for t in texts]
        whole = all(
            isinstance(p, tuple) and 1 <= len(p) <= 2 and all(isinstance(t, str) for t in p) for p in pairs
        )
        if not texts or not whole:
            return None
        if self.engine is None:
            raise InputError("a vocabulary holds no tokenizer, which reads texts: give a tokenizer.json")
        return texts

    def read(self, texts: Sequence[Any], values: Mapping[str, Value]) -> Spelled:
        """The texts as the model's inputs, fed by what their names say; shorter ones are padded. Raises
        InputError."""
        by_role = self._by_role(values)
        encodings = [self.engine.encode(*([t] if isinstance(t, str) else t)) for t in texts]
        counts = [len(encoding.ids) for encoding in encodings]
        name = by_role["ids"]
        shape = values[name].shape or (None, None)
        length = shape[1] if isinstance(shape[1], int) else max(counts)
        if max(counts) > length:
            raise InputError(f"the text has {max(counts)} tokens, '{name}' takes {length}: shorten it")
        if not min(counts):
            raise InputError("the text is empty: the tokenizer makes no token of it")
        pad = self.pad if min(counts) < length else 0
        if pad is None:
            raise InputError(
                "the tokenizer has no token for padding: give texts of one length, one at a time"
            )
        if min(counts) < length and "mask" not in by_role:
            raise InputError(f"{min(counts)} tokens of {length}, and no input says which are padding: "
                             "give texts of one length, one at a time")  # fmt: skip
        fillers = {"ids": (pad, "ids"), "types": (0, "type_ids"), "mask": (0, "attention_mask")}
        rows: dict[str, list[list[int]]] = {role: [] for role in by_role}
        for encoding, count in zip(encodings, counts, strict=True):
            for role, own in rows.items():
                filler, field = fillers.get(role, (0, ""))
                cells = [*getattr(encoding, field)] if field else [*range(count)]
                own.append(cells + [filler if role != "positions" else length - 1] * (length - count))
        arrays = {
            by_role[role]: np.array(own).astype(values[by_role[role]].dtype) for role, own in rows.items()
        }
        spelled = tuple(
            self._of_encoding(encoding, text, length) for encoding, text in zip(encodings, texts, strict=True)
        )
        return Spelled(check_inputs(arrays, values), {name: spelled})

    def spell(self, ids: Array, padding: Sequence[bool] | None = None) -> Spelling:
        """One sample's ids as tokens; a list of names as long as they are names them one by one."""
        numbers = [*map(int, ids)]
        if self.engine is None and [*self.names] == [*range(len(numbers))]:
            spelling = by_names([*self.names.values()])
        else:
            tokens = [self.names.get(i, f"[{i}]") for i in numbers]
            special = None if self.engine is None else [i in self.special for i in numbers]
            spelling = by_names(tokens, special)
        return spelling.padded(padding) if padding is not None else spelling

    def _by_role(self, values: Mapping[str, Value]) -> dict[str, str]:
        """The input that takes each part of what the tokenizer makes of a text."""
        by_role: dict[str, str] = {}
        left = []
        for name, value in values.items():
            part = role(name)
            if part in by_role or (value.is_float and part != "mask") or len(value.shape or (0, 0)) != 2:
                left.append(name)
            else:
                by_role[part] = name
        if "ids" not in by_role:
            raise InputError(
                "the model takes no token ids (N, T), so it cannot read texts: give arrays by name"
            )
        if left:
            names = ", ".join(f"'{name}'" for name in left)
            fed = ", ".join(f"'{name}'" for name in by_role.values())
            raise InputError(
                f"a text feeds {fed}, and the model takes {names} besides: give --fixed {left[0]}=..., or all inputs "
                "as arrays by name"
            )
        return by_role

    def _of_encoding(self, encoding: Any, text: Any, length: int) -> Spelling:
        """Pieces and words as the tokenizer says: by offsets into the text, and with the space before each."""
        parts = (text,) if isinstance(text, str) else text
        ends, pieces, words = [0] * len(parts), list[str](), list[Any]()
        apart = [
            bool(m) or i in self.special
            for m, i in zip(encoding.special_tokens_mask, encoding.ids, strict=True)
        ]
        for i, token in enumerate(encoding.tokens):
            which = encoding.sequence_ids[i]
            if apart[i] or which is None:
                apart[i] = True
                pieces.append(token)
                words.append(None)
                continue
            end = max(encoding.offsets[i][1], ends[which])
            pieces.append(parts[which][ends[which] : end])
            ends[which] = end
            words.append((which, encoding.word_ids[i]))
        rest = length - len(pieces)
        pad = self.names.get(self.pad or 0, "") if rest else ""
        spelling = Spelling.of(
            [*encoding.tokens, *[pad] * rest], [*pieces, *[pad] * rest], [*words, *[None] * rest],
            [*apart, *[True] * rest],
        )  # fmt: skip
        return spelling.padded([False] * len(pieces) + [True] * rest)


def reader_of(tokenizer: Tokenizer | None) -> Reader | None:
    """What reads and writes texts. Raises UsageError where the package `tokenizers` is missing, InputError for a file
    that is none."""
    if tokenizer is None or isinstance(tokenizer, Reader):
        return tokenizer
    if isinstance(tokenizer, (str, PathLike)):
        return _from_file(Path(tokenizer))
    engine: Any = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if hasattr(engine, "encode") and hasattr(engine, "to_str"):
        return _from_engine(type(engine).from_str(engine.to_str()))
    return Reader(_numbered(tokenizer))


def _from_file(path: Path) -> Reader:
    try:
        text = read_text(path, NAMES)
        document = parsed_json(text) if path.suffix.lower() == ".json" else text.splitlines()
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise InputError(f"'{path}' holds no tokens, as JSON or one a line: {one_line(error)}") from None
    if isinstance(document, dict) and isinstance(document.get("model"), dict):
        try:
            package = importlib.import_module("tokenizers")
        except ImportError:
            raise UsageError('a tokenizer.json needs tokenizers: pip install "onnxdtd[text]"') from None
        try:
            return _from_engine(package.Tokenizer.from_str(text))
        except Exception as error:  # of its Rust code, which has no public type
            raise InputError(f"'{path}' is no tokenizer: {one_line(error)}") from None
    try:
        return Reader(_numbered(document))
    except InputError as error:
        raise InputError(f"'{path}': {error}") from None


def _pad(engine: Any) -> int | None:
    """The number of the token that fills up lengths."""
    if engine.padding:
        return int(engine.padding["pad_id"])
    return next((i for i in map(engine.token_to_id, PADS) if i is not None), None)


def _from_engine(engine: Any) -> Reader:
    """Lengths are the model's to say: nothing is cut off unasked, nor padded before that is known."""
    reader = Reader({number: name for name, number in engine.get_vocab(True).items()}, engine)
    engine.no_truncation()
    engine.no_padding()
    return reader


def _numbered(names: Any) -> dict[int, str]:
    """Names of tokens by number."""
    if isinstance(names, Mapping) and all(isinstance(n, int) for n in names.values()):
        return {number: str(name) for name, number in names.items()}
    if not isinstance(names, Sequence) or isinstance(names, (str, bytes)) or not names:
        raise InputError("neither a list of tokens nor an object of their numbers by name")
    return {number: str(name) for number, name in enumerate(names)}


def spelling_of(tokenizer: Tokenizer, ids: Array, padding: Sequence[bool]) -> Spelling:
    """One sample's ids as this tokenizer, vocabulary or list of names writes them."""
    reader = reader_of(tokenizer)
    assert reader is not None
    return reader.spell(ids, padding)


def spelled(
    reader: Reader | None, names: Sequence[str], feeds: Mapping[str, Array], counted: Sequence[Array]
) -> dict[str, tuple[Spelling, ...]]:
    """By input, how the tokens of each sample are written. names: the inputs of tokens; counted: what masks say, True
    where a token is no padding."""
    texts = feeds.texts if isinstance(feeds, Spelled) else {}
    spellings = {}
    for name in names:
        rows = feeds[name]
        alike = [here for here in counted if here.shape == rows.shape]
        padding = ~alike[0] if alike else np.zeros(rows.shape, bool)
        spellings[name] = texts.get(name) or tuple(
            by_ids(row).padded(gone.tolist()) if reader is None else reader.spell(row, gone.tolist())
            for row, gone in zip(rows, padding, strict=True)
        )
    return spellings
