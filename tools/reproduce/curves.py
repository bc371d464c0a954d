"""What the curves by depth share: where they stand, the methods and their colours, and how they are drawn."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import onnxdtd
from onnxdtd.audit.rerun import Rerun
from onnxdtd.render.canvas import DPI
from onnxdtd.render.colours import BLUE, FAINT, INK, RED

Array = npt.NDArray[Any]
ROOT = Path(__file__).parents[2]
MODELS = ROOT / "models"


@dataclasses.dataclass(frozen=True)
class Way:
    """A method as the figures name it: the library's name for it, rules on top of it, and how its line looks."""

    name: str
    method: str
    rules: tuple[Mapping[str, Any], ...] = ()
    colour: str = INK
    marker: str = "o"
    dashed: bool = False


def everywhere(use: str, **parameters: Any) -> tuple[Mapping[str, Any], ...]:
    """One rule for every convolution and dense layer."""
    return tuple({"family": family, "use": use, **parameters} for family in ("convolution", "dense"))


# What is not a convolution or a dense layer keeps the rule of excitation backprop.
BASE = "excitation_backprop"
WAYS = {
    "gradient": Way("gradient", "gradient", (), BLUE, "o"),
    "lrp0": Way("LRP-0", BASE, everywhere("epsilon", epsilon=1e-9), "#3ba3c7", "s", True),
    "gamma": Way("gamma 0.25", BASE, everywhere("gamma"), "#2e8b57", "^"),
    "alpha_beta": Way("alpha2-beta1", BASE, everywhere("alpha_beta"), "#d08a00", "v"),
    "dtd": Way("dtd", "dtd", (), "#7a3fa0", "D", True),
    "zplus": Way("z+", BASE, (), RED, "o"),
    "guided": Way("guided backprop", "guided_backprop", (), "#6b6b6b", "v"),
    "composite": Way("composite", "composite", (), "#d08a00", "^"),
}


def stand(source: str | Path | onnx.ModelProto, way: Way, x: Array) -> Rerun:
    """At all samples of x, each explained for its top class."""
    explainer = onnxdtd.Explainer(source, way.method, rules=list(way.rules), input_range=RANGES.get(source))
    rerun = Rerun.of(explainer, explainer(x[:1]))
    (name,) = rerun.feeds
    rerun = rerun.at({name: x})
    top = rerun.logits.argmax(axis=-1)
    return dataclasses.replace(rerun, mask=np.arange(rerun.logits.shape[-1]) == top[:, None])
