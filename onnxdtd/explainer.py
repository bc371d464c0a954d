"""`Explainer`: from a model and an input to an `Explanation`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Unpack, overload

from onnxdtd.calls import OF_PLANS, SHARED, Engine, Positions, Ways, by_output, cache_of
from onnxdtd.compiled.sessions import CacheDir
from onnxdtd.domains.propagation import Range
from onnxdtd.engines import Engines
from onnxdtd.errors import Faults, TargetError, UsageError
from onnxdtd.explanation import Explanation
from onnxdtd.inputs import Fixed, Names, Preparation, Tokenizer, feeds_of, names_of, preparation, reader_of
from onnxdtd.loaded import MOST_WAYS, Loaded, loaded
from onnxdtd.methods.entry import Method
from onnxdtd.model.graph import Graph, Value
from onnxdtd.model.names import values_named
from onnxdtd.plan.focus import Asks
from onnxdtd.plan.ground import Ground
from onnxdtd.plan.inside import focused, looking_inside
from onnxdtd.plan.plan import Inside, Plan, make_plan
from onnxdtd.plan.target import Function, Target
from onnxdtd.results import explanations
from onnxdtd.settings import Model, Rules, check_names, check_options, input_range_of, overrides, passes_entry
from onnxdtd.types import Arrays, OnProgress
from onnxdtd.walk.forward import Forward, providers_for
from onnxdtd.walk.outcome import Snapshot
from onnxdtd.walk.run import Walker, samples
from onnxdtd.weighed import weighed


class Explainer:
    """A model made ready to be explained; call it with inputs as often as you like.

    model: a path, the bytes, an onnx.ModelProto, or the `graph` of another explainer. method: by name, `auto`, or
    your own function (place, options) -> rule, see docs/extend.md. engine: `numpy` (the reference, reports every
    node), `onnx` (the same walk as one ONNX model, run by onnxruntime) or `auto` (onnx once there are samples enough
    to repay the compiling). input_range: (low, high) of the input, numbers or arrays that broadcast to it, or a dict
    by input name; by default what the model's own metadata say. bias: `absorb` or `redistribute`, by default the
    method's. rules: a TOML file, or a list of dicts, on top of the method; one that matches nothing is a warning, or
    with strict_rules a UsageError. providers: of onnxruntime, such as "cuda"; CPU by default. On the first input the
    outputs are compared with those of the file as onnxruntime runs it (not of 256 MB and more); verify: always, and
    after each pass of canonisation. CheckError where they differ. options: of a method of many passes, such as
    {"steps": 128}. background: rows of your data, given as those to explain, by which tree ensembles are counted.
    cache_dir: where what engine `onnx` compiles is kept on disk, by content; by default where ONNXDTD_CACHE says,
    else in the user's folder for caches; False: nowhere. fixed: inputs that are the same for good, such as
    {"sr": 16000}: they are no longer asked for, and not explained. max_steps: at which a loop without a bound ends.
    preprocess, labels, features: docs/inputs.md; by default the metadata's. tokenizer, mask, positions: docs/text.md.

    It pickles and copies, used or not; its sessions are then started anew. Raises ModelError, UnsupportedError,
    UsageError, ProviderError, with a line for every fault; see `onnxdtd.errors`.
    """

    def __init__(
        self,
        model: Model | Loaded,
        method: Method = "auto",
        engine: Engine = "numpy",
        *,
        input_range: Range = None,
        bias: Literal["absorb", "redistribute"] | None = None,
        rules: Rules = None,
        strict_rules: bool = False,
        providers: Sequence[str] | str | None = None,
        verify: bool = False,
        options: Mapping[str, Any] | None = None,
        background: Any = None,
        cache_dir: CacheDir = None,
        fixed: Fixed = None,
        max_steps: int | None = None,
        preprocess: Preparation | None = None,
        labels: Names | None = None,
        features: Names | None = None,
        tokenizer: Tokenizer | None = None,
        mask: Sequence[str] | str | None = None,
        positions: Positions = "absorb",
    ) -> None:
        faults = Faults()
        with faults:
            check_names(method, engine, bias, positions)
        with faults:
            self.options = check_options(method, options or {})
        with faults:
            self.providers = providers_for(providers)
        with faults:
            self.overrides = overrides(rules)
        with faults:
            named = loaded(model, fixed, max_steps, mask).named(names_of(labels), names_of(features))
            self.loaded = named.preparing(preprocess).reading(reader_of(tokenizer))
            self.preprocess = preparation(self.graph, preprocess)
            self.input_range = input_range_of(self.graph, input_range, self.preprocess)
            if background is not None:
                self.loaded = self.loaded.counting(self.feeds(background), self.providers)
        faults.stop()
        self.method, self.engine, self.bias, self.verify = method, engine, bias, verify
        self.strict_rules, self.cache_dir, self.positions = strict_rules, cache_of(cache_dir), positions
        self._stated_range, self._prepares = input_range, preprocess
        self._plans: dict[str | None, Plan] = {}
        self._ways: dict[Loaded, Explainer] = {}
        self._ground = Ground(self.graph, self.input_range, self.overrides)
        entry = passes_entry(method)
        self._one_walk = entry.base if entry else method  # of many passes, that of its gradient passes
        self._engines = Engines(self.loaded, engine, self.providers, self.cache_dir, bool(entry))

    def by(self, method: Method | None = None, **changes: Any) -> Explainer:
        """An explainer of the same loaded model: by another method, or with other arguments of the constructor. What
        is not named stays as it is here, the options only with the method. Nothing is read again, and sessions,
        derived weights and plans are shared where they are the same. Raises UsageError, ProviderError."""
        options = self.options if method in (None, self.method) else None
        settings = {**self._settings, "options": options, **changes}
        other = Explainer(self.loaded, method or self.method, **settings)
        if not changes.keys() & OF_PLANS - {"bias", "strict_rules", "positions"}:
            other._ground = self._ground
        if other._one_walk == self._one_walk and not changes.keys() & OF_PLANS:
            other._plans = self._plans
        return other

    def at(self, x: Any) -> Explainer:
        """The explainer of the branches that the model takes for x, one for each way that inputs take; itself, where
        no branch is left for a run to decide. Raises InputError."""
        if not self.graph.open_conditions:
            return self
        return self._way(self.loaded.at(self.feeds(x), self.providers))

    @property
    def batched(self) -> Explainer:
        """The explainer that takes rows of data, one sample each: itself, or where the model has no batch axis, as
        from a picture (3, 224, 224) to scores (1000,), that of the model with one of length 1."""
        return self._way(self.loaded.batched())

    def _way(self, way: Loaded) -> Explainer:
        if way is not self.loaded and way not in self._ways:
            self._ways = dict([*self._ways.items()][1 - MOST_WAYS :])
            self._ways[way] = Explainer(way, self.method, **self._settings, options=self.options)
        return self._ways.get(way, self)

    @property
    def _settings(self) -> dict[str, Any]:
        own = {"input_range": self._stated_range, "preprocess": self._prepares, "rules": self.overrides}
        return own | {name: getattr(self, name) for name in SHARED}

    @property
    def graph(self) -> Graph:
        """The model in canonical form, as it is explained; another `Explainer` takes it."""
        return self.loaded.graph

    @property
    def inputs(self) -> dict[str, Value]:
        """Name, element type and shape of each input."""
        return {name: self.graph.value(name) for name in self.graph.inputs}

    def feeds(self, x: Any) -> Arrays:
        """The model's inputs by name, checked, of what can be explained (docs/inputs.md). Raises InputError."""
        return feeds_of(x, self.inputs, self.preprocess, self.loaded.features, self.loaded.reader)

    def plan(self, output: str | None = None) -> Plan:
        """The assignment of rules for an output (None: the first one that the float inputs reach); for a method of
        many passes, that of its gradient passes."""
        if output not in self._plans:
            plan = self.plan_for(self.graph, self._one_walk, output)
            self._plans[output] = self._plans[plan.output] = plan
        return self._plans[output]

    def plan_for(self, graph: Graph, method: Method, output: str | None) -> Plan:
        """The plan of another method, or of a copy of the graph, with everything else as it is set here."""
        return make_plan(
            graph, method, output,
            input_range=self.input_range, bias=self.bias, overrides=self.overrides, strict=self.strict_rules,
            ground=self._ground if graph is self.graph else None, positions=self.positions,
        )  # fmt: skip

    def activations(self, x: Any, names: str | Sequence[str] | None = None) -> Arrays:
        """Values inside the model at x, by name, from one forward pass.

        names: of values, or of nodes for their first output, each may be a pattern such as "conv*"; None for all.
        Values are those of `graph`: what canonisation has folded or merged is not among them. Raises InputError,
        and UsageError for a name that matches nothing.
        """
        here = self.at(x)
        chosen = values_named(here.graph, [names] if isinstance(names, str) else names)
        return here.forward(chosen)(self.feeds(x))

    def forward(self, values: Sequence[str]) -> Forward:
        """The forward pass that gives these values of the graph, by a session that explainers of one model share."""
        return self.loaded.forward(values, self.providers)

    @overload
    def __call__(self, x: Any, target: Any = None, **ways: Unpack[Ways]) -> Explanation: ...
    @overload
    def __call__(self, x: Any, *, targets: Sequence[Any], **ways: Unpack[Ways]) -> list[Explanation]: ...
    def __call__(
        self, x: Any, target: Any = None, *, targets: Any = None, preprocess: Preparation | None = None,
        progress: OnProgress = None, **inside: Unpack[Asks],
    ) -> Explanation | list[Explanation]:  # fmt: skip
        """Explain one batch: x is an array (N, ...), a dict by input name, or "photo.jpg" (docs/inputs.md).

        target: in any form of docs/targets.md; targets: several, each with an explanation of its own. preprocess:
        instead of the explainer's. progress: told (done, total). inside: keep, only, start (docs/inside.md). Raises
        InputError, TargetError, UsageError.
        """
        if sum(way is not None for way in (target, targets, inside.get("start"))) > 1:
            raise TargetError("give one of target=, targets= and start=")
        own = self if preprocess is None else self.by(preprocess=preprocess)
        here = own.at(x := own.feeds(x))
        questions = [*map(here.loaded.question, [target] if targets is None else targets)]
        made = by_output(questions, lambda some: here._explained(x, some, progress, inside))
        return made[0] if targets is None else made

    def _explained(
        self, x: Arrays, targets: Sequence[Target], progress: OnProgress, inside: Asks
    ) -> list[Explanation]:
        if isinstance(form := targets[0].form, Function):
            outputs = self.forward(self.graph.outputs)(x)
            return [weighed(form, outputs, lambda part: self(x, part, progress=progress, **inside))]
        entry = passes_entry(self.method) or passes_entry(self.plan(targets[0].output).passes)
        if entry is None:
            return self.one_walk(x, targets, progress=progress, **inside)
        if any(inside.values()):
            raise UsageError(f"{entry.name} takes many passes; keep, only and start go with one walk")
        return [entry.explain(self, x, target, progress=progress, **self.options) for target in targets]

    def run(self, output: str | None = None, samples: int = 0, inside: Inside | None = None) -> Walker:
        """The engine, ready for the plan of an output. samples: how many more it is to explain, for `auto`."""
        plan = looking_inside(self.plan(output), inside or Inside())

        def remake(graph: Graph) -> Plan:
            return looking_inside(self.plan_for(graph, self._one_walk, plan.output), plan.inside)

        return self._engines.run(plan, samples, remake)

    def one_pass(self, x: Any, target: Any = None, **ways: Any) -> Explanation:
        """One forward pass and one walk by the plan: for a method of many passes, what each of them takes."""
        return self.one_walk(x, [target], **ways)[0]

    def one_walk(
        self, x: Any, targets: Sequence[Any], *,
        progress: OnProgress = None, snapshot: Snapshot | None = None, **inside: Unpack[Asks],
    ) -> list[Explanation]:  # fmt: skip
        """Targets of one output by one pass and one walk. snapshot: filled, by the NumPy engine, for further ones."""
        if (here := self.at(x)) is not self:
            return here.one_walk(x, targets, progress=progress, snapshot=snapshot, **inside)
        questions = [*map(self.loaded.question, targets)]
        plan, focus = focused(self.plan, questions[0].output, **inside)
        feeds = self.feeds(x)
        run = self.run(plan.output, samples(feeds) * len(questions), plan.inside)
        return explanations(
            run, plan, feeds, questions, focus, self.loaded, progress, snapshot, verify=self.verify,
            stated=self.input_range, provider=self.providers[0], notes=self._engines.notes,
        )  # fmt: skip
