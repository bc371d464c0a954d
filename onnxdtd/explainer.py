"""`explain` and `Explainer`: from a model and an input to an `Explanation`."""

from __future__ import annotations

import inspect
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx

from onnxdtd.engine.forward import RUNTIME_VERSION, providers_for
from onnxdtd.engine.plan import Plan, make_plan
from onnxdtd.engine.run import NumpyRun, OnnxRun, Run
from onnxdtd.engine.target import parse_target, seed_relevance
from onnxdtd.engine.verify import check_same
from onnxdtd.errors import UsageError
from onnxdtd.explanation import Explanation
from onnxdtd.inputs import Preprocess, check_inputs, features, labels, read_metadata_range
from onnxdtd.ledger import Ledger
from onnxdtd.methods.overrides import Override, parse_overrides, read_overrides
from onnxdtd.model.bounds import range_of
from onnxdtd.model.canonise import canonise
from onnxdtd.model.domains import Range
from onnxdtd.model.graph import Graph, Value
from onnxdtd.model.load import load
from onnxdtd.registry import COMPOSED
from onnxdtd.version import __version__

Source = str | os.PathLike[str] | bytes | onnx.ModelProto
Rules = str | os.PathLike[str] | Sequence[Mapping[str, Any]] | None
Arrays = dict[str, npt.NDArray[Any]]
Tell = Callable[[int, int], None] | None
Inputs = npt.ArrayLike | Mapping[str, npt.ArrayLike]
# What an option is checked against, by its annotation; methods check what is more involved themselves.
KINDS: dict[str, type] = {"int": Integral, "float": Real, "bool": bool, "str": str}


