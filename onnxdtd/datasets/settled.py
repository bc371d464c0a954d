"""What the numbers of a job depend on, as a document: equal documents, equal results."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from onnxdtd.compiled.digest import PROCESS, spelled
from onnxdtd.compiled.sessions import is_ready
from onnxdtd.datasets.columns import Store
from onnxdtd.errors import UnsupportedError
from onnxdtd.explainer import Explainer
from onnxdtd.folder import plain
from onnxdtd.loaded import VERSIONS
from onnxdtd.methods.entry import method_name
from onnxdtd.model.graph import Graph
from onnxdtd.plan.choice import MANY, choose
from onnxdtd.plan.step import everywhere
from onnxdtd.settings import passes_entry


def settled(
    explainer: Explainer, target: Any, store: Store, shard_rows: int, whole_labels: bool
) -> dict[str, Any]:
    """By topic; the weights count by content, so that those in files beside the model do too."""
    graph = explainer.graph
    return {
        "model": {"sha256": graph.sha256, "weights": _weights(graph), "inputs": list(graph.inputs)},
        "method": method_name(explainer.method),
        "options": {name: _spelled(value) for name, value in explainer.options.items()},
        "rules": _rules(explainer, target),
        "bias": explainer.bias,
        "target": target if isinstance(target, str) else "top" if target is None else _spelled(target),
        "input_range": _spelled(explainer.input_range),
        "preprocess": dataclasses.asdict(explainer.preprocess) if explainer.preprocess else None,
        "features": explainer.loaded.features,
        "engine": explainer.engine,
        "providers": list(explainer.providers),
        "versions": {name: VERSIONS[name] for name in ("onnxdtd", "onnxruntime")},
        "store": dataclasses.asdict(store),
        "shard_rows": shard_rows,
        "whole_labels": whole_labels,
        **_of_texts(explainer),
    }


def _of_texts(explainer: Explainer) -> dict[str, Any]:
    """Masks and the policy for positions, where they are not the usual: so jobs of before these settings go on."""
    masks = explainer.graph.masks
    masked: dict[str, Any] = {} if masks is None else {"mask": list(masks)}
    return masked if explainer.positions == "absorb" else {**masked, "positions": explainer.positions}


def fingerprint(document: Mapping[str, Any]) -> str:
    """The document as one number."""
    return _digest(json.dumps(plain(document), sort_keys=True).encode())


def with_engine(explainer: Explainer, target: Any, earlier: str | None, count: int | None) -> Explainer:
    """The explainer with an engine of its own instead of `auto`, since a job that goes on must not change it: that of
    the job's earlier part, else the compiled one, where it can be had and pays."""
    if explainer.engine != "auto":
        return explainer
    if earlier is not None:
        return explainer.by(engine=earlier)
    if explainer.graph.open_conditions:
        return explainer.by(engine="numpy")
    output = explainer.loaded.question(target).output
    samples = MANY if passes_entry(explainer.method) else 1 << 20 if count is None else count
    plan = explainer.plan(output)
    if choose(plan, samples)[0] == "numpy" and not is_ready(plan, explainer.providers, explainer.cache_dir):
        return explainer.by(engine="numpy")
    compiled = explainer.by(engine="onnx")
    try:
        compiled.run(output)
    except UnsupportedError:
        return explainer.by(engine="numpy")
    return compiled


def _rules(explainer: Explainer, target: Any) -> str:
    """A digest of every node's rule; of the rules that were asked for, where branches are open."""
    about: Any = list(explainer.overrides)
    if not explainer.graph.open_conditions:
        output = explainer.loaded.question(target).output
        about += [[step.node.name, step.rule] for step in everywhere(explainer.plan(output).steps)]
    return _digest(_spelled(about).encode())


def _spelled(thing: Any) -> str:
    """In full, the same in every process: functions by name, those of the user too, whose code is not looked into."""
    return re.sub(re.escape(PROCESS) + r"\d+", "", spelled(thing))


def _weights(graph: Graph) -> str:
    digest = hashlib.sha256()
    for name, array in sorted((*graph.constants.items(), *graph.background.items())):
        digest.update(repr((name, array.dtype.str, array.shape)).encode())
        plain = array.dtype != object
        digest.update(
            np.ascontiguousarray(array).reshape(-1).view(np.uint8).data if plain else repr(array).encode()
        )
    return digest.hexdigest()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
