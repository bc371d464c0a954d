"""The page of two models on one input: both maps, both answers, how far they are apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxdtd.comparison.comparison import INPUTS, RELEVANCE
from onnxdtd.comparison.pair import MANIFEST, SCHEMA
from onnxdtd.errors import InputError
from onnxdtd.folder import read_manifest
from onnxdtd.hints import made
from onnxdtd.npz import read_arrays
from onnxdtd.pages.alike import WORDS
from onnxdtd.pages.gallery import MOST, gallery
from onnxdtd.pages.made import settings
from onnxdtd.pages.maps import mapped, seen
from onnxdtd.report.document import Page, Section
from onnxdtd.report.markup import Markup, amount, tag
from onnxdtd.report.tables import lines, table
from onnxdtd.types import Array


@dataclass(frozen=True)
class _Answer:
    """An entry of `targets` in pair.json."""

    target: str
    values: tuple[float, float]
    top: tuple[tuple[Mapping[str, Any], ...], tuple[Mapping[str, Any], ...]]
    same_class: bool
    distance: float | None
    arrived: tuple[float, float]
    similarity: Mapping[str, float | None]
    warnings: tuple[tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True)
class _Pair:
    """pair.json, and the arrays beside it."""

    models: tuple[Mapping[str, Any], Mapping[str, Any]]
    targets: tuple[_Answer, ...]
    sample: int
    versions: Mapping[str, str]
    inputs: Mapping[str, Array]
    relevance: Mapping[str, Array]
    features: tuple[str, ...] | None = None


def page(folder: Path) -> Page:
    """Of the folder of `compare --with`. Raises InputError."""
    pair = _read(folder)
    names = [str(model["name"]) for model in pair.models]
    shown = pair.targets[: MOST // 3]
    about = [
        (f"sha256 of {name}", model.get("sha256")) for name, model in zip(names, pair.models, strict=True)
    ]
    return Page(
        f"{names[0]} and {names[1]}",
        f"{pair.models[0].get('method', '')} · compare",
        f"{names[0]} and {names[1]} on one input",
        [
            *(
                part
                for number, answer in enumerate(shown)
                for part in _of_target(pair, names, number, answer)
            ),
            settings(
                {"name": f"{names[0]}, {names[1]}"}, pair.versions, [*about, ("sample", str(pair.sample))]
            ),
        ],
        f"The first {len(shown)} of {len(pair.targets)} targets are shown."
        if len(pair.targets) > len(shown)
        else "",
    )


def _read(folder: Path) -> _Pair:
    document = read_manifest(folder, SCHEMA)
    if "relevance" not in document:
        raise InputError(
            f"'{folder / MANIFEST}' is of a version that did not tell of its maps: compare again"
        )
    try:
        arrays = {
            "inputs": read_arrays(folder / INPUTS, document["inputs"]),
            "relevance": read_arrays(folder / RELEVANCE, document["relevance"]),
        }
        return made(_Pair, {**document, **arrays})
    except (KeyError, TypeError, ValueError) as error:
        problem = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise InputError(f"'{folder / MANIFEST}' is not as documented: {problem}") from None


def _of_target(pair: _Pair, names: list[str], number: int, answer: _Answer) -> Iterator[Section]:
    link = answer.target if len(pair.targets) > 1 else "maps"
    name, x = next(iter(pair.inputs.items()))
    own = seen(("the input", name), x)
    cells = [] if own is None else [own]
    for which, model in enumerate(names):
        _, _, of = next((key for key in pair.relevance if key.startswith(f"{number}/{which}/")), "").split(
            "/", 2
        )
        words = (model, f"{answer.target}: {amount(answer.values[which])}")
        cells.append(mapped(words, pair.relevance[f"{number}/{which}/{of}"], x, pair.features))
    lead = "Both models give the same class" if answer.same_class else "The models do not agree on the class"
    cosine = answer.similarity.get("cosine")
    lead += "." if cosine is None else f"; their maps have a cosine of {cosine:.3f}."
    pieces = [tag("p", lead, class_="lead"), gallery(cells)]
    yield Section(f"maps-{number}", f"What speaks for {answer.target}", pieces, link)
    yield Section(f"answers-{number}", "What each answers", [*_answers(names, answer)], "")


def _answers(names: list[str], answer: _Answer) -> Iterator[Markup]:
    rows = (
        [name, answer.values[i], answer.arrived[i], "; ".join(_said(best) for best in answer.top[i])]
        for i, name in enumerate(names)
    )
    yield table(("model", "explained", "arrived", "largest outputs"), rows, len(names))
    measured = [f"{WORDS.get(k, k)} {'–' if v is None else f'{v:.3f}'}" for k, v in answer.similarity.items()]
    if answer.distance is not None:
        measured.append(f"outputs {amount(answer.distance)} apart, at most")
    yield lines(
        [*measured, *(f"{n}: {text}" for n, own in zip(names, answer.warnings, strict=True) for text in own)]
    )


def _said(best: Mapping[str, Any]) -> str:
    index, label = ",".join(map(str, best["index"])), str(best["label"])
    return f"{index}{'' if label in ('', index) else f' {label}'} = {amount(float(best['value']))}"