class Explainer:
    """A model made ready to be explained; call it with inputs as often as you like.

    model: a path, the bytes, or an onnx.ModelProto. method: by name, or `auto`. engine: `numpy` (the reference,
    reports every node) or `onnx` (the same walk as one ONNX model, run by onnxruntime). input_range: (low, high)
    of the input, numbers or arrays that broadcast to it, or a dict by input name; by default what the model's
    own metadata say. bias: `absorb` or `redistribute`, by default the method's. rules: a TOML file, or a list
    of dicts, on top of the method. providers: of onnxruntime, such as "cuda"; CPU by default. verify: check on
    the first input that every canonisation pass keeps the model's outputs, and raise CheckError if one does not.
    options: of a method of many passes, such as {"steps": 128}.

    Raises ModelError, UnsupportedError, UsageError, ProviderError; see `onnxdtd.errors`.
    """

    def __init__(
        self,
        model: Source,
        method: str = "auto",
        engine: Literal["numpy", "onnx"] = "numpy",
        *,
        input_range: Range = None,
        bias: Literal["absorb", "redistribute"] | None = None,
        rules: Rules = None,
        providers: Sequence[str] | str | None = None,
        verify: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        if engine not in ("numpy", "onnx"):
            raise UsageError(f"no engine {engine!r}; the engines are numpy, onnx")
        if bias not in (None, "absorb", "redistribute"):
            raise UsageError(f"bias is absorb or redistribute, not {bias!r}")
        self.graph: Graph = canonise(load(model))
        self._unverified: Source | None = model if verify else None
        self.method, self.engine, self.bias = method, engine, bias
        self.options = _options(method, options or {})
        self.providers = providers_for(providers)
        self.overrides = _overrides(rules)
        self.input_range = _input_range(self.graph, input_range)
        self.path = os.fspath(model) if isinstance(model, (str, os.PathLike)) else None
        self._plans: dict[str | None, Plan] = {}
        self._runs: dict[str, Run] = {}

    @property
    def inputs(self) -> dict[str, Value]:
        """Name, element type and shape of each input."""
        return {name: self.graph.value(name) for name in self.graph.inputs}

    @property
    def features(self) -> tuple[str, ...] | None:
        """The names of a table's columns, where the model's metadata have them."""
        return features(self.graph.metadata)

    def plan(self, output: str | None = None) -> Plan:
        """The assignment of rules for an output (None: the first one that the float inputs reach).

        For a method of many passes, the plan of its gradient passes.
        """
        if output not in self._plans:
            method = COMPOSED[self.method].base if self.method in COMPOSED else self.method
            plan = make_plan(
                self.graph, method, output,
                input_range=self.input_range, bias=self.bias, overrides=self.overrides,
            )  # fmt: skip
            self._plans[output] = self._plans[plan.output] = plan
        return self._plans[output]

    def __call__(self, x: Inputs, target: Any = None, *, progress: Tell = None) -> Explanation:
        """Explain one batch.

        x: an array (N, ...) for a model of one input, or a dict by input name. target: None or "top" (arg-max of
        the last axis, each sample its own), an index, an index tuple, "name:index", or a list with one per
        sample. progress: told (done, total) after each node, or each pass of many. Raises InputError or
        TargetError.
        """
        if self.method in COMPOSED:
            explain = COMPOSED[self.method].explain
            composed: Explanation = explain(self, x, target, progress=progress, **self.options)
            return composed
        return self.one_pass(x, target, progress=progress)

    def run(self, output: str | None = None) -> Run:
        """The engine, ready for the plan of an output."""
        plan = self.plan(output)
        if plan.output not in self._runs:
            make = OnnxRun if self.engine == "onnx" else NumpyRun
            self._runs[plan.output] = make(plan, self.providers)
        return self._runs[plan.output]

    def one_pass(self, x: Inputs, target: Any = None, *, progress: Tell = None) -> Explanation:
        """One forward pass and one walk by the plan: for a method of many passes, what each of them takes."""
        wanted = parse_target(target)
        plan = self.plan(wanted.output)
        feeds = check_inputs(x, self.inputs)
        if self._unverified is not None:
            canonise(load(self._unverified), partial(check_same, feeds=feeds))
            self._unverified = None
        ledger = Ledger(len(plan.steps), progress)
        found = self.run(plan.output)(feeds, wanted, ledger.observe, ledger.listen)
        seed = seed_relevance(plan.seed, found.mask, found.logits)
        return Explanation(
            inputs=feeds,
            outputs=found.outputs,
            relevance=found.relevance,
            output=plan.output,
            target=_indices(found.mask),
            target_value=_per_sample(np.where(found.mask, found.logits, 0)),
            seed=_per_sample(seed),
            method=plan.method,
            reason=plan.reason,
            engine=self.engine,
            provider=self.providers[0],
            nodes=tuple(reversed(ledger.reports)),
            model=_model_facts(self.graph, self.path),
            notes=self.graph.notes,
            warnings=(*plan.warnings, *_warnings(plan, feeds, self.input_range, seed, found.relevance)),
            labels=labels(self.graph.metadata),
            versions=_versions(),
        )


def explain(
    model: Source,
    x: Inputs,
    target: Any = None,
    method: str = "auto",
    engine: Literal["numpy", "onnx"] = "numpy",
    **options: Any,
) -> Explanation:
    """Explain one batch of a model in one call; the options are those of `Explainer`."""
    return Explainer(model, method, engine, **options)(x, target)


def _options(method: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options, all of which the method must know, each of the kind that its signature says."""
    known = COMPOSED[method].options if method in COMPOSED else ()
    surplus = sorted(set(given) - set(known))
    if surplus:
        takes = ", ".join(known) or "none"
        raise UsageError(f"{method} has no option {', '.join(surplus)}; it takes {takes}")
    for name, value in given.items():
        annotation = inspect.signature(COMPOSED[method].explain).parameters[name].annotation
        kind, _, default = annotation.partition(" | ")
        fits = (default == "None" and value is None) or isinstance(value, KINDS.get(kind, object))
        if not fits or (isinstance(value, bool) and kind in ("int", "float")):
            raise UsageError(f"{method} takes {name} as {kind}, not {value!r}")
    return dict(given)


def _overrides(rules: Rules) -> tuple[Override, ...]:
    if rules is None:
        return ()
    return read_overrides(rules) if isinstance(rules, (str, os.PathLike)) else parse_overrides(rules)


def _input_range(graph: Graph, given: Range) -> Range:
    """The user's range, else what the model's metadata tell; it must broadcast to the input."""
    if given is None:
        prepared = Preprocess.from_metadata(graph.metadata)
        return prepared.input_range if prepared else read_metadata_range(graph.metadata)
    for name, (low, high) in given.items() if isinstance(given, Mapping) else [("", given)]:
        if name and name not in graph.inputs:
            raise UsageError(f"input_range names '{name}'; the model's inputs are {', '.join(graph.inputs)}")
        if not np.all(np.asarray(low) <= np.asarray(high)):
            raise UsageError(
                f"input_range: low must be a number that does not exceed high, got {low} and {high}"
            )
    return given


def _indices(mask: npt.NDArray[np.bool_]) -> tuple[tuple[tuple[int, ...], ...], ...]:
    """The explained indices of each sample, behind the batch axis."""
    if mask.ndim == 0:
        return (((),),)
    return tuple(tuple(tuple(int(i) for i in index) for index in np.argwhere(row)) for row in mask)


def _per_sample(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    rows = values.reshape(len(values) if values.ndim else 1, -1)
    return np.asarray(rows.sum(axis=1, dtype=np.float64))


def _warnings(plan: Plan, feeds: Arrays, given: Range, seed: Any, relevance: Arrays) -> list[str]:
    found = []
    empty = np.flatnonzero(_per_sample(seed) == 0)
    if empty.size:
        found.append(
            f"sample {', '.join(map(str, empty))}: the target's logit is not positive, so Deep Taylor has nothing "
            "to explain and all relevance is zero; choose another target, or a method such as epsilon_plus"
        )
    for name in plan.inputs:
        low, high = range_of(name, given)
        if np.any(feeds[name] < low) or np.any(feeds[name] > high):
            found.append(
                f"input '{name}' leaves its stated range; rules that rest on the range do not hold there"
            )
        if not np.isfinite(relevance[name]).all():
            found.append(f"the relevance of '{name}' is not finite everywhere: a denominator overflowed")
    return found


def _model_facts(graph: Graph, path: str | None) -> dict[str, Any]:
    return {"name": graph.name, "path": path, "sha256": graph.sha256, "opset": dict(graph.opsets)}


def _versions() -> dict[str, str]:
    modules = {"onnx": onnx.__version__, "onnxruntime": RUNTIME_VERSION, "numpy": np.__version__}
    return {"onnxdtd": __version__, "python": platform.python_version(), **modules}
