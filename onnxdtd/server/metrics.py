"""Counts for Prometheus, in its text format."""

from __future__ import annotations

import bisect
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import accumulate

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
QUESTIONS = (1, 2, 4, 8, 16, 32, 64)
HELP = {
    "onnxdtd_requests_total": "Requests to models, by model, kind and status.",
    "onnxdtd_request_seconds": "From the first byte of a request to the last of its answer.",
    "onnxdtd_pass_questions": "Requests that one pass answered together.",
    "onnxdtd_waiting": "Requests that wait for a model.",
    "onnxdtd_accepted_total": "Requests of any kind that were accepted.",
    "onnxdtd_answered_total": "Those of them whose answer was sent whole.",
}
Labels = tuple[tuple[str, str], ...]


class Metrics:
    """Counters and histograms; every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, dict[Labels, int]] = defaultdict(lambda: defaultdict(int))
        self._spread: dict[str, dict[Labels, list[int]]] = defaultdict(dict)
        self._sums: dict[tuple[str, Labels], float] = defaultdict(float)
        self._bounds = {"onnxdtd_request_seconds": SECONDS, "onnxdtd_pass_questions": QUESTIONS}

    def count(self, name: str, **labels: str) -> None:
        """One more."""
        with self._lock:
            self._counts[name][tuple(labels.items())] += 1

    def observe(self, name: str, value: float, **labels: str) -> None:
        """One more value of a histogram."""
        key = tuple(labels.items())
        with self._lock:
            places = self._spread[name].setdefault(key, [0] * (len(self._bounds[name]) + 1))
            places[bisect.bisect_left(self._bounds[name], value)] += 1
            self._sums[name, key] += value

    def total(self, name: str) -> int:
        """A counter over all of its labels."""
        with self._lock:
            return sum(self._counts[name].values())

    def text(self, waiting: Mapping[str, int]) -> str:
        """What Prometheus reads. waiting: by model."""
        lines: list[str] = []
        with self._lock:
            for name, counts in self._counts.items():
                lines += _head(name, "counter")
                lines += [f"{name}{_written(labels)} {count}" for labels, count in counts.items()]
            for name, spread in self._spread.items():
                lines += _head(name, "histogram")
                for labels, places in spread.items():
                    lines += self._histogram(name, labels, places)
        lines += _head("onnxdtd_waiting", "gauge")
        lines += [f"onnxdtd_waiting{_written((('model', name),))} {count}" for name, count in waiting.items()]
        return "\n".join(lines) + "\n"

    def _histogram(self, name: str, labels: Labels, places: Iterable[int]) -> list[str]:
        bounds = [*(f"{bound:g}" for bound in self._bounds[name]), "+Inf"]
        sums = list(accumulate(places))
        rows = [
            f"{name}_bucket{_written((*labels, ('le', bound)))} {count}"
            for bound, count in zip(bounds, sums, strict=True)
        ]
        total = self._sums[name, labels]
        return [
            *rows,
            f"{name}_sum{_written(labels)} {total:.9g}",
            f"{name}_count{_written(labels)} {sums[-1]}",
        ]


def _head(name: str, kind: str) -> list[str]:
    return [f"# HELP {name} {HELP[name]}", f"# TYPE {name} {kind}"]


def _written(labels: Labels) -> str:
    escaped = ((k, v.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")) for k, v in labels)
    inner = ",".join(f'{name}="{value}"' for name, value in escaped)
    return f"{{{inner}}}" if inner else ""
