"""Compiled walks that are ready to run, kept for whoever asks for the same one: in memory, and on disk on request."""

from __future__ import annotations

import os
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from onnxdtd.compiled.confirm import confirmed
from onnxdtd.compiled.digest import digest, lasting
from onnxdtd.compiled.ready import Ready
from onnxdtd.compiled.start import RUNTIME, Start
from onnxdtd.compiled.stored import SUFFIX, default_folder, holds, load, save
from onnxdtd.compiled.trace import LOWEST_OPSET, Compiled, compile_plan
from onnxdtd.errors import UsageError
from onnxdtd.model.guard import guard
from onnxdtd.plan.choice import multiplications, multiplies_rows
from onnxdtd.plan.plan import Plan
from onnxdtd.walk.forks import Lock

KEPT = 4
KEPT_BYTES = 512 * 2**20  # of weights

CacheDir = str | os.PathLike[str] | Literal[False] | None

_in_use: weakref.WeakValueDictionary[tuple[str, ...], Ready] = weakref.WeakValueDictionary()
_latest: OrderedDict[tuple[str, ...], Ready] = OrderedDict()
_lock = Lock()


def ready(
    plan: Plan,
    providers: Sequence[str],
    cache_dir: CacheDir = None,
    what: Start = RUNTIME,
) -> Ready:
    """The plan compiled, to start as `what` says, with a session on these providers: one that is in use, one of the
    last `KEPT` (of at most `KEPT_BYTES`), or a new one. cache_dir: where compiled walks are kept on disk, by digest;
    by default the user's folder for caches, if it can be written to; False for nowhere. Those with ops or rules from
    outside the package are not, since only the running process knows what these do.

    Raises what `compile_plan` raises, and UsageError where cache_dir cannot be written.
    """
    made = digest(plan) + ("" if what == RUNTIME else f"-{what.kind}")
    key = (made, *providers)
    with _lock:
        entry = _in_use.get(key)
        if entry is None:
            entry = _made(plan, made, cache_dir, what, providers)
        _in_use[key] = _latest[key] = entry
        _latest.move_to_end(key)
        while len(_latest) > 1 and (
            len(_latest) > KEPT or sum(r.nbytes for r in _latest.values()) > KEPT_BYTES
        ):
            _latest.popitem(last=False)
        if entry.nbytes > KEPT_BYTES:
            _latest.clear()
    return entry


def is_ready(plan: Plan, providers: Sequence[str], cache_dir: CacheDir = None) -> bool:
    """Whether the plan is compiled already, in this process or by an earlier one that has left it on the disk.

    Weights are looked at only where a walk of a model with this sum lies there.
    """
    if plan.graph.opsets.get("", 0) < LOWEST_OPSET:  # converted first, and known by what comes of it
        return False
    folder = _folder(cache_dir)
    here = folder is not None and holds(folder, _model(plan))
    if not here and not _in_use:
        return False
    made = digest(plan)
    stored = folder is not None and lasting(plan) and holds(folder, _model(plan) + made + SUFFIX)
    return stored or (made, *providers) in _in_use


def _folder(cache_dir: CacheDir) -> Path | None:
    """Where compiled walks are kept."""
    return (default_folder() if cache_dir is None else Path(cache_dir)) if cache_dir is not False else None


def _model(plan: Plan) -> str:
    """What names of files of a model begin with."""
    return f"{plan.graph.sha256[:16]}-"


def _made(plan: Plan, made: str, cache_dir: CacheDir, what: Start, providers: Sequence[str]) -> Ready:
    """From disk, or compiled and written there."""
    folder, name = _folder(cache_dir), _model(plan) + made
    work, constants, packs = sum(multiplications(plan)), plan.graph.constants, multiplies_rows(plan)
    if folder is None or not lasting(plan):
        return Ready(_compiled(plan, what), providers, work, packs=packs)
    if stored := load(folder, name, constants):
        return Ready(stored, providers, work, partial(_compiled, plan, what), packs)
    compiled = _compiled(plan, what)
    try:
        save(folder, name, compiled, constants)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        if cache_dir is not None:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"the cache '{folder}' cannot be written: {reason}") from None
    return Ready(compiled, providers, work, packs=packs)


def _compiled(plan: Plan, what: Start) -> Compiled:
    # What rules make of weights onnxruntime makes as well while it starts, and lays it out in its own way at once.
    compiled = compile_plan(confirmed(plan), what, "derive", True)
    guard(compiled.model.graph, compiled.constants, plan.graph.max_steps)
    return compiled
