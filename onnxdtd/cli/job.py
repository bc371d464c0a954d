"""The work of `run` and `inspect`, loaded when one of them runs. Every fault that can be seen is told at once."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import onnxdtd
from onnxdtd.audit import audited
from onnxdtd.cli.pictures import NAMES, asked_fields, preparing
from onnxdtd.cli.progress import Progress
from onnxdtd.cli.settings import fixed_inputs, restriction, restrictions, setting
from onnxdtd.cli.summary import SHOWN, summary
from onnxdtd.cli.text import message
from onnxdtd.errors import Faults, UsageError
from onnxdtd.explanation import SCHEMA, Explanation
from onnxdtd.folder import MANIFEST, check_folder, plain
from onnxdtd.inputs import IMAGE_SUFFIXES, Preprocess, input_file, read_like
from onnxdtd.plan.target import Target, check_target
from onnxdtd.reading import columns, images
from onnxdtd.render import save_heatmap


def explain(
    model: Path,
    input: Path,
    output: Path,
    targets: Sequence[str],
    options: Mapping[str, Any],
    preprocess: Path | None,
    image: Mapping[str, Any],
    *,
    keep: Sequence[str],
    only: Sequence[str],
    audit: bool,
    as_json: bool,
) -> str:
    """Explain one input, write the folder, and tell of it: a summary, or one JSON object. Of several targets each has
    a folder of its own in `output`, and the JSON object lists them as `results`."""
    folders = [output] if len(targets) == 1 else [output / place for place in _places(targets)]
    checks: list[Callable[[], object]] = [partial(check_folder, folder, SCHEMA) for folder in folders]
    checks += [partial(restriction, text) for text in only]
    asked = ask(model, input, targets, options, preprocess, image, *checks)
    explainer, prepare = asked.explainer, asked.prepare
    made = partial(audited, explainer) if audit else explainer
    shown = prepare.picture(input) if prepare and input.suffix.lower() in IMAGE_SUFFIXES else None
    told: list[Any] = []
    for folder, target in zip(folders, asked.targets, strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # of NumPy and matplotlib; what matters to the user is in e.warnings
            with Progress(quiet=as_json) as progress:
                e = made(asked.x, target, progress=progress, keep=keep, only=restrictions(only))
            saved = e.save(folder, extras=partial(_drawn, e, shown, explainer.loaded.features))
        written = json.loads((folder / MANIFEST).read_text("utf-8"))
        if as_json:
            message("\n".join(f"warning: {text}" for text in e.warnings))
            told.append({**written, "prediction": prediction(e), "directory": str(saved)})
        else:
            told.append(summary(e, folder, written["files"], explainer.loaded.features))
    if not as_json:
        return "\n\n".join(told)
    return json.dumps(told[0] if len(told) == 1 else {"results": told}, allow_nan=False)


def _places(texts: Sequence[str]) -> list[str]:
    """Names for a folder or file of each text: its number, and what of it may stand in a name."""
    words = [re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower()[:40] for text in texts]
    return ["-".join(filter(None, (str(i), word))) for i, word in enumerate(words, 1)]


def _drawn(e: Explanation, picture: Any, names: tuple[str, ...] | None, folder: Path) -> None:
    draw(e, folder, picture, names)


@dataclass(frozen=True)
class Asked:
    """What a command starts from. prepare: how an image was prepared, if the input is one or could be."""

    explainer: onnxdtd.Explainer
    x: Mapping[str, Any]
    targets: tuple[Target, ...]
    prepare: Preprocess | None


def ask(
    model: Path,
    input: Path,
    targets: Sequence[str],
    options: Mapping[str, Any],
    preprocess: Path | None,
    image: Mapping[str, Any],
    *checks: Callable[[], object],
) -> Asked:
    """Model, input and targets, read and checked; checks: further ones, of the command. All faults at once."""
    faults = Faults()
    here = explainer = explainer_for(
        faults, model, preprocess=preprocess, image=image, inputs=[input], **options
    )
    with faults:
        input_file(input)
    for check in checks:
        with faults:
            check()
    with faults:
        if explainer:
            # What a target is, a branch may decide, and which one is taken, only an input says.
            here = None if explainer.graph.open_conditions else explainer
            x = explainer.feeds(input)
            here = explainer.at(x)
    questions = asked_of(faults, here, targets)
    faults.stop()
    assert explainer is not None  # or there was a fault
    return Asked(explainer, x, questions, explainer.preprocess)


def asked_of(
    faults: Faults, explainer: onnxdtd.Explainer | None, targets: Sequence[str]
) -> tuple[Target, ...]:
    """What each text means to the model; in `faults` whatever stands against one."""
    questions = []
    for text in targets:
        with faults:
            questions.append(target_for(explainer, text))
    return tuple(questions)


def explainer_for(
    faults: Faults,
    model: Path,
    method: str = "auto",
    *,
    preprocess: Path | None = None,
    image: Mapping[str, Any] | None = None,
    inputs: Sequence[Path] = (),
    input_range: tuple[float, float] | None = None,
    settings: Sequence[str] = (),
    fixed: Sequence[str] = (),
    like: Path | None = None,
    background: Path | None = None,
    **arguments: Any,
) -> onnxdtd.Explainer | None:
    """The explainer, or None and in `faults` whatever stands against it. preprocess, image: what the options say of
    pictures and of names. settings: options of the method, as text; fixed: inputs, as text; like: an input whose
    branches are taken; background: a file of rows."""
    own, options = Faults(), dict[str, Any]()
    with own:
        arguments["fixed"] = fixed_inputs(fixed)
    for text in settings:
        with own:
            options |= setting(method, text)
    with own:
        if input_range and not input_range[0] <= input_range[1]:
            (low, high), input_range = input_range, None
            raise UsageError(f"--input-range {low:g} {high:g}: give the least value first, then the largest")
    explainer = None
    with own:
        names = {name: (image or {}).get(name) for name in NAMES}
        arguments = {**arguments, **names, "options": options, "input_range": input_range}
        explainer = onnxdtd.Explainer(model, method, **arguments)
        if like is not None:
            explainer = explainer.at(read_like(like, explainer.graph))
    with own:
        fields = asked_fields(preprocess, image or {}, inputs)
        if explainer and fields:
            explainer = explainer.by(preprocess=preparing(explainer.graph, fields))
        if explainer and background is not None:
            explainer = explainer.by(background=background)
    faults.errors += own.errors
    return None if own.errors else explainer


def target_for(explainer: onnxdtd.Explainer | None, text: str) -> Target:
    """What the text means to the model, as far as its file alone can tell."""
    if explainer is None:
        return Target()
    question = explainer.loaded.question(text)
    check_target(question, explainer.graph.value(explainer.plan(question.output).target).shape)
    return question


def draw(e: Explanation, folder: Path, picture: Any, names: tuple[str, ...] | None) -> None:
    """heatmap.png of the first sample and input, or of all columns of a table, and one picture for each further
    image; what is not finite, of which the result warns, has none; nor has one to which nothing was given."""
    if not e.seed.any() and not any(r.any() for r in e.relevance.values()):
        return
    shown = [e.relevance[name][0] for name in columns(e) or list(e.relevance)[:1]]
    size = sum(r.size for r in shown)
    if names is not None and len(names) != size:
        message(f"warning: the model's metadata name {len(names)} features of {size}: left out")
        names = None
    if all(np.isfinite(r).all() for r in shown):
        save_heatmap(e, folder / "heatmap.png", picture=picture, names=names)
    for place, name in zip(_places(list(e.relevance)), e.relevance, strict=True):
        if name in images(e)[1:] and np.isfinite(e.relevance[name][0]).all():
            save_heatmap(e, folder / f"heatmap-{place}.png", name=name)


def prediction(e: Explanation) -> Any:
    """For each sample the largest elements of the explained output, for JSON."""
    keys = ("index", "label", "value")
    samples = range(len(e.target))
    return plain([[dict(zip(keys, best, strict=True)) for best in e.top(SHOWN, i)] for i in samples])
