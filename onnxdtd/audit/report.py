"""The result of an audit and its folder: audit.json and pictures. `docs/audit.md` describes every field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxdtd.audit.finding import Finding, honest
from onnxdtd.audit.pictures import draw
from onnxdtd.errors import InputError
from onnxdtd.folder import plain, read_manifest, write_folder
from onnxdtd.hints import made

SCHEMA = "onnxdtd.audit/1"
MANIFEST = "audit.json"


@dataclass(frozen=True)
class AuditReport:
    """What the audits found about one explanation.

    model: name, path and sha256. target: in words, of each sample. samples: how many of the batch were walked again
    (conservation and positivity look at all). quick: whether only quick audits ran. seconds: by audit. warnings:
    of the explanation.
    """

    findings: tuple[Finding, ...]
    model: Mapping[str, Any]
    method: str
    target: tuple[str, ...]
    samples: int
    quick: bool
    seconds: Mapping[str, float]
    warnings: tuple[str, ...]
    versions: Mapping[str, str]

    @property
    def fired(self) -> tuple[Finding, ...]:
        """The findings that speak against the explanation."""
        return tuple(finding for finding in self.findings if finding.fired)

    @property
    def sentence(self) -> str:
        """The honest sentence: the gravest finding, in words."""
        return honest(self.findings)

    def document(self) -> dict[str, Any]:
        """The content of audit.json."""
        fields = {**vars(self), "findings": [finding.document() for finding in self.findings]}
        return dict(plain({"sentence": self.sentence, "fired": [f.name for f in self.fired], **fields}))

    @classmethod
    def load(cls, directory: str | Path) -> AuditReport:
        """Read what `save` has written. InputError where it is missing, damaged or of another schema."""
        document = read_manifest(directory, SCHEMA)
        try:
            return made(cls, document)
        except ValueError as error:
            raise InputError(f"'{Path(directory) / MANIFEST}' is not as documented: {error}") from None

    def save(self, directory: str | Path, *, overwrite: bool = True) -> Path:
        """Write audit.json and pictures, whole or not at all; returns the folder's full path.

        An earlier audit is replaced if `overwrite`. UsageError, and nothing touched, if the folder holds anything
        else.
        """

        def fill(unfinished: Path) -> dict[str, Any]:
            draw(self.findings, unfinished)
            return self.document()

        return write_folder(directory, SCHEMA, fill, overwrite=overwrite)
