"""Shorter ways to an `Explainer`: to explain one batch in one call, and to take a model or an explainer alike."""

from __future__ import annotations

from typing import Any

from onnxdtd.calls import Engine
from onnxdtd.explainer import Explainer
from onnxdtd.explanation import Explanation
from onnxdtd.methods.entry import Method
from onnxdtd.plan.focus import Asks
from onnxdtd.settings import Model


def explain(
    model: Model,
    x: Any,
    target: Any = None,
    method: Method = "auto",
    engine: Engine = "numpy",
    **options: Any,
) -> Explanation:
    """Explain one batch of a model in one call; the options are those of `Explainer` and of its call."""
    inside: Any = {name: options.pop(name) for name in Asks.__annotations__ if name in options}
    return Explainer(model, method, engine, **options)(x, target, **inside)


def explainer_of(model: Model | Explainer, method: Method, **settings: Any) -> Explainer:
    """An explainer by this method: of the same loaded model, where it is an explainer already, which then also tells
    what a setting of None stands for."""
    stated = {name: value for name, value in settings.items() if value is not None}
    return model.by(method, **stated) if isinstance(model, Explainer) else Explainer(model, method, **stated)
