"""What the page says in words and numbers: the answer, of what it is made, what fired, how it was made."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from onnxdtd.explanation import Explanation
from onnxdtd.npz import describe
from onnxdtd.reading import asked, owed, parts, set_aside, shares, unit
from onnxdtd.report import waterfall
from onnxdtd.report.markup import Markup, amount, sentence, sign, tag
from onnxdtd.report.tables import MOST, lines, pairs
from onnxdtd.types import Array

BEST = 5


def answer(e: Explanation, sample: int) -> list[Markup]:
    """What the model said, what of it is explained, and the likeliest answers."""
    value = amount(float(e.target_value[sample]))
    before = ", before the final activation" if set_aside(e, sample) else ""
    lead = tag("p", tag("strong", asked(e, sample)), f" of output '{e.output}': {unit(e, sample)} ",
               tag("strong", value), before, class_="lead")  # fmt: skip
    best = [row for row in e.top(BEST, sample) if math.isfinite(row[2])]
    if len(best) < 2:
        return [lead]
    own = set(e.target[sample])
    bars = [
        (f"{','.join(map(str, index))} {name}".strip() if name != str(index[-1]) else name, size,
         sign(size) if index in own else "constant")
        for index, name, size in best
    ]  # fmt: skip
    return [lead, tag("h3", "the largest outputs"), waterfall.drawn(bars, [0.0] * len(bars))]


def made_of(e: Explanation, sample: int) -> list[Markup]:
    """How the number is shared out, as a line that adds up, as bars, and what its words mean."""
    line = shares(e, sample)
    if not line:
        return [
            tag("p", f"{e.method} promises no sum: its relevance does not add up to the explained number.")
        ]
    made = parts(e, sample)
    sizes = [size for _, size in made]
    starts = [math.fsum(sizes[:i]) for i in range(len(sizes))]
    bars = [(word, size, sign(size) if word == "input" else "constant") for word, size in made]
    whole = (unit(e, sample), math.fsum(sizes), "whole")
    return [
        tag("p", line, class_="sum"),
        waterfall.drawn([*bars, whole], [*starts, 0.0]),
        lines(owed(e, sample)),
    ]


def findings(e: Explanation) -> list[Markup]:
    """How far to trust it: each number of the audit, and which of them fired."""
    warnings = [tag("p", sentence(f"warning: {text}"), class_="warning") for text in e.warnings[:MOST]]
    if not e.findings:
        none = tag("p", "Not audited: run without --no-audit, or onnxdtd audit, to know how far to trust it.")
        return [*warnings, none]
    lead = [tag("p", sentence(e.sentence), class_="lead")] if e.sentence else []
    return [*lead, listed(e.findings), *warnings]


def listed(findings: Iterable[Mapping[str, Any]]) -> Markup:
    """Findings as their documents tell them, those that fired first."""
    rows = [
        tag("li", tag("span", "fired" if finding["fired"] else "quiet" if finding["value"] is not None else "n/a",
                      class_=f"chip {'fired' if finding['fired'] else 'quiet'}"),
            tag("div", tag("strong", str(finding["name"]).replace("_", " ")), _number(finding),
                tag("p", sentence(finding["sentence"]))))
        for finding in sorted(findings, key=lambda finding: not finding["fired"])[:MOST]
    ]  # fmt: skip
    return tag("ul", *rows, class_="findings")


def settings(e: Explanation) -> list[Markup]:
    """What a second person needs to come to the same numbers."""
    opset = ", ".join(f"{domain or 'ai.onnx'} {version}" for domain, version in e.model["opset"].items())
    rules = [f"{rule} × {count}" for rule, count in Counter(e.rules.values()).most_common()]
    rows: list[tuple[str, object]] = [
        ("model", Path(e.model.get("path") or "").name or e.model.get("name") or ""),
        ("sha256 of the model", e.model.get("sha256", "")),
        ("opset", opset),
        ("method", f"{e.method} ({e.reason})" if e.reason else e.method),
        ("rules", lines(rules) if rules else "not told by this engine"),
        ("engine", f"{e.engine}, {e.provider}"),
        *((f"input '{name}'", _array(array)) for name, array in e.inputs.items()),
        ("versions", ", ".join(f"{name} {version}" for name, version in e.versions.items())),
    ]
    if e.notes:
        rows.append(("made ready", lines(e.notes)))
    return [pairs(rows)]


def _array(array: Array) -> Markup:
    about = describe(array)
    shape = " × ".join(map(str, about["shape"])) or "a number"
    return tag("span", f"{about['dtype']}, {shape}", tag("code", f"sha256 {about['sha256']}"))


def _number(finding: Mapping[str, Any]) -> str:
    value, threshold = (finding[key] for key in ("value", "threshold"))
    if value is None:
        return ": does not apply"
    return f": {amount(float(value))}, fires {finding['fires']} {amount(float(threshold))}"
