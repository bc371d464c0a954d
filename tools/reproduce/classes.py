"""Does a heatmap show the class it explains, and what the model has learnt? Class similarity and randomised weights.

    pip install -e .
    python tools/reproduce/classes.py [--digits 32] [--draws 3] [--seed 0] [--out docs/figures]

For the shipped models and each method: how alike the heatmaps of the top class, the runner-up and a random other class
are; and how alike the heatmap stays when layers, from the output down, get random weights. Writes classes.json, .md
and .png. Minutes.

Source: after Adebayo et al. 2018, "Sanity Checks for Saliency Maps", NeurIPS; Sixt, Granz and Landgraf 2020, "When
Explanations Lie", ICML.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from convergence import brief, digits
from curves import MODELS, ROOT, WAYS, Array, Way, curve, dress, legend, quartiles, save, sheet, stand
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import onnxdtd
from onnxdtd.audit import seeds
from onnxdtd.audit.randomisation import redrawn
from onnxdtd.audit.rerun import Rerun
from onnxdtd.audit.similarity import compare
from onnxdtd.inputs import Preprocess
from onnxdtd.render.colours import INK

NAMES = ("gradient", "lrp0", "guided", "composite", "dtd", "zplus")
TITLES = {"mnist_cnn": "MNIST CNN", "mnist_resnet": "MNIST ResNet", "efficientnet_lite0": "EfficientNet-Lite0"}
RIVALS = {"runner_up": "runner-up", "other": "random other class"}
DEPTHS = 8
"""Of more layers, so many are cascaded down to, evenly spread."""


def scene(model: str, count: int) -> Array:
    """The inputs of a model: held-out digits, or the shipped photo."""
    if model.startswith("mnist"):
        return digits(count)
    metadata = onnxdtd.Explainer(MODELS / f"{model}.onnx").graph.metadata
    prepare = Preprocess.from_metadata(metadata)
    assert prepare is not None
    return np.asarray(prepare(MODELS / "chelsea.png"))


def rivals(rerun: Rerun, seed: int) -> dict[str, dict[str, list[float]]]:
    """Quartiles over samples of the similarities between the top class's heatmap and those of two others."""
    others = {
        "runner_up": seeds.runner_up(rerun),
        "other": seeds.other_class(rerun, np.random.default_rng(seed)),
    }
    return {
        name: summed([compare(rerun.original, rerun.relevance(seeds.class_seed(rerun, which)))])
        for name, which in others.items()
    }


def cascade(rerun: Rerun, draws: int) -> dict[str, Any]:
    """The same between the heatmap and that of copies, random from the output down to a layer."""
    layers = rerun.layers
    depths = np.unique(np.linspace(0, len(layers) - 1, min(DEPTHS, len(layers))).round().astype(int))
    found: list[dict[str, list[float]]] = []
    for depth in depths:
        parts = []
        for draw in range(draws):
            constants: dict[str, Array] = {}
            for layer in layers[: depth + 1]:
                constants |= redrawn(rerun, layer, draw)
            parts.append(compare(rerun.original, rerun.on(constants).original))
        found.append(summed(parts))
    names = [layers[d].node.name for d in depths]
    return {
        "of": len(layers),
        "depths": depths.tolist(),
        "layers": names,
        **{measure: [one[measure] for one in found] for measure in found[0]},
    }


def summed(parts: list[dict[str, Array | None]]) -> dict[str, list[float]]:
    """Quartiles over samples and draws of each measure; a heatmap of zeros has nothing in common with any."""
    return {
        name: quartiles(np.nan_to_num(np.concatenate([np.asarray(p[name]) for p in parts])))
        for name in parts[0]
    }


def measure(count: int, draws: int, seed: int, models: tuple[str, ...] = tuple(TITLES)) -> dict[str, Any]:
    """Every model, every method. EfficientNet explains one photo, with one draw."""
    found: dict[str, Any] = {"seed": seed, "models": {}}
    for model in models:
        x, times = scene(model, count), draws if model.startswith("mnist") else 1
        found["models"][model] = {"inputs": len(x), "draws": times, "methods": {}}
        for name in NAMES:
            rerun = stand(MODELS / f"{model}.onnx", WAYS[name], x)
            found["models"][model]["methods"][name] = {
                "classes": rivals(rerun, seed),
                "cascade": cascade(rerun, times),
            }
    return found


