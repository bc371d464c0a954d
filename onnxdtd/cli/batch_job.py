"""The work of `batch`, loaded when it runs."""

from __future__ import annotations

import dataclasses
import json
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from onnxdtd.cli.faults import Fault, fault_lines
from onnxdtd.cli.job import explainer_for
from onnxdtd.cli.text import message, say
from onnxdtd.datasets import Store, Tally
from onnxdtd.datasets.foretell import Forecast, foretell
from onnxdtd.datasets.job import plan_job, run_job
from onnxdtd.datasets.ray import Ray
from onnxdtd.datasets.record import FAILED
from onnxdtd.datasets.results import Results
from onnxdtd.errors import Faults, PartialError, UsageError

KINDS = 10
"""Kinds of faults that are told at the end; all stand in the file of those that failed."""


def explain(
    model: Path,
    data: Sequence[Path],
    output: Path,
    target: str,
    options: Mapping[str, Any],
    preprocess: Path | None,
    image: Mapping[str, Any],
    *,
    store: Mapping[str, Any],
    shard_rows: int,
    workers: int | None,
    ray: Mapping[str, Any],
    limit: int | None,
    retry_failed: bool,
    dry_run: bool,
    as_json: bool,
) -> str:
    """Explain all rows, telling how far it is; the last line says how many of what. Raises PartialError for rows that
    could not be explained, when all the others are written."""
    faults = Faults()
    kept = place = None
    explainer = explainer_for(faults, model, preprocess=preprocess, image=image, inputs=data, **options)
    with faults:
        kept = Store(**store)
        place = _place(ray)
    faults.stop()
    assert explainer is not None  # or there was a fault
    job = plan_job(
        explainer, data[0] if len(data) == 1 else [*data], output, target,
        store=kept, shard_rows=shard_rows, workers=workers, limit=limit,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy and matplotlib
        if dry_run:
            forecast = foretell(job, workers or 1)
            return json.dumps(dataclasses.asdict(forecast)) if as_json else _foretold(forecast)
        try:
            tally = run_job(job, workers, retry_failed, _teller(as_json), place)
        except BaseException as error:
            if not isinstance(error, Exception):
                message(f"what is done is kept in '{output}': the same command goes on from there")
            raise
        finally:
            if not as_json and sys.stderr.isatty():
                print("\r\x1b[2K", end="", file=sys.stderr, flush=True)
    end = _ended(tally, output)
    if as_json:
        end = json.dumps({"event": "finished", **_facts(tally), "directory": str(job.folder)})
    if tally.failed:
        say(end)
        wrong = [Fault(name, reason) for name, reason in Results(output).failed.items()]
        words = (
            f"{tally.failed} row{'s' * (tally.failed > 1)} could not be explained, see '{output / FAILED}':"
        )
        raise PartialError("\n".join([words, *fault_lines(wrong, KINDS)]))
    return end


def _place(options: Mapping[str, Any]) -> Ray | None:
    """The cluster that the options name. UsageError where they speak of actors without one."""
    stated = {name: value for name, value in options.items() if value is not None}
    if stated and "address" not in stated:
        raise UsageError(f"--{next(iter(stated))} is what an actor takes: give --ray too")
    return Ray(**stated) if stated else None


def _teller(as_json: bool) -> Callable[[Tally], object] | None:
    """What tells of each shard: JSON lines, a line on a terminal that is written anew, or nothing."""
    if as_json:
        return lambda tally: print(json.dumps({"event": "shard", **_facts(tally)}), flush=True)
    if not sys.stderr.isatty():
        return None
    return lambda tally: print(f"\r\x1b[2K{_line(tally)}", end="", file=sys.stderr, flush=True)


def _facts(tally: Tally) -> dict[str, Any]:
    return {
        "done": tally.done,
        "failed": tally.failed,
        "earlier": tally.earlier,
        "total": tally.total,
        "rows_per_second": round(tally.rate, 3),
        "seconds": round(tally.seconds, 3),
        "remaining_seconds": tally.remaining,
    }


def _line(tally: Tally) -> str:
    of = "" if tally.total is None else f" of {tally.total}"
    left = "" if tally.remaining is None else f", {_span(tally.remaining)} left"
    failed = f", {tally.failed} failed" if tally.failed else ""
    return f"{tally.done}{of} rows, {tally.rate:.3g} a second{left}{failed}"


def _ended(tally: Tally, output: Path) -> str:
    fresh = tally.done - tally.earlier
    earlier = f" ({tally.earlier} of them earlier)" if tally.earlier else ""
    pace = f" in {_span(tally.seconds)}, {tally.rate:.3g} a second" if fresh else ""
    return f"{tally.done} rows explained{earlier}, {tally.failed} failed{pace}: {output}"


def _foretold(forecast: Forecast) -> str:
    rows = "" if forecast.rows is None else f"{forecast.rows} rows, "
    if forecast.hours is None or forecast.bytes is None:
        return f"{rows}{forecast.row_bytes} bytes and {forecast.row_seconds:.3g} s a row"
    return (
        f"{rows}{forecast.left} of them left: {forecast.bytes / 1e6:.3g} MB, {forecast.hours:.3g} hours "
        f"({forecast.row_bytes} bytes and {forecast.row_seconds:.3g} s a row)"
    )


def _span(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes / 60:.1f} h"
