"""Options of texts: what reads them, and what is asked for when they are given in the place of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onnxdtd.errors import UsageError

Tokenizer = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        readable=False,
        help="A tokenizer.json of Hugging Face, which reads --text and writes tokens; needs the extra `text`.",
    ),
]
Tokens = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        readable=False,
        help="How given token ids are written: a vocabulary (vocab.txt, vocab.json), or the tokens one a line.",
    ),
]
Text = Annotated[
    list[str] | None,
    typer.Option(metavar="TEXT", help="Explain this text in the place of INPUT; may be repeated: a batch."),
]
Pair = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT", help="A second text that --text is read with, as a question and its passage."
    ),
]

Mask = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="This input says what counts, such as attention_mask, and is not explained; may be repeated; none: no "
        "input does. By default what the model does with an input tells.",
    ),
]
Positions = Annotated[
    str,
    typer.Option(
        metavar="P",
        help="absorb: position embeddings are constants, or token: the token at a place gets what its position "
        "embedding would take.",
    ),
]


def masks_of(names: list[str] | None) -> list[str] | None:
    """What `--mask` names; None for what the model tells."""
    return [] if names == ["none"] else names or None


def texts_of(
    inputs: list[Path], texts: list[str] | None, pair: str | None, tokenizer: Path | None
) -> list[str | tuple[str, str]]:
    """What `--text` gives, with its pair. Raises UsageError where there is nothing to explain, or not one thing."""
    if pair is not None and len(texts or ()) != 1:
        raise UsageError("--pair goes with one --text")
    if texts and inputs:
        raise UsageError(f"'{inputs[0]}' and --text: give one of them to explain")
    if texts and tokenizer is None:
        raise UsageError("--text needs --tokenizer tokenizer.json, by which the model was trained")
    if not texts and not inputs:
        raise UsageError("Missing argument 'INPUT...': give it, or --text with --tokenizer")
    return [(text, pair) if pair is not None else text for text in texts or ()]


def one_of(tokenizer: Path | None, tokens: Path | None) -> Path | None:
    """What writes tokens. Raises UsageError for both."""
    if tokenizer is not None and tokens is not None:
        raise UsageError("--tokenizer and --tokens: give one of them, both say how tokens are written")
    return tokenizer or tokens
