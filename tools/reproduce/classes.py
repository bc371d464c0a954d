"""Does a heatmap show the class it explains, and what the model has learnt? Class similarity and randomised weights.

    pip install -e .
    python -m tools.reproduce.classes [--digits 32] [--draws 3] [--seed 0] [--out docs/figures]

For the shipped models and each method: how alike the heatmaps of the top class, the runner-up and a random other
class are; and how alike the heatmap stays when layers, from the output down, get random weights. Writes
classes.json, .md and .png. Minutes.

Source: after Adebayo et al. 2018, "Sanity Checks for Saliency Maps", NeurIPS; Sixt, Granz and Landgraf 2020, "When
Explanations Lie", ICML.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import onnxdtd
from onnxdtd.audit import seeds
from onnxdtd.audit.probe import Probe
from onnxdtd.audit.randomisation import redrawn
from onnxdtd.audit.similarity import compare
from onnxdtd.inputs import Preprocess
from onnxdtd.render.colours import FAINT, INK
from tools.paths import FIGURES, MODELS
from tools.reproduce.convergence import digits
from tools.reproduce.curves import WAYS, Array, curve, dress, legend, quartiles, save, sheet, stand

NAMES = ("gradient", "lrp0", "guided", "composite", "dtd", "zplus")
TITLES = {
    "mnist_cnn": "MNIST CNN",
    "mnist_resnet": "MNIST ResNet",
    "efficientnet_lite0": "EfficientNet-Lite0",
}
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


def rivals(probe: Probe, seed: int) -> dict[str, dict[str, list[float]]]:
    """Quartiles over samples of the similarities between the top class's heatmap and those of two others."""
    others = {
        "runner_up": seeds.runner_up(probe),
        "other": seeds.other_class(probe, np.random.default_rng(seed)),
    }
    return {
        name: summed(
            [compare(probe.original, probe.relevance(seeds.class_seed(probe, which)), probe.samples)]
        )
        for name, which in others.items()
    }


def cascade(probe: Probe, draws: int) -> dict[str, Any]:
    """The same between the heatmap and that of copies, random from the output down to a layer."""
    layers = probe.layers
    depths = np.unique(np.linspace(0, len(layers) - 1, min(DEPTHS, len(layers))).round().astype(int))
    found: list[dict[str, list[float]]] = []
    for depth in depths:
        parts = []
        for draw in range(draws):
            constants: dict[str, Array] = {}
            for layer in layers[: depth + 1]:
                constants |= redrawn(probe, layer, draw)
            parts.append(compare(probe.original, probe.on(constants).original, probe.samples))
        found.append(summed(parts))
    names = [layers[d].node.name for d in depths]
    return {
        "of": len(layers),
        "depths": depths.tolist(),
        "layers": names,
        **{measure: [one[measure] for one in found] for measure in found[0]},
    }


def summed(parts: list[dict[str, Array | None]]) -> dict[str, list[float]]:
    """Quartiles over samples and draws of each measure that applies; a heatmap of zeros is like no other."""
    return {
        name: quartiles(np.nan_to_num(np.concatenate([np.asarray(part[name]) for part in parts])))
        for name, first in parts[0].items()
        if first is not None
    }


def measure(count: int, draws: int, seed: int, models: tuple[str, ...] = tuple(TITLES)) -> dict[str, Any]:
    """Every model, every method."""
    found: dict[str, Any] = {"seed": seed, "models": {}}
    for model in models:
        x = scene(model, count)
        found["models"][model] = {"inputs": len(x), "draws": draws, "methods": {}}
        for name in NAMES:
            probe = stand(MODELS / f"{model}.onnx", WAYS[name], x)
            found["models"][model]["methods"][name] = {
                "classes": rivals(probe, seed),
                "cascade": cascade(probe, draws),
            }
    return found


def page(found: dict[str, Any]) -> str:
    """The tables in Markdown."""
    likeness = [
        "| model | method | runner-up | random other | ranks, runner-up | SSIM, runner-up |",
        "|---" * 6 + "|",
    ]
    cascades = []
    for model, of in found["models"].items():
        first = of["methods"]["gradient"]["cascade"]
        head = " | ".join(f"{depth + 1}" for depth in first["depths"])
        cascades += [f"**{TITLES[model]}**, {first['of']} layers, of which random:", ""]
        cascades += [f"| method | {head} |", "|---" * (len(first["depths"]) + 1) + "|"]
        for name in NAMES:
            one = of["methods"][name]
            up, other = (one["classes"][rival] for rival in RIVALS)
            cells = [up["cosine"], other["cosine"], up["spearman"], up["ssim"]]
            likeness.append(
                f"| {TITLES[model]} | {WAYS[name].name} | {' | '.join(f'{c[1]:.2f}' for c in cells)} |"
            )
            medians = " | ".join(f"{middle:.2f}" for _, middle, _ in one["cascade"]["cosine"])
            cascades.append(f"| {WAYS[name].name} | {medians} |")
        cascades.append("")
    mnist = found["models"]["mnist_cnn"]["inputs"]
    return TEXT.format(
        likeness="\n".join(likeness), cascades="\n".join(cascades).rstrip(), found=found, mnist=mnist
    )


