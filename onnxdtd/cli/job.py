"""What commands that explain start from: model, inputs and targets. Every fault that can be seen is told at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxdtd
from onnxdtd.cli.pictures import NAMES, asked_fields, preparing
from onnxdtd.cli.settings import fixed_inputs, setting
from onnxdtd.errors import Faults, InputError, UsageError
from onnxdtd.inputs import DataSet, Preprocess, input_file, open_data, read_like
from onnxdtd.inputs.files import TABLES
from onnxdtd.inputs.table import headings
from onnxdtd.plan.masks import masks as masks
from onnxdtd.plan.target import Target, check_target


@dataclass(frozen=True)
class Asked:
    """What a command starts from. prepare: how an image was prepared, if the input is one or could be."""

    explainer: onnxdtd.Explainer
    x: Mapping[str, Any]
    targets: tuple[Target, ...]
    prepare: Preprocess | None


def ask(
    model: Path,
    input: Path | list[Any],
    targets: Sequence[str],
    options: Mapping[str, Any],
    preprocess: Path | None,
    image: Mapping[str, Any],
    *checks: Callable[[], object],
) -> Asked:
    """Model, input (a file, or texts) and targets, read and checked; checks: further ones, of the command. All
    faults at once."""
    faults = Faults()
    files = [input] if isinstance(input, Path) else []
    here = explainer = explainer_for(
        faults, model, preprocess=preprocess, image=image, inputs=files, **options
    )
    for file in files:
        with faults:
            input_file(file)
    for check in checks:
        with faults:
            check()
    with faults:
        if explainer:
            # What a target is, a branch may decide, and which one is taken, only an input says.
            here = None if explainer.graph.open_conditions else explainer
            explainer, x = _fed(explainer, input)
            here = explainer.at(x)
    questions = asked_of(faults, here, targets)
    faults.stop()
    assert explainer is not None  # or there was a fault
    return Asked(explainer, x, questions, explainer.preprocess)


def _fed(
    explainer: onnxdtd.Explainer, input: Path | list[Any]
) -> tuple[onnxdtd.Explainer, Mapping[str, Any]]:
    """The inputs of the model, and its explainer with a batch axis, where they have one that it lacks."""
    try:
        return explainer, explainer.feeds(input)
    except InputError:
        given = explainer.batched
        if given is not explainer:
            with suppress(InputError):  # what stands against the model's own shape is told
                return given, given.feeds(input)
        raise


@dataclass(frozen=True)
class AskedOfMany:
    """What a command on many inputs starts from. questions: of each row; as texts where only the row says what they
    mean, since branches depend on it."""

    explainer: onnxdtd.Explainer
    data: DataSet
    questions: tuple[Target | str, ...]


def ask_many(
    model: Path,
    inputs: Sequence[Path],
    targets: Sequence[str],
    options: Mapping[str, Any],
    preprocess: Path | None,
    image: Mapping[str, Any],
    *checks: Callable[[], object],
) -> AskedOfMany:
    """Model, inputs and targets, read and checked, the rows not yet; checks: further ones, of the command. All faults
    at once."""
    faults, data = Faults(), None
    explainer = explainer_for(faults, model, preprocess=preprocess, image=image, inputs=inputs, **options)
    explainer = explainer and explainer.batched
    for check in checks:
        with faults:
            check()
    with faults:
        if explainer:
            data = rows_of(explainer, inputs)
    decided = explainer if explainer and not explainer.graph.open_conditions else None
    questions = asked_of(faults, decided, targets)
    faults.stop()
    assert explainer is not None  # or there was a fault
    assert data is not None
    return AskedOfMany(explainer, data, questions if decided else (*targets,))


def rows_of(explainer: onnxdtd.Explainer, inputs: Sequence[Path]) -> DataSet:
    """The rows of the inputs, as the explainer's model reads them."""
    loaded = explainer.loaded
    return open_data([*inputs], explainer.inputs, preprocess=explainer.preprocess, features=loaded.features)


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
            explainer = explainer.by(preprocess=preparing(explainer.loaded, fields))
        if explainer and background is not None:
            explainer = explainer.by(background=background)
    if explainer and explainer.loaded.features is None and inputs and inputs[0].suffix.lower() in TABLES:
        with suppress(InputError):  # which reading the file tells
            explainer = explainer.by(features=headings(inputs[0], explainer.inputs))
    faults.errors += own.errors
    return None if own.errors else explainer


def target_for(explainer: onnxdtd.Explainer | None, text: str) -> Target:
    """What the text means to the model, as far as its file alone can tell."""
    if explainer is None:
        return Target()
    question = explainer.loaded.question(text)
    check_target(question, explainer.graph.value(explainer.plan(question.output).target).shape)
    return question
