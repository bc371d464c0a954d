"""`compile`: the explainer as an ONNX model of its own, forward pass and relevance pass in one file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from onnxdtd.compiled.confirm import confirmed
from onnxdtd.compiled.export import check_path, complete, write
from onnxdtd.compiled.start import COEFFICIENTS, RUNTIME, SEED, Start
from onnxdtd.compiled.trace import Compiled, compile_plan
from onnxdtd.compiled.upgrade import upgrade
from onnxdtd.compiled.valid import refuse_open
from onnxdtd.domains.propagation import Range
from onnxdtd.errors import OpsetError, TargetError, UnsupportedError, UsageError
from onnxdtd.inputs import Fixed, Like, fix, labels, preparation, read_like
from onnxdtd.methods.entry import Method
from onnxdtd.model.canonise import canonise
from onnxdtd.model.graph import Graph
from onnxdtd.plan.plan import Plan, make_plan
from onnxdtd.plan.target import Target, check_target, described, parse_target
from onnxdtd.plan.target_text import Names, read_target
from onnxdtd.settings import (
    Model,
    Rules,
    check_names,
    graph_of,
    input_range_of,
    masked,
    overrides,
    passes_entry,
)
from onnxdtd.version import __version__
from onnxdtd.walk.branches import settled

STARTS = {"runtime": RUNTIME, "coefficients": COEFFICIENTS, "seed": SEED}
WEIGHTS = ("store", "derive")


@dataclass(frozen=True)
class CompiledModel:
    """A written explainer. files: the model and, above 2 GB, its weights. inputs, outputs: of the file, in order.
    relevance: the output that holds each input's relevance. explained: the value whose relevance it is: the logit
    of `output` where a final activation was set aside. target: one of `STARTS`, or the fixed question. nodes: of the
    model and of the explainer. nbytes: of all files, and source_nbytes: of the model's own weights."""

    files: tuple[Path, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    relevance: Mapping[str, str]
    output: str
    explained: str
    target: str
    method: str
    reason: str
    rules: Mapping[str, str]
    opset: int
    nodes: tuple[int, int]
    nbytes: int
    source_nbytes: int
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def compile(
    model: Model,
    path: str | os.PathLike[str],
    *,
    method: Method = "auto",
    target: Any = "runtime",
    output: str | None = None,
    weights: Literal["store", "derive"] = "store",
    input_range: Range = None,
    bias: Literal["absorb", "redistribute"] | None = None,
    rules: Rules = None,
    fixed: Fixed = None,
    mask: Sequence[str] | str | None = None,
    positions: Literal["absorb", "token"] = "absorb",
    like: Like = None,
    constants: bool = False,
) -> CompiledModel:
    """Write (x, target) -> (outputs, relevance) as one ONNX model that needs onnxruntime and nothing else.

    The file takes the model's inputs and `target`: int64, of length N or 1, for each sample the flat index of what is
    explained behind the batch axis, or -1 for the arg-max of the last axis (each position its own in an output of
    higher rank, of a language model the last that is no padding alone); another index that is not there explains
    nothing. It returns the model's outputs under their own names, then `relevance/NAME` (N, ...) for each explained
    input. Symbolic dimensions stay symbolic.

    target: `runtime` as above; an index, slices, a difference or `top`, which then holds for every sample and leaves
    no input `target`; `coefficients`, for an input of that name, of the explained value's type and shape: their sum,
    each times the value, is explained; or `seed`, for an input that is the relevance with which the walk starts.
    Where the model has a value of that name, the input is called `onnxdtd/target`, and so on.
    output: which one is explained; a model of several float outputs needs it. weights: what rules make of weights
    (such as W+) is stored, or derived in the graph from the model's own, which takes no room. method, input_range,
    bias, rules, fixed, mask, positions: as in `Explainer`. like: an input, or the file of one; where the model has
    branches that an input decides, those that it takes are compiled, and the file returns `onnxdtd/valid` as well:
    one boolean, true where its own input takes them too. constants: it also returns `onnxdtd/constants` (N, kinds),
    what biases, norm shifts, position embeddings ... took of each sample; the metadata name the columns.

    The model is written in canonical form, as it is explained: constants folded, BatchNormalization merged into its
    neighbour (outputs agree to rounding). All other nodes and names are the model's; what is added starts with
    `onnxdtd/`. The opset is the model's, or 13 or 16 where that is older and the walk needs it. Weights that no rule
    changes are shared, not copied. metadata_props: the model's, and `onnxdtd/...` (docs/compile.md).

    Raises UnsupportedError for what cannot be compiled: methods of many passes, ops that branch on values; UsageError
    for a path that holds something else; and what `Explainer` raises. Nothing is written then.
    """
    check_names(method, "onnx", bias, positions)
    graph = masked(canonise(fix(graph_of(model), fixed)[0]), mask)
    if like is not None:
        graph = settled(graph, read_like(like, graph))
    source = Path(model) if isinstance(model, (str, os.PathLike)) else None

    def plan_for(graph: Graph, output: str | None) -> Plan:
        return make_plan(
            graph, method, output,
            input_range=input_range_of(graph, input_range, preparation(graph, None)), bias=bias,
            overrides=overrides(rules), positions=positions,
        )  # fmt: skip

    _refuse_passes(method)
    start, output = start_for(graph, target, output)
    refuse_open(graph, graph.outputs if output is None else (output,))

    def written(newer: Graph) -> CompiledModel:
        return write_compiled(plan_for(newer, output), start, Path(path), source, weights, constants)

    try:
        return written(upgrade(graph))
    except OpsetError as error:
        return written(upgrade(graph, error.opset))


def start_for(graph: Graph, target: Any, output: str | None) -> tuple[Start, str | None]:
    """How the compiled walk starts, and at which output. Raises TargetError or UsageError."""
    start = STARTS.get(target) if isinstance(target, str) else None
    question = Target() if start is not None else _question(graph, target)
    if question.per_sample:
        raise TargetError("a fixed target is one index for all samples; target='runtime' takes one for each")
    if output is not None and question.output not in (None, output):
        raise TargetError(
            f"target names output '{question.output}', and output is '{output}': give one of them"
        )
    output = output or question.output
    floats = [name for name in graph.outputs if graph.value(name).is_float]
    if output is None and len(floats) > 1:
        names = ", ".join(f"'{name}'" for name in floats)
        raise UsageError(
            f"the model has the outputs {names}: say which one is explained (output=, --output-name)"
        )
    if start is not None:
        return start, output
    index: Any = question.index
    return Start("fixed", index, question.form), output


def _question(graph: Graph, target: Any) -> Target:
    if isinstance(target, str):
        return read_target(target, Names(graph.outputs, labels(graph.metadata) or ()))
    return parse_target(target)


def write_compiled(
    plan: Plan,
    start: Start,
    path: Path,
    source: Path | None,
    weights: Literal["store", "derive"] = "store",
    constants: bool = False,
) -> CompiledModel:
    """Compile a plan and write the file; `source` is the model's, which is never overwritten."""
    if weights not in WEIGHTS:
        raise UsageError(f"weights is store or derive, not {weights!r}")
    check_path(path, source)
    plan = confirmed(plan)
    check_target(Target(plan.output, start.index), plan.graph.value(plan.target).shape)
    compiled = compile_plan(plan, start, weights, constants)
    fixed = ",".join(map(str, start.index)) if start.index else "top"
    fixed = fixed if start.form is None else described(start.form)
    target = fixed if start.kind == "fixed" else start.kind
    model = complete(compiled, _metadata(plan, compiled, target, weights))
    inputs, outputs = (tuple(v.name for v in values) for values in (model.graph.input, model.graph.output))
    own = len(plan.graph.nodes)
    files = write(model, compiled.constants, path)
    return CompiledModel(
        files=tuple(files),
        inputs=inputs,
        outputs=outputs,
        relevance=compiled.relevance,
        output=plan.output,
        explained=plan.target,
        target=target,
        method=plan.method,
        reason=plan.reason,
        rules=plan.rules,
        opset=plan.graph.opsets[""],
        nodes=(own, len(model.graph.node) - own),
        nbytes=sum(file.stat().st_size for file in files),
        source_nbytes=sum(array.nbytes for array in plan.graph.constants.values()),
        notes=plan.graph.notes,
        warnings=plan.warnings,
    )


def _refuse_passes(method: Method) -> None:
    if entry := passes_entry(method):
        raise UnsupportedError(
            f"{method} takes many passes, which one graph cannot hold; compile a method of one walk, such as "
            f"{entry.base}, or use onnxdtd run"
        )


def _metadata(plan: Plan, compiled: Compiled, target: str, weights: str) -> dict[str, str]:
    """The model's own entries, and what a reader of the file must know to use and to trust it."""
    graph = plan.graph
    return {
        **graph.metadata,
        "onnxdtd/version": __version__,
        "onnxdtd/method": plan.method,
        "onnxdtd/rules": json.dumps(plan.rules),
        "onnxdtd/target": target,
        "onnxdtd/target_input": compiled.target_input,
        "onnxdtd/output": plan.output,
        "onnxdtd/explained": plan.target,
        "onnxdtd/relevance": json.dumps(dict(compiled.relevance)),
        "onnxdtd/constants": json.dumps(compiled.kinds),
        "onnxdtd/weights": weights,
        "onnxdtd/opset": str(graph.opsets[""]),
        "onnxdtd/source_sha256": graph.sha256,
        "onnxdtd/conditions": json.dumps(graph.all_conditions),
        "onnxdtd/notes": json.dumps(graph.notes),
        "onnxdtd/warnings": json.dumps(plan.warnings),
    }