def page(found: dict[str, Any]) -> str:
    """The tables in Markdown."""
    likeness = ["| model | method | runner-up | random other | ranks, runner-up | SSIM, runner-up |", "|---" * 6 + "|"]
    cascades = []
    for model, of in found["models"].items():
        first = of["methods"]["gradient"]["cascade"]
        told = [first["depths"].index(d) for d in first["depths"]]
        head = " | ".join(f"{first['depths'][i] + 1}" for i in told)
        cascades += [f"**{TITLES[model]}**, {first['of']} layers, of which random:", ""]
        cascades += [f"| method | {head} |", "|---" * (len(told) + 1) + "|"]
        for name in NAMES:
            one = of["methods"][name]
            up, other = (one["classes"][rival] for rival in RIVALS)
            cells = [up["cosine"], other["cosine"], up["spearman"], up["ssim"]]
            likeness.append(
                f"| {TITLES[model]} | {WAYS[name].name} | {' | '.join(f'{c[1]:.2f}' for c in cells)} |"
            )
            medians = " | ".join(f"{one['cascade']['cosine'][i][1]:.2f}" for i in told)
            cascades.append(f"| {WAYS[name].name} | {medians} |")
        cascades.append("")
    counts = {f"{model}_inputs": of["inputs"] for model, of in found["models"].items()}
    return TEXT.format(
        likeness="\n".join(likeness), cascades="\n".join(cascades).rstrip(), found=found, counts=counts
    )


TEXT = """# Class similarity and randomised weights

![similarity](classes.png)

## Classes

{likeness}

## Random layers

{cascades}
"""


def dots(axes: Axes, of: dict[str, Any]) -> None:
    """One row a method: the top class against the runner-up (full) and a random other (open)."""
    for place, name in enumerate(reversed(NAMES)):
        way, alike = WAYS[name], of["methods"][name]["classes"]
        for shift, (rival, filled) in zip((0.13, -0.13), (("runner_up", True), ("other", False)), strict=True):
            low, middle, high = alike[rival]["cosine"]
            style: dict[str, Any] = {"color": way.colour, "markersize": 6, "elinewidth": 1.3}
            axes.errorbar(
                [middle], [place + shift], xerr=[[middle - low], [high - middle]], fmt="o",
                mfc=way.colour if filled else "white", **style,
            )  # fmt: skip


def figure(found: dict[str, Any]) -> Figure:
    """Models side by side: random layers above, classes below."""
    columns = len(found["models"])
    drawn, axes = sheet(2, columns, (3.7 * columns, 6.6), sharey="row", height_ratios=(5, 4))
    for column, (model, of) in enumerate(found["models"].items()):
        above, below = axes[:, column]
        for name in NAMES:
            one = of["methods"][name]["cascade"]
            curve(above, WAYS[name], range(len(one["depths"])), one["cosine"])
        first = of["methods"]["gradient"]["cascade"]
        dress(above, TITLES[model], range(len(first["depths"])), [f"{d + 1}" for d in first["depths"]])
        above.tick_params(axis="x", labelrotation=0, labelsize=8)
        above.set_xlabel(f"random layers, from the output (of {first['of']})", fontsize=8.5)
        dots(below, of)
        below.set_xlabel("cosine between classes", fontsize=8.5)
    drawn.canvas.draw()
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--digits", type=int, default=32)
    parser.add_argument("--draws", type=int, default=3, help="of random weights, for the MNIST models")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "figures")
    given = parser.parse_args()
    found = measure(given.digits, given.draws, given.seed)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "classes.json").write_text(json.dumps(found, indent=1) + "\n")
    (given.out / "classes.md").write_text(page(found))
    save(figure(found), given.out / "classes.png")
    print(page(found))


if __name__ == "__main__":
    main()
