"""Options that always go together: a command has one parameter for all of them, and gets them as a dict."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from onnxdtd.cli import options, texts
from onnxdtd.cli.signature import Command, option, parameters_of, shown_with


@dataclass(frozen=True)
class Group:
    """options: by name, the annotation and the default. arrange: makes of their values what the command gets."""

    options: Mapping[str, tuple[Any, Any]]
    arrange: Callable[[dict[str, Any]], dict[str, Any]] = dict


def _explainer(values: dict[str, Any]) -> dict[str, Any]:
    """By the names that explainers have for them."""
    values["providers"] = values.pop("provider")
    return values | {"fixed": values["fixed"] or (), "mask": texts.masks_of(values["mask"])}


# How the model is read, whatever is asked of it.
READING: dict[str, tuple[Any, Any]] = {
    "input_range": (options.InputRange, None), "fixed": (options.Fixed, None), "mask": (texts.Mask, None),
    "positions": (texts.Positions, "absorb"), "max_steps": (options.MaxSteps, None),
    "provider": (options.Provider, None),
}  # fmt: skip
GROUPS = {
    # How an image is prepared, and names, since every command that takes an input takes all of these.
    "image": Group(
        {
            "labels": (options.Labels, None), "features": (options.Features, None),
            "preset": (options.Preset, None), "color": (options.Color, None), "resize": (options.Resize, None),
            "crop": (options.Crop, None), "interpolation": (options.Interpolation, None),
            "scale": (options.Scale, None), "mean": (options.Mean, None), "std": (options.Std, None),
            "layout": (options.Layout, None),
        }
    ),
    "reading": Group(READING, _explainer),
    # And how its relevance walks.
    "explainer": Group(
        {
            "rules": (options.Rules, None), "bias": (options.Bias, None),
            "background": (options.Background, None), **READING,
        },
        _explainer,
    ),
}  # fmt: skip
"""By the name of the parameter that stands for all of a group."""


def grouped(command: Command) -> Command:
    """Give a command the options of every group of which it has the parameter."""
    own = parameters_of(command)
    groups = {p.name: GROUPS[p.name] for p in own if p.name in GROUPS}
    parameters = []
    for parameter in own:
        group = groups.get(parameter.name)
        parameters += [option(name, *kind) for name, kind in group.options.items()] if group else [parameter]

    @functools.wraps(command)
    def call(**arguments: Any) -> str:
        for name, group in groups.items():
            arguments[name] = group.arrange({option: arguments.pop(option) for option in group.options})
        return command(**arguments)

    return shown_with(parameters, call)
