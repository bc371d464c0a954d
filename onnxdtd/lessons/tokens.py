"""Which tokens a job's rows had, by which their relevance is counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from onnxdtd.datasets import Results
from onnxdtd.datasets.recipe import reopened
from onnxdtd.errors import InputError
from onnxdtd.explainer import Explainer
from onnxdtd.inputs import DataSet, Reader, Row, Tokenizer, reader_of, spelled
from onnxdtd.plan.masks import counted, masks, texts
from onnxdtd.tokens import Word, words_of
from onnxdtd.types import Array
from onnxdtd.workers import check_ids, reread


@dataclass(frozen=True)
class Tokens:
    """inputs: those that are sequences of tokens. data: where they are read. names: of tokens, by number."""

    inputs: tuple[str, ...]
    data: DataSet
    names: Mapping[int, str]

    def read(self, results: Results) -> Iterator[dict[str, Array]]:
        """The tokens of each row, by input."""
        where = [(row["row"], row["id"]) for row in results.rows(["id", "row"])]
        check_ids(self.data, where)
        for _, row in reread(self.data, where):
            yield {name: np.asarray(row.inputs[name]).reshape(-1) for name in self.inputs}

    def name(self, number: int) -> str:
        """As the tokenizer writes it, else its number."""
        return self.names.get(number, str(number))


@dataclass(frozen=True)
class Writer:
    """Writes the tokens of a job's rows as words. reader: without one, by their numbers."""

    explainer: Explainer
    reader: Reader | None

    def words(self, name: str, row: Row, relevance: Array) -> list[Word]:
        """The words of one row with their relevance, in reading order; empty where the input is no text."""
        graph, feeds = self.explainer.graph, row.inputs
        if name not in texts(graph, self.explainer.loaded.features, {name: relevance[None]}):
            return []
        masked = (counted(graph, mask, feeds[mask]) for mask in masks(graph))
        (own,) = spelled(self.reader, (name,), feeds, [here for here in masked if here is not None])[name]
        return words_of(own.rows(relevance))


def writer_of(explainer: Explainer, tokenizer: Tokenizer | None = None) -> Writer:
    """By a tokenizer, else by that of the explainer."""
    return Writer(explainer, reader_of(tokenizer) or explainer.loaded.reader)


def tokens_of(results: Results, tokenizer: Tokenizer | None, model: Any, data: Any) -> Tokens | None:
    """The tokens of a job whose inputs are texts, None for another job; also where the model or the data are not
    there any more and nobody named them, since then only places can be told."""
    first = next(iter(results), None)
    asked = tokenizer is not None or model is not None or data is not None
    table = results.manifest.get("features") is not None
    line = first is not None and any(r.ndim == 1 and r.size > 1 for r in first["relevance"].values())
    if first is None or not (asked or (line and not table)):
        return None
    try:
        made = reopened(Path(results.folder), model=model, data=data)
    except InputError:
        if asked:
            raise
        return None
    graph, features = made.explainer.graph, made.explainer.loaded.features
    inputs = texts(graph, features, first["relevance"])
    if tokenizer is not None and (not inputs or made.data is None):
        raise InputError(f"the rows of '{results.folder}' are no sequences of tokens that can be read")
    reader = reader_of(tokenizer)
    return (
        Tokens(inputs, made.data, reader.names if reader else {})
        if inputs and made.data is not None
        else None
    )