TEXT = """# Class similarity and randomised weights

![similarity by method and by depth](classes.png)

## How alike are the heatmaps of two classes?

{likeness}

Median cosine between the heatmap of the top class and that of another class, each for one unit of relevance; last,
the same pair by rank correlation (Spearman) and by structural similarity (SSIM). EfficientNet's runner-up is close
in meaning (Egyptian cat against tiger cat), so a method may rightly call the two alike; the random class is the
test.

## How alike does the heatmap stay when layers get random weights?

{cascades}

Median cosine with the heatmap of the model as it is. All layers from the output down to the given number are drawn
anew from a normal distribution with each tensor's own mean and standard deviation; biases too, batch normalisation
is folded into its layer. The class explained stays the same. Rank correlation and SSIM are in classes.json.

- **Inputs**: {mnist} held-out digits for each MNIST model, one photo for EfficientNet-Lite0, so that its figures
  are those of a single case; {found[models][mnist_cnn][draws]} draws of the weights each. A swing of a tenth or
  more between depths of EfficientNet is that of its draws.
- **Sign**: one unit of relevance at a class with a negative logit is shared as evidence *against* it, so LRP-0 and
  composite can be similar (or opposite) where the gradient is not.
- **z+** is excitation backprop: z+ at every convolution and dense layer. **LRP-0** is epsilon with 1e-9.
  **composite** is this library's choice for deep networks.
- Cosines are signed. Heatmaps that are mostly positive have something in common whatever they show, which is part
  of what is left of z+ and dtd when all layers are random.

**The papers.** Adebayo et al. (2018) find that gradients change once the upper layers are random, while guided
backprop hardly does; Nie et al. (2018) that guided backprop shows the input rather than the class. Sixt, Granz and
Landgraf (2020) find the same blindness to the upper layers in rules that keep positive weights only. These figures
agree. Where they differ: the papers use large ImageNet networks and many photos, initialise the weights anew rather
than by each tensor's own mean and deviation, and compare SSIM and ranks, of absolute values as well.

    python -m tools.reproduce.classes --seed {found[seed]}
"""


def dots(axes: Axes, of: dict[str, Any]) -> None:
    """One row a method: the top class against the runner-up (full) and a random other (open), with quartiles."""
    for place, name in enumerate(reversed(NAMES)):
        way, alike = WAYS[name], of["methods"][name]["classes"]
        for shift, (rival, filled) in zip(
            (0.13, -0.13), (("runner_up", True), ("other", False)), strict=True
        ):
            low, middle, high = alike[rival]["cosine"]
            style: dict[str, Any] = {"color": way.colour, "markersize": 6, "elinewidth": 1.3}
            axes.errorbar(
                [middle], [place + shift], xerr=[[middle - low], [high - middle]], fmt="o",
                mfc=way.colour if filled else "white", clip_on=False, **style,
            )  # fmt: skip
    dress(axes, "top class against another", along="x")
    axes.axvline(0, color=FAINT, linewidth=0.8)
    axes.set(xlim=(-1.03, 1.03), ylim=(-0.6, len(NAMES) - 0.4), xticks=(-1, -0.5, 0, 0.5, 1))
    axes.set_yticks(range(len(NAMES)), [WAYS[name].name for name in reversed(NAMES)], fontsize=9, color=INK)
    axes.set_xlabel("cosine (full: runner-up, open: random other)", fontsize=8)


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
        dress(above, f"{TITLES[model]}: random layers")
        above.axhline(0, color=FAINT, linewidth=0.8)
        above.set_xticks(range(len(first["depths"])), [f"{depth + 1}" for depth in first["depths"]])
        above.set_xlabel(f"how many of {first['of']} are random, from the output", fontsize=8)
        dots(below, of)
    reached = [
        q[1]
        for of in found["models"].values()
        for one in of["methods"].values()
        for q in one["cascade"]["cosine"]
    ]
    axes[0, 0].set(ylim=(min(-0.1, min(reached) - 0.05), 1.03))
    axes[0, 0].set_ylabel("cosine with the original heatmap", fontsize=9)
    legend(drawn, axes[0, 0], len(NAMES))
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--digits", type=int, default=32)
    parser.add_argument("--draws", type=int, default=3, help="of random weights")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=FIGURES)
    given = parser.parse_args()
    found = measure(given.digits, given.draws, given.seed)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "classes.json").write_text(json.dumps(found, indent=1) + "\n")
    (given.out / "classes.md").write_text(page(found))
    save(figure(found), given.out / "classes.png")
    print(page(found))


if __name__ == "__main__":
    main()
