"""A target as text, read with a model's names: `3`, `1,:,:`, `tabby`, `logits[last],42`, `box:best`, `A - B`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from onnxdtd.disk import open_regular
from onnxdtd.errors import TargetError
from onnxdtd.npz import data, header
from onnxdtd.plan.target import FORMS, Against, Box, Last, Target, Weights, index_entries, indexed, whole

_LAST = re.compile(r"^(?P<output>.*)\[last\]\s*(?:,\s*(?P<index>-?\d{1,18})\s*)?$")
_NAMES_SHOWN = 8


@dataclass(frozen=True)
class Names:
    """outputs: of the model. classes: along its class axis, where they have names. files: whether a text may name a
    file (`mask:`), as that of a stranger may not."""

    outputs: Sequence[str]
    classes: Sequence[str] = ()
    files: bool = True


def read_target(text: str, names: Names) -> Target:
    """The target that a text means.

    The name of an output or a class wins; where the text can be read in another way besides, both are told and
    neither is taken. Raises TargetError for that, for a name that several classes have, and for what is no target.
    """
    named = _named(text, names)
    other = _grammar(text, names)
    if other in [target for _, target in named]:
        other = None
    if named and other is not None:
        raise TargetError(
            f"target '{text}' is {named[0][0]}, and {_said(other)} as well: {_clearer(text, named)}"
        )
    if len(named) > 1:
        both = " and ".join(what for what, _ in named)
        raise TargetError(f"target '{text}' is {both}: {_clearer(text, named)}")
    if named:
        return named[0][1]
    if other is not None:
        return other
    for side in text.split(" - ") if " - " in text else ():
        if side.strip() != "rest" and _side(side, names) is None:
            meant = _meant(side.strip(), names)
            raise TargetError(f"target '{text}': '{side.strip()}' is no class, output or index{meant}")
    output, colon, tail = text.rpartition(":")
    if colon and output and _form(tail.strip(), names) is not None:
        raise TargetError(
            f"no output '{output}'{_meant(output, names)}; the outputs are {_listed(names.outputs)}"
        )
    raise TargetError(
        f"no output '{text}', nor a class or index{_meant(text, names)}; the model's outputs are "
        f"{_listed(names.outputs)}; a target is {FORMS}"
    )


def _named(text: str, names: Names) -> list[tuple[str, Target]]:
    """The output and the class of that name, in words and as targets."""
    places = [i for i, name in enumerate(names.classes) if name == text]
    if len(places) > 1:
        raise TargetError(f"the classes {', '.join(map(str, places))} are all named '{text}': give one index")
    outputs = [(f"the output '{text}'", Target(text))] if text in names.outputs else []
    return outputs + [(f"class {place}", Target(None, (place,))) for place in places]


def _grammar(text: str, names: Names) -> Target | None:
    """The text by its form; None where it has none."""
    if (difference := _difference(text, names)) is not None:
        return difference
    output, colon, tail = text.partition(":")
    for start in (text.index(":", i) for i in range(len(text)) if text[i] == ":"):
        if text[:start] in names.outputs:
            output, colon, tail = text[:start], ":", text[start + 1 :]
    if colon and output in ("", *names.outputs) and index_entries(text) is None:
        inner = _form(tail.strip(), names)
        return None if inner is None or inner.output else replace(inner, output=output or None)
    return _form(text.strip(), names)


def _form(text: str, names: Names) -> Target | None:
    if text == "top":
        return Target()
    if (entries := index_entries(text)) is not None:
        return indexed(None, entries)
    if match := _LAST.match(text):
        output, index = match["output"].strip(), match["index"]
        if output and output not in names.outputs:
            raise TargetError(
                f"no output '{output}'{_meant(output, names)}; the outputs are {_listed(names.outputs)}"
            )
        return Target(output or None, form=Last(None if index is None else int(index)))
    if text.startswith("box:"):
        which = text.removeprefix("box:")
        if which != "best" and not (whole(which) and int(which) >= 0):
            raise TargetError(f"target '{text}': give box:best, or box:0, box:1, ... by score")
        return Target(form=Box(0 if which == "best" else int(which)))
    if text.startswith("mask:") and names.files:
        return Target(form=_mask(text.removeprefix("mask:")))
    return None


def _difference(text: str, names: Names) -> Target | None:
    """`A - B`, spaces and all; `A - rest`. A name may hold such a dash itself: every one is tried."""
    readings = []
    for dash in re.finditer(" - ", text):
        left, right = text[: dash.start()], text[dash.end() :]
        plus = _side(left, names)
        minus = None if right.strip() == "rest" else _side(right, names)
        if plus is not None and (minus is not None or right.strip() == "rest"):
            readings.append(_against(plus, minus, text))
    if len(readings) > 1:
        raise TargetError(
            f"target '{text}' is a difference in {len(readings)} ways: give the classes by index"
        )
    return readings[0] if readings else None


def _side(text: str, names: Names) -> Target | None:
    text = text.strip()
    if " - " in text and text not in (*names.classes, *names.outputs):
        return None
    try:
        return read_target(text, names)
    except TargetError:
        return None


def _against(plus: Target, minus: Target | None, text: str) -> Target:
    outputs = {side.output for side in (plus, minus) if side is not None and side.output is not None}
    if len(outputs) > 1:
        raise TargetError(
            f"target '{text}' takes the difference of two outputs, {_listed(sorted(outputs))}: both sides must be of "
            "one; in Python, a function of the outputs' shapes can weigh several"
        )
    return Target(next(iter(outputs), None), form=Against(plus, minus, text))


def _mask(path: str) -> Weights:
    try:
        with open_regular(path) as file:
            array: Any = data(file, *header(file))
    except Exception as error:  # NumPy's header parser raises anything
        raise TargetError(f"the mask '{path}' cannot be read: {error}") from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        raise TargetError(
            f"the mask '{path}' must be one array of numbers or of true and false, as np.save writes it"
        )
    return Weights(array.astype(np.float64), f"the elements of {path}")


def _said(target: Target) -> str:
    if isinstance(target.form, Against):
        return "a difference"
    return "an index" if target.form is None else f"a {type(target.form).__name__.lower()}"


def _clearer(text: str, named: list[tuple[str, Target]]) -> str:
    ways = [f"'{text}:top' for {what}" if target.output else f"'{_number(target)}' for {what}"
            for what, target in named]  # fmt: skip
    if len(named) == 1:
        ways.append(f"':{text}' for an index of the default output")
    return "give " + ", or ".join(ways)


def _number(target: Target) -> str:
    return ",".join(map(str, target.index or ()))


def _meant(text: str, names: Names) -> str:
    """The names that are most alike."""
    lowered = {name.lower(): name for name in (*names.classes, *names.outputs)}
    close = difflib.get_close_matches(text.lower(), lowered, n=3, cutoff=0.7)
    inner = [name for low, name in lowered.items() if len(text) > 2 and text.lower() in low][:3]
    best = list(dict.fromkeys([lowered[low] for low in close] + inner))[:3]
    return f"; did you mean {' or '.join(map(repr, best))}?" if best else ""


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:_NAMES_SHOWN])
    return shown + (f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else "")
