"""The work of `run` on many inputs: a folder of results, one table and one contact sheet of all."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from onnxdtd.arrow import arrow
from onnxdtd.audit import with_findings_each
from onnxdtd.cli.faults import Wrong, fault_lines, named
from onnxdtd.cli.job import ask_many
from onnxdtd.cli.many_results import ManyResults
from onnxdtd.cli.progress import Progress
from onnxdtd.cli.settings import restrictions
from onnxdtd.cli.text import say
from onnxdtd.each import explain_targets
from onnxdtd.errors import CheckError, InputError, OnnxdtdError, PartialError, UsageError
from onnxdtd.explanation import Explanation
from onnxdtd.folder import check_folder, write_folder
from onnxdtd.inputs import Row
from onnxdtd.inputs.files import ARCHIVE, ARRAYS, TABLES
from onnxdtd.inputs.parts import part_of
from onnxdtd.model.load import load
from onnxdtd.model.unbatched import batched
from onnxdtd.printing import is_whole
from onnxdtd.runs.batches import fixed_batch
from onnxdtd.sheets import summary_line, write_parquet

SCHEMA = "onnxdtd.results/1"


def are_many(model: Path, inputs: Sequence[Path], sample: str | None) -> bool:
    """Whether there is more than one input to read: several paths, a folder, or rows of one file that a model takes
    only so many of at a time."""
    if len(inputs) > 1 or inputs[0].is_dir() or inputs[0].suffix.lower() == ARCHIVE:
        return True
    if inputs[0].suffix.lower() not in (*ARRAYS, *TABLES):
        return False
    try:
        graph = batched(load(model))
        fixed = fixed_batch(graph)
        values = {name: graph.value(name) for name in graph.inputs}
        rows = 0 if fixed is None else part_of("", inputs[0], values, None, None).count
    except OnnxdtdError:
        return False  # which is told with all other faults
    return fixed is not None and rows > fixed


def explain(
    model: Path,
    inputs: Sequence[Path],
    output: Path,
    targets: Sequence[str],
    options: Mapping[str, Any],
    preprocess: Path | None,
    image: Mapping[str, Any],
    *,
    sample: str | None,
    keep: Sequence[str],
    only: Sequence[str],
    audit: bool,
    fail_on: Sequence[str],
    parquet: bool,
    as_json: bool,
) -> str:
    """Explain every row of every input, each into a folder of its own in `output`, with one in it for each of several
    targets. Raises PartialError, when all the others are written, for those that could not be explained; the first
    of their faults where none could; CheckError where a finding of `fail_on` fired."""
    checks: list[Callable[[], object]] = [partial(check_folder, output, SCHEMA)]
    checks += [] if sample is None else [partial(rows_named, sample)]
    checks += [arrow] if parquet else []
    asked = ask_many(model, inputs, targets, options, preprocess, image, *checks)
    explainer, data = asked.explainer, asked.data
    rows = None if sample is None else rows_named(sample)
    wrong = Wrong(targets)
    stream: Iterator[Row] = data.each(wrong.whole)
    if rows is not None:
        stream = islice(stream, rows.start, rows.stop, rows.step)
    made = explain_targets(
        explainer, stream, asked.questions, faulty=wrong.add, keep=keep, only=restrictions(only)
    )
    results = ManyResults([part.id for part in data.parts], targets, as_json)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy and matplotlib
        with Progress(quiet=as_json) as progress:

            def fill(folder: Path) -> dict[str, Any]:
                for done, (row, each) in enumerate(made, 1):
                    if audit:
                        each = dict(zip(each, with_findings_each(explainer, [*each.values()]), strict=True))
                    results.add(folder, row, each)
                    progress(done, data.count if rows is None else len(rows))
                if not results.lines:
                    raise (
                        wrong.error()
                        if wrong.errors
                        else InputError(f"--sample {sample}: there is no such row")
                    )
                return results.finish(folder, wrong.faults, parquet)

            saved = write_folder(output, SCHEMA, fill)
    text = results.told(output, saved, wrong.faults)
    if wrong.faults:
        say(text)
        raise PartialError("\n".join([f"{wrong.count(len(results.lines))}:", *fault_lines(wrong.faults)]))
    fired = [
        words
        for line in results.lines
        for words in named_findings(
            fail_on, line["fired"].split(), named(line["input"], line.get("asked", ""))
        )
    ]
    if fired:
        say(text)
        raise CheckError("\n".join(fired))
    return text


def named_findings(fail_on: Sequence[str], fired: Sequence[str], place: str) -> list[str]:
    """A line for each finding that `--fail-on` names. place: the input, and its target."""
    return [f"{name} fired for {place}" for name in fired if "any" in fail_on or name in fail_on]


def rows_named(text: str) -> range:
    """The rows of `3` or `0:10`. Raises UsageError."""
    first, colon, last = text.partition(":")
    ends = [int(part) if is_whole(part.strip()) else None for part in (first, last)]
    if (ends[0] is None and (first.strip() or not colon)) or (ends[1] is None and last.strip()):
        raise UsageError(
            f"--sample {text}: give the number of a row, counted from 0, or some of them as in 0:10"
        )
    if not colon:
        return range(ends[0] or 0, (ends[0] or 0) + 1)
    return range(ends[0] or 0, 1 << 62 if ends[1] is None else ends[1])


def parquet_of(e: Explanation, folder: Path) -> None:
    """summary.parquet of every sample."""
    write_parquet(folder / "summary.parquet", [summary_line(e, i, {"row": i}) for i in range(len(e.target))])
