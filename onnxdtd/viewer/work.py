"""What the page asks for, computed by the public functions: an explanation, its audit, methods side by side."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from onnxdtd.audit import audited, honest, run_audit
from onnxdtd.comparison import compare
from onnxdtd.errors import UsageError
from onnxdtd.explainer import Explainer
from onnxdtd.explanation import Explanation
from onnxdtd.folder import plain
from onnxdtd.pages.audit import layer_by_layer
from onnxdtd.pages.compare import page_of as compare_page
from onnxdtd.reading import asked as question_of
from onnxdtd.report import Entry
from onnxdtd.report.document import Section, document
from onnxdtd.report.page import page_of
from onnxdtd.types import Arrays, OnProgress
from onnxdtd.viewer.workspace import Workspace, best, target_of

BESIDE = ("gradient_x_input", "epsilon_plus", "attnlrp")
"""What the chosen method is compared with where nothing is chosen."""


@dataclass(frozen=True)
class Choice:
    """What stands in the page's fields. method: auto, or a name. layer: a value inside the model, "" for none.
    preset: how pictures are prepared, "" for the model's own way. methods: to compare."""

    input: str = ""
    text: str = ""
    sample: int = 0
    target: str = "top"
    method: str = "auto"
    layer: str = ""
    preset: str = ""
    methods: tuple[str, ...] = ()

    @classmethod
    def read(cls, fields: Any) -> Choice:
        """From JSON. Raises UsageError for what is none."""
        if not isinstance(fields, dict):
            raise UsageError("a choice is a JSON object")
        kinds = {field.name: type(field.default) for field in dataclasses.fields(cls)}
        values: dict[str, Any] = {}
        for name, value in fields.items():
            own = tuple(value) if isinstance(value, list) else value
            words = not isinstance(own, tuple) or all(isinstance(word, str) for word in own)
            if name not in kinds or type(own) is not kinds[name] or not words:
                raise UsageError(f"'{str(name)[:40]}' is no choice of this kind")
            values[name] = own
        return cls(**values)


@dataclass(frozen=True)
class Question:
    """A choice, read: the explainer by the chosen method, one sample, and its picture if it is one."""

    explainer: Explainer
    feeds: Arrays
    target: Any
    picture: Any
    samples: int
    name: str


def question(workspace: Workspace, choice: Choice) -> Question:
    """What a choice asks. Raises InputError, TargetError, UsageError, UnsupportedError."""
    explainer = workspace.explainer
    changes: dict[str, Any] = {"preprocess": choice.preset} if choice.preset else {}
    explainer = explainer.by(choice.method, **changes)
    feeds, picture, samples = workspace.read(choice.input, choice.text, choice.sample, explainer)
    name = choice.input if samples == 1 else f"{choice.input}, sample {choice.sample}"
    return Question(explainer, feeds, target_of(explainer, choice.target), picture, samples, name or "text")


def explained(workspace: Workspace, choice: Choice, progress: OnProgress) -> dict[str, Any]:
    """The explanation with its quick findings, as the report's page."""
    asked = question(workspace, choice)
    keep = [choice.layer] if choice.layer else []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy and matplotlib
        e = audited(asked.explainer, asked.feeds, asked.target, progress=progress, keep=keep)
        return _shown(asked, e) | ({"place": "inside-0"} if e.kept else {})


def audit(workspace: Workspace, choice: Choice, progress: OnProgress) -> dict[str, Any]:
    """The same with all that the audit finds."""
    asked = question(workspace, choice)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        e = asked.explainer(asked.feeds, asked.target)
        report = run_audit(asked.explainer, e, progress=progress)
        findings = tuple(plain(finding.document()) for finding in report.findings)
        e = dataclasses.replace(e, findings=findings, sentence=honest(report.findings))
        return _shown(asked, e, layer_by_layer(report)) | {"place": "findings-0"}


def _shown(asked: Question, e: Explanation, more: Sequence[Section] = ()) -> dict[str, Any]:
    """more: sections, which stand before the graph."""
    page = page_of([Entry(e, asked.name, asked.picture)])
    graph = next(i for i, section in enumerate(page.sections) if section.place == "graph")
    page = dataclasses.replace(page, sections=[*page.sections[:graph], *more, *page.sections[graph:]])
    said = f"{question_of(e)}, by {e.method}"
    return {"page": document(page), "said": said, "best": best(e), "samples": asked.samples}


def compared(workspace: Workspace, choice: Choice, progress: OnProgress) -> dict[str, Any]:
    """Methods side by side, as the page of a comparison."""
    asked = question(workspace, choice)
    methods = [*dict.fromkeys(choice.methods or (choice.method, *BESIDE))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        comparison = compare(
            asked.explainer, asked.feeds, methods, (asked.target,), repeats=1, progress=progress
        )
        page = document(compare_page(comparison, asked.picture))
    return {"page": page, "said": comparison.targets[0], "samples": asked.samples}
