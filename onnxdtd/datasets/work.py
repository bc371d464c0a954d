"""What is done with the rows of one shard, in this process or in another: read, explain, write, forget."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from onnxdtd.arrow import arrow
from onnxdtd.audit import with_findings
from onnxdtd.audit.conservation import BALANCE, FULL, unbalances
from onnxdtd.datasets.columns import Store, table
from onnxdtd.datasets.passes import Pass, Passes
from onnxdtd.datasets.shard import Shard
from onnxdtd.datasets.task import Outcome, Task, spelled
from onnxdtd.each import single
from onnxdtd.explainer import Explainer
from onnxdtd.registry import PASSES
from onnxdtd.render import save_heatmap
from onnxdtd.render.painted import Small
from onnxdtd.workers import Reader

SHARDS, OVERLAYS = "shards", "overlays"
GROUP_BYTES = 8 << 20
"""Of rows that are held before they are written as a row group."""


class Work:
    """Explains tasks. source: the arguments of `open_data`, None where tasks bring their rows. It pickles, and opens
    the data anew in the process where it arrives. orphaned: whether nobody waits for the shard any more."""

    def __init__(
        self, explainer: Explainer, target: Any, store: Store, folder: Path,
        source: Mapping[str, Any] | None, whole_labels: bool,
    ) -> None:  # fmt: skip
        self.explainer, self.target, self.store, self.folder = explainer, target, store, folder
        self.whole_labels = whole_labels
        reader = None if source is None else Reader({**source, "values": explainer.inputs})
        self._passes = Passes(explainer, target, store.keep, reader)
        self.orphaned: Callable[[], bool] = bool  # which says no

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_beside", "_drawing")}

    def __call__(self, task: Task) -> Future[Outcome]:
        """Explain the rows and write their shard, unless it holds none. What is returned is done when the shard is on
        the disk; others may be explained meanwhile."""
        failed: dict[str, str] = {}
        done: Future[Outcome] = Future()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of NumPy and matplotlib; results have their own
            groups = self._groups(task, failed)
            if (first := next(groups, None)) is None:
                done.set_result(Outcome(0, tuple(failed.items()), 0))
                return done
            path = self.folder / SHARDS / f"{task.name}.parquet"
            shard = Shard(path, task.places[0], self._beside, self.orphaned)
            try:
                shard.add(first)
                for group in groups:
                    shard.add(group)
                written = shard.end()
            except BaseException:
                shard.give_up()
                raise

        def told(part: Future[tuple[int, int]]) -> None:
            if error := part.exception():
                done.set_exception(error)
            else:
                rows, size = part.result()
                done.set_result(Outcome(rows, tuple(failed.items()), size))

        written.add_done_callback(told)
        return done

    @cached_property
    def _beside(self) -> ThreadPoolExecutor:
        """Where shards are written, one after the other."""
        return ThreadPoolExecutor(1)

    @cached_property
    def _drawing(self) -> ThreadPoolExecutor:
        """Where pictures are drawn, while the next rows are explained."""
        return ThreadPoolExecutor(1)

    def _groups(self, task: Task, failed: dict[str, str]) -> Iterator[Any]:
        """Arrow tables of a few rows each."""
        tables: list[Any] = []
        drawn: Future[None] = Future()
        drawn.set_result(None)
        for part in self._passes(task, failed):
            made = table(self.explainer, part, self._fired(part), self.store, self.whole_labels, failed)
            drawn.result()  # no more than the pictures of one pass wait
            if self.store.overlays:
                drawn = self._drawing.submit(self._draw, part, dict(failed))
            tables += [made] if made.num_rows else []
            if sum(each.nbytes for each in tables) >= GROUP_BYTES:
                yield arrow().concat_tables(tables)
                tables = []
        drawn.result()  # a row that is stored has its picture
        if tables:
            yield arrow().concat_tables(tables)

    def _fired(self, part: Pass) -> list[list[str]]:
        """The findings that fired, of each row."""
        e, count = part.e, len(part.ids)
        if self.store.audit:
            made = (with_findings(self.explainer, single(self.explainer, e, i)) for i in range(count))
            return [[finding["name"] for finding in one.findings if finding["fired"]] for one in made]
        if e.method in PASSES:
            return [[]] * count
        plan = self.explainer.at(e.inputs).plan(e.output)
        with np.errstate(invalid="ignore"):
            fires = unbalances(plan, e)[:count] > FULL
        return [[BALANCE] if fired else [] for fired in fires.tolist()]

    def _draw(self, part: Pass, failed: Mapping[str, str]) -> None:
        for i, (name, picture) in enumerate(zip(part.ids, part.pictures, strict=True)):
            if name not in failed:
                e = single(self.explainer, part.e, i)
                path = self.folder / OVERLAYS / f"{spelled(name)}.png"
                save_heatmap(e, path, picture=picture() if picture else None, board=Small)
