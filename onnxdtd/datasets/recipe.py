"""What a job was made of, written so that a later command can make its explainer and open its data again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnxdtd.datasets.columns import Store
from onnxdtd.datasets.record import MANIFEST, SOURCE, difference, read_manifest
from onnxdtd.datasets.settled import settled
from onnxdtd.disk import resolved
from onnxdtd.errors import InputError
from onnxdtd.folder import plain
from onnxdtd.hints import made
from onnxdtd.inputs import DataSet, Preprocess, labels, open_data, read_metadata_range
from onnxdtd.passes import Explainer

_NEEDED = (
    "engine",
    "bias",
    "providers",
    "features",
    "preprocess",
    "target",
    "store",
    "shard_rows",
    "whole_labels",
    SOURCE,
)
MOST_FIXED = 4096
"""Numbers of fixed inputs that are written down."""


def recipe(explainer: Explainer, target: Any, source: Mapping[str, Any] | None) -> dict[str, Any]:
    """For the manifest: where the model and the data lie, and the arguments that are not among the settled things.
    lost: what of them cannot be written down, as functions and arrays in memory cannot."""
    lost: list[str] = []

    def written(name: str, value: Any) -> Any:
        try:
            return json.loads(json.dumps(value, allow_nan=False))
        except (TypeError, ValueError):
            lost.append(name)
            return None

    graph, loaded = explainer.graph, explainer.loaded
    rules = [override.written for override in explainer.overrides]
    own = loaded.labels != labels(graph.metadata)
    fixed = loaded.first_input.fixed
    few = sum(x.size for x in fixed.values()) <= MOST_FIXED
    return {
        "model": None if loaded.path is None else str(resolved(loaded.path)),
        "data": None if source is None else _paths(source["data"]),
        "limit": None if source is None else source["limit"],
        "target": written("target", target),
        "method": written("method", explainer.method),
        "options": written("options", dict(explainer.options)),
        "rules": written("rules", [None if rule is None else dict(rule) for rule in rules])
        if rules
        else None,
        "strict_rules": explainer.strict_rules,
        "input_range": written("input_range", _stated_range(explainer)),
        "fixed": written("fixed", {name: x.tolist() for name, x in fixed.items()} if few else object()),
        "max_steps": graph.max_steps,
        "labels": list(loaded.labels) if own and loaded.labels else None,
        "lost": lost + ["rules"] * (None in rules) + ["background"] * bool(graph.background),
    }


@dataclass(frozen=True)
class Reopened:
    """A job's explainer, target and data. data: None where they were an iterable, or arrays in memory."""

    explainer: Explainer
    target: Any
    data: DataSet | None


def reopened(
    folder: Path, explainer: Explainer | None = None, model: str | Path | None = None, data: Any = None
) -> Reopened:
    """What a job was made of. explainer, model, data: instead of what the manifest names. Raises InputError where
    the model is not found or is another one, or settings could not be written down; and what `Explainer` and
    `open_data` do."""
    manifest = read_manifest(folder)
    if missing := [name for name in _NEEDED if name not in manifest]:
        raise InputError(f"'{folder / MANIFEST}' is damaged: it lacks '{missing[0]}'")
    source = manifest.get(SOURCE, {})
    if explainer is None:
        explainer = _explainer(folder, manifest, source, model)
    elif explainer.engine == "auto":
        explainer = explainer.by(engine=manifest["engine"])
    explainer = explainer.batched
    target = source.get("target", manifest["target"])
    _refuse_another(folder, manifest, explainer, target)
    paths = source.get("data") if data is None else data
    opened = None
    if paths is not None:
        opened = open_data(
            paths, explainer.inputs, preprocess=explainer.preprocess, features=explainer.loaded.features,
            limit=source.get("limit") if data is None else None,
        )  # fmt: skip
    return Reopened(explainer, target, opened)


def _explainer(
    folder: Path, manifest: Mapping[str, Any], source: Mapping[str, Any], model: str | Path | None
) -> Explainer:
    path, lost = model or source.get("model"), source.get("lost", ())
    if path is None or lost:
        reason = f"its {', '.join(lost)} cannot be written down" if lost else "its model was no file"
        raise InputError(
            f"'{folder}' does not say all of how it was explained, {reason}: give the explainer (explainer=)"
        )
    if not Path(path).exists():
        raise InputError(
            f"'{path}', which '{folder}' was explained from, is gone: name the model (--model, model=)"
        )
    try:
        method, settings = source["method"], arguments(manifest, source)
    except KeyError as error:
        raise InputError(f"'{folder / MANIFEST}' is damaged: it lacks {error}") from None
    return Explainer(path, method, **settings)


def arguments(manifest: Mapping[str, Any], source: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `Explainer` beside the model and the method."""
    prepared = manifest["preprocess"]
    span = source["input_range"]
    return {
        "engine": manifest["engine"], "bias": manifest["bias"], "providers": manifest["providers"],
        "features": manifest["features"], "labels": source["labels"], "rules": source["rules"],
        "strict_rules": source["strict_rules"], "max_steps": source["max_steps"],
        "fixed": source["fixed"], "options": source["options"],
        "mask": manifest.get("mask"), "positions": manifest.get("positions", "absorb"),
        "input_range": None if span is None else tuple(span) if isinstance(span, list) else span,
        "preprocess": None if prepared is None else Preprocess.from_mapping(prepared),
    }  # fmt: skip


def _refuse_another(folder: Path, manifest: Mapping[str, Any], explainer: Explainer, target: Any) -> None:
    """InputError where the explainer would give other numbers; other versions may."""
    try:
        store = made(Store, manifest["store"])
    except ValueError as error:
        raise InputError(f"'{folder / MANIFEST}' is damaged: store: {error}") from None
    now = plain(settled(explainer, target, store, manifest["shard_rows"], manifest["whole_labels"]))
    for name in now:
        if name not in ("versions", "engine", "store") and manifest.get(name) != now[name]:
            raise InputError(
                f"'{folder}' was explained otherwise: {difference(name, manifest.get(name), now[name])}"
            )


def _paths(data: Any) -> list[str] | None:
    """Full paths of the files or folders; None for arrays."""
    if isinstance(data, (str, Path)):
        data = [data]
    if isinstance(data, Mapping) or not isinstance(data, Sequence):
        return None
    return [str(resolved(path)) for path in data] if all(isinstance(p, (str, Path)) for p in data) else None


def _stated_range(explainer: Explainer) -> Any:
    """As the user stated it, in numbers; None where it follows from the preprocessing or the metadata."""
    prepare, own = explainer.preprocess, explainer.input_range
    derived = prepare.input_range if prepare else read_metadata_range(explainer.graph.metadata)
    if own is None or (derived is not None and repr(own) == repr(derived)):
        return None
    return own
