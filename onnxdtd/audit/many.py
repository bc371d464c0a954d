"""Audits of many explanations: each finding with the share of inputs at which it fires, and its interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from onnxdtd.audit.finding import Finding, gravity, interval, middle, percent
from onnxdtd.audit.report import AuditReport
from onnxdtd.errors import InputError
from onnxdtd.folder import plain, read_manifest, write_folder
from onnxdtd.hints import converted, made
from onnxdtd.sheets import write_csv

SCHEMA = "onnxdtd.audits/1"
MANIFEST = "audits.json"
Lines, Faults = tuple[Mapping[str, Any], ...], tuple[Mapping[str, str], ...]
"""Of which types the entries of audits.json are."""


@dataclass(frozen=True)
class Rate:
    """One finding over many inputs.

    count: the inputs at which it fires; of: those to which it applies. median: of the values. worst: the input whose
    value is furthest towards where it fires, None if it applies to none; finding: what was found there.
    """

    name: str
    count: int
    of: int
    median: float | None
    worst: str | None
    finding: Finding

    @property
    def share(self) -> float | None:
        """count / of; None where it applies to no input."""
        return self.count / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson's 95 % interval of the share among all inputs of which these are a random sample."""
        return interval(self.count, self.of) if self.of else None

    @property
    def sentence(self) -> str:
        """The share and its interval, and, if it fires, what was found at the worst input."""
        if self.share is None or self.interval is None:
            return f"It applies to none of these inputs. {self.finding.sentence}"
        low, high = self.interval
        words = f"It fires at {self.count} of {self.of} inputs: {percent(self.share)} "
        words += f"(95 % interval {percent(low)} to {percent(high)})."
        return f"{words} Furthest at '{self.worst}': {self.finding.sentence}" if self.count else words

    def document(self) -> dict[str, Any]:
        """The entry in audits.json."""
        more = {"share": self.share, "interval": self.interval, "sentence": self.sentence}
        return {**vars(self), **more, "finding": self.finding.document()}


@dataclass(frozen=True)
class AuditSet:
    """The audits of many inputs. reports: by the name of the input, at least one. faults: what stood against those
    without one."""

    reports: Mapping[str, AuditReport]
    faults: Mapping[str, str]

    @cached_property
    def rates(self) -> tuple[Rate, ...]:
        """Every finding, in the order of the audits."""
        first = next(iter(self.reports.values()))
        return tuple(self._rate(finding.name) for finding in first.findings)

    def fired(self, name: str) -> list[str]:
        """The inputs at which a finding fires; `any`: at which one does."""
        return [
            key for key, report in self.reports.items() if any(name in (f.name, "any") for f in report.fired)
        ]

    @property
    def sentence(self) -> str:
        """How many inputs no finding speaks against, and the finding that fires most often."""
        clean, count = len(self.reports) - len(self.fired("any")), len(self.reports)
        firing = sorted((r for r in self.rates if r.count), key=lambda r: (-r.count / r.of, gravity(r.name)))
        words = f"No finding speaks against the heatmaps of {clean} of {count} inputs"
        if not firing:
            return f"{words}, which is no proof that they are right."
        return f"{words}. What fires most often is {firing[0].name}. {firing[0].sentence}"

    def document(self) -> dict[str, Any]:
        """The content of audits.json."""
        reports = [{"input": key, **report.document()} for key, report in self.reports.items()]
        faults = [{"input": key, "fault": fault} for key, fault in self.faults.items()]
        rates = [rate.document() for rate in self.rates]
        first = {"sentence": self.sentence, "inputs": len(reports)}
        return dict(plain({**first, "rates": rates, "reports": reports, "faults": faults}))

    @classmethod
    def load(cls, directory: str | Path) -> AuditSet:
        """Read what `save` has written. InputError where it is missing, damaged or of another schema."""
        document = read_manifest(directory, SCHEMA)
        try:
            lines, faults = converted(document["reports"], Lines), converted(document["faults"], Faults)
            reports = {str(line["input"]): made(AuditReport, line) for line in lines}
            if not reports:
                raise ValueError("it has no reports")
            return cls(reports, {fault["input"]: fault["fault"] for fault in faults})
        except (ValueError, KeyError) as error:
            problem = (
                f"it lacks {error}" if isinstance(error, KeyError) else error or "an entry is of another type"
            )
            raise InputError(f"'{Path(directory) / MANIFEST}' is not as documented: {problem}") from None

    def save(self, directory: str | Path, *, overwrite: bool = True) -> Path:
        """Write audits.json, audits.csv (a line for each input) and rates.csv (one for each finding), whole or not at
        all; returns the folder's full path. UsageError, and nothing touched, if the folder holds anything else."""

        def fill(unfinished: Path) -> dict[str, Any]:
            write_csv(unfinished / "audits.csv", [_line(key, report) for key, report in self.reports.items()])
            write_csv(unfinished / "rates.csv", [_summary(rate) for rate in self.rates])
            return self.document()

        return write_folder(directory, SCHEMA, fill, overwrite=overwrite)

    def _rate(self, name: str) -> Rate:
        pairs = [(key, f) for key, report in self.reports.items() for f in report.findings if f.name == name]
        values = [(key, f) for key, f in pairs if f.value is not None]
        worst, finding = max(values, key=lambda pair: _beyond(pair[1]), default=(None, pairs[0][1]))
        median = middle([f.value for _, f in values if f.value is not None])
        return Rate(name, sum(f.fired for _, f in values), len(values), median, worst, finding)


def _beyond(finding: Finding) -> float:
    """How far the value is on the side where it fires; what is no number is furthest."""
    value = finding.value
    if value is None or value != value:
        return float("inf")
    past = value - finding.threshold
    return past if finding.fires == "above" else -past


def _line(key: str, report: AuditReport) -> dict[str, Any]:
    values = {f.name: "" if f.value is None else f.value for f in report.findings}
    fired = " ".join(f.name for f in report.fired)
    return {"input": key, "target": "; ".join(report.target), **values, "fired": fired}


def _summary(rate: Rate) -> dict[str, Any]:
    low, high = rate.interval or ("", "")
    share, median = ("" if number is None else number for number in (rate.share, rate.median))
    return {"finding": rate.name, "fired": rate.count, "of": rate.of, "share": share, "low": low, "high": high,
            "median": median, "worst": rate.worst or ""}  # fmt: skip
