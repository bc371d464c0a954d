"""`explain` and `Explainer`: from a model and an input to an `Explanation`."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx

from onnxdtd.compiled.run import OnnxRun
from onnxdtd.compiled.upgrade import upgrade
from onnxdtd.domains.box import range_of
from onnxdtd.domains.propagation import Range
from onnxdtd.errors import UnsupportedError, UsageError
from onnxdtd.explanation import Explanation
from onnxdtd.inputs import check_inputs, features, labels
from onnxdtd.model.canonise import canonise
from onnxdtd.model.graph import Graph, Value
from onnxdtd.model.load import load
from onnxdtd.plan.choice import MANY, choose
from onnxdtd.plan.plan import Plan, make_plan
from onnxdtd.plan.target import explained, parse_target, per_sample, seed_relevance
from onnxdtd.registry import PASSES
from onnxdtd.settings import Rules as Rules
from onnxdtd.settings import Source as Source
from onnxdtd.settings import check_bias, check_options, input_range_of, overrides
from onnxdtd.version import __version__
from onnxdtd.walk.forward import RUNTIME_VERSION, providers_for
from onnxdtd.walk.ledger import Ledger
from onnxdtd.walk.original import FirstInput, refuse_not_finite
from onnxdtd.walk.run import NumpyRun, Run, samples

Arrays = dict[str, npt.NDArray[Any]]
Tell = Callable[[int, int], None] | None
Inputs = npt.ArrayLike | Mapping[str, npt.ArrayLike]
Engine = Literal["numpy", "onnx", "auto"]
ENGINES = ("numpy", "onnx", "auto")
CACHE = "ONNXDTD_CACHE"


class Explainer:
    """A model made ready to be explained; call it with inputs as often as you like.

    model: a path, the bytes, or an onnx.ModelProto. method: by name, or `auto`. engine: `numpy` (the reference,
    reports every node), `onnx` (the same walk as one ONNX model, run by onnxruntime) or `auto` (onnx once there are
    samples enough to repay the compiling). input_range: (low, high)
    of the input, numbers or arrays that broadcast to it, or a dict by input name; by default what the model's
    own metadata say. bias: `absorb` or `redistribute`, by default the method's. rules: a TOML file, or a list
    of dicts, on top of the method. providers: of onnxruntime, such as "cuda"; CPU by default. On the first input
    the outputs are compared with those of the file as onnxruntime runs it (not of 256 MB and more); verify: always,
    and after every canonisation pass too. CheckError where they differ.
    options: of a method of many passes, such as {"steps": 128}. cache_dir: where what engine `onnx` compiles is
    kept on disk, by content; by default the environment variable ONNXDTD_CACHE, else nowhere.

    Raises ModelError, UnsupportedError, UsageError, ProviderError; see `onnxdtd.errors`.
    """

    def __init__(
        self,
        model: Source,
        method: str = "auto",
        engine: Engine = "numpy",
        *,
        input_range: Range = None,
        bias: Literal["absorb", "redistribute"] | None = None,
        rules: Rules = None,
        providers: Sequence[str] | str | None = None,
        verify: bool = False,
        options: Mapping[str, Any] | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        if engine not in ENGINES:
            raise UsageError(f"no engine {engine!r}; the engines are {', '.join(ENGINES)}")
        check_bias(bias)
        self.graph: Graph = canonise(load(model))
        self._first_input = FirstInput(model, verify)
        self.method, self.engine, self.bias = method, engine, bias
        self.options = check_options(method, options or {})
        self.providers = providers_for(providers)
        self.overrides = overrides(rules)
        self.input_range = input_range_of(self.graph, input_range)
        self.path = os.fspath(model) if isinstance(model, (str, os.PathLike)) else None
        self.cache_dir = cache_dir or os.environ.get(CACHE)
        self._plans: dict[str | None, Plan] = {}
        self._runs: dict[tuple[str, str], Run] = {}
        self._asked: dict[str, int] = {}
        self._note: dict[str, str] = {}
        self._facts = _model_facts(self.graph, self.path)
        self._labels = labels(self.graph.metadata)
        self._uncompilable: dict[str, str] = {}

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
            plan = self._make_plan(self.graph, output)
            self._plans[output] = self._plans[plan.output] = plan
        return self._plans[output]

    def _make_plan(self, graph: Graph, output: str | None) -> Plan:
        method = PASSES[self.method].base if self.method in PASSES else self.method
        return make_plan(
            graph, method, output, input_range=self.input_range, bias=self.bias, overrides=self.overrides
        )

    def __call__(self, x: Inputs, target: Any = None, *, progress: Tell = None) -> Explanation:
        """Explain one batch.

        x: an array (N, ...) for a model of one input, or a dict by input name. target: None or "top" (arg-max of
        the last axis, each sample its own), an index, an index tuple, "name:index", or a list with one per
        sample. progress: told (done, total) after each node, or each pass of many. Raises InputError or
        TargetError.
        """
        if self.method in PASSES:
            explain = PASSES[self.method].explain
            composed: Explanation = explain(self, x, target, progress=progress, **self.options)
            return composed
        return self.one_pass(x, target, progress=progress)

    def run(self, output: str | None = None, samples: int = 0) -> Run:
        """The engine, ready for the plan of an output. samples: how many more it is to explain, for `auto`."""
        plan = self.plan(output)
        self._asked[plan.output] = self._asked.get(plan.output, 0) + samples
        return self._chosen(plan) if self.engine == "auto" else self._start(plan, self.engine)

    def _chosen(self, plan: Plan) -> Run:
        """What `auto` takes: numpy where it must, which it says, since not every walk can be compiled."""
        name = plan.output
        engine, why = choose(plan, MANY if self.method in PASSES else self._asked[name])
        if name in self._uncompilable:
            engine, why = "numpy", self._uncompilable[name]
        try:
            run = self._start(plan, engine)
        except UnsupportedError as error:
            self._uncompilable[name] = f"this walk cannot be compiled: {error.faults[0]}"
            return self._chosen(plan)
        self._note[name] = f"engine {engine} taken by auto: {why}"
        return run

    def _start(self, plan: Plan, engine: str) -> Run:
        key = (plan.output, engine)
        if key not in self._runs and engine == "onnx":
            newer = upgrade(self.graph)
            plan = plan if newer is self.graph else self._make_plan(newer, plan.output)
            self._runs[key] = OnnxRun(plan, self.providers, self.cache_dir)
        elif key not in self._runs:
            self._runs[key] = NumpyRun(plan, self.providers)
        return self._runs[key]

    def one_pass(self, x: Inputs, target: Any = None, *, progress: Tell = None) -> Explanation:
        """One forward pass and one walk by the plan: for a method of many passes, what each of them takes."""
        wanted = parse_target(target)
        plan = self.plan(wanted.output)
        feeds = check_inputs(x, self.inputs)
        ledger = Ledger(len(plan.steps), progress)
        run = self.run(plan.output, samples(feeds))
        found = run(feeds, wanted, ledger.observe, ledger.listen)
        self._first_input(self.graph, feeds, found.outputs)
        refuse_not_finite(self.graph, feeds, found.logits[found.mask])
        value = per_sample(seed_relevance("value", found.mask, found.logits))
        started = value
        if plan.seed != "value":
            started = per_sample(seed_relevance(plan.seed, found.mask, found.logits))
        return Explanation(
            inputs=feeds,
            outputs=found.outputs,
            relevance=found.relevance,
            output=plan.output,
            target=explained(found.mask),
            target_value=value,
            seed=started,
            method=plan.method,
            reason=plan.reason,
            engine=run.engine,
            provider=self.providers[0],
            nodes=tuple(reversed(ledger.reports)),
            model=self._facts,
            notes=(
                *run.plan.graph.notes,
                *filter(None, [self._note.get(plan.output), self._first_input.note]),
            ),
            warnings=(*plan.warnings, *_warnings(plan, feeds, self.input_range, started, found.relevance)),
            labels=self._labels,
            versions=_VERSIONS,
        )


def explain(
    model: Source,
    x: Inputs,
    target: Any = None,
    method: str = "auto",
    engine: Engine = "numpy",
    **options: Any,
) -> Explanation:
    """Explain one batch of a model in one call; the options are those of `Explainer`."""
    return Explainer(model, method, engine, **options)(x, target)


def _warnings(
    plan: Plan, feeds: Arrays, given: Range, started: npt.NDArray[Any], relevance: Arrays
) -> list[str]:
    found = []
    if not started.all():
        empty = np.flatnonzero(started == 0)
        found.append(
            f"sample {', '.join(map(str, empty))}: the target's logit is not positive, so Deep Taylor has nothing "
            "to explain and all relevance is zero; choose another target, or a method such as epsilon_plus"
        )
    for name in plan.inputs:
        low, high = range_of(name, given)
        if (feeds[name] < low).any() or (feeds[name] > high).any():
            found.append(
                f"input '{name}' leaves its stated range; rules that rest on the range do not hold there"
            )
        if not np.isfinite(relevance[name]).all():
            found.append(f"the relevance of '{name}' is not finite everywhere: a denominator overflowed")
    return found


def _model_facts(graph: Graph, path: str | None) -> dict[str, Any]:
    return {"name": graph.name, "path": path, "sha256": graph.sha256, "opset": dict(graph.opsets)}


_VERSIONS = {
    "onnxdtd": __version__,
    "python": platform.python_version(),
    "onnx": onnx.__version__,
    "onnxruntime": RUNTIME_VERSION,
    "numpy": np.__version__,
}
