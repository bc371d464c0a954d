"""What the curves by depth share: where they stand, the methods and their colours, and how they are drawn."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

import onnxdtd
from onnxdtd.audit.probe import Probe
from onnxdtd.render.canvas import DPI
from onnxdtd.render.colours import BLUE, FAINT, INK, RED

Array = npt.NDArray[Any]


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


def stand(source: str | Path | onnx.ModelProto, way: Way, x: Array, within: Any = None) -> Probe:
    """At all samples of x, each explained for its top class. within: the input's range, else the model's own."""
    explainer = onnxdtd.Explainer(source, way.method, input_range=within)
    there = {step.op.family for step in explainer.plan().steps}
    if rules := [rule for rule in way.rules if rule["family"] in there]:
        explainer = onnxdtd.Explainer(source, way.method, rules=rules, input_range=within)
    probe = Probe.of(explainer, explainer(x[:1]))
    (name,) = probe.feeds
    probe = probe.at({name: x})
    top = probe.logits.argmax(axis=-1)
    return dataclasses.replace(probe, mask=np.arange(probe.logits.shape[-1]) == top[:, None])


def quartiles(values: npt.ArrayLike) -> list[float]:
    """[first quartile, median, third quartile] of the numbers among the values."""
    array = np.asarray(values, np.float64).ravel()
    return [float(q) for q in np.quantile(array[~np.isnan(array)], [0.25, 0.5, 0.75])]


def sheet(rows: int, columns: int, size: tuple[float, float], **options: Any) -> tuple[Figure, Any]:
    """A white figure and its axes, (rows, columns)."""
    figure = Figure(size, dpi=DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def curve(
    axes: Axes, way: Way, at: Sequence[float], bands: Sequence[Sequence[float]], band: bool = False
) -> None:
    """Medians as a line; band: quartiles around it."""
    low, middle, high = np.array(bands).T
    line: dict[str, Any] = {"color": way.colour, "marker": way.marker, "markersize": 3.6, "linewidth": 1.5}
    if band:
        axes.fill_between(at, low, high, color=way.colour, alpha=0.12, linewidth=0)
    axes.plot(at, middle, label=way.name, linestyle=(0, (4, 2)) if way.dashed else "-", clip_on=False, **line)


def dress(axes: Axes, title: str, along: Literal["x", "y"] = "y") -> None:
    """Title, faint frame, grid across the axis that tells the value."""
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.tick_params(color=FAINT, length=2.5, labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.grid(axis=along, color=FAINT, alpha=0.25)
    axes.set_axisbelow(True)


def legend(figure: Figure, axes: Axes, columns: int) -> None:
    """One legend for all axes, below."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=9)


def save(figure: Figure, path: Path) -> None:
    """As a PNG of 256 colours, which a chart does not need more than."""
    figure.savefig(path)
    with Image.open(path) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
