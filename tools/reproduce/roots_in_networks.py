"""How many roots lie outside the linear region in trained convolutional networks, and how many outside the domain?

    pip install -e .
    python -m tools.reproduce.roots_in_networks [--each 2] [--neurons 24] [--seed 0] [--out docs/figures]

For the shipped networks, layer by layer: the roots that a rule gives a sample of the neurons with relevance, and
whether each lies in the domain of its layer's input and in the linear region of the explained logit, exactly. Writes
roots_in_networks.json, .md and .png. Eight minutes.

Source: after Sixt and Landgraf 2022, "A Rigorous Study of the Deep Taylor Decomposition", TMLR: dense layers there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import onnxdtd
from onnxdtd.plan.target import Target
from onnxdtd.render.colours import RED
from onnxdtd.theory.roots import find_roots
from onnxdtd.theory.scene import Scene
from tools.reproduce.curves import dress, everywhere, legend, sheet
from tools.reproduce.experiment import Array, bootstrap, cell, command, subject

NETWORKS = ("mnist_cnn", "mnist_cnn_nonpositive_bias", "mnist_resnet", "efficientnet_lite0")
RULES = {
    "0": everywhere("epsilon", epsilon=1e-9),
    "gamma 0.25": everywhere("gamma", gamma=0.25),
    "w-square": everywhere("wsquare"),
    "z+": everywhere("zplus"),
}
COLOURS = dict(zip(RULES, ("#3ba3c7", "#2e8b57", "#d08a00", RED), strict=True))
LAYERS = 6
"""Looked at in a network that has more, evenly spread, the logits left out."""


def layers(explainer: onnxdtd.Explainer) -> list[str]:
    """Convolutions and dense layers, from the input up, without the last, whose region has no end."""
    steps = [s for s in explainer.plan().steps if s.op.family in ("convolution", "dense")]
    names = [step.node.name for step in steps][:-1]
    return [
        names[i]
        for i in np.unique(np.linspace(0, len(names) - 1, min(LAYERS, len(names))).round().astype(int))
    ]


def network(path: Path, x: Array, within: tuple[float, float], neurons: int, seed: int) -> dict[str, Any]:
    """By rule and layer: the share of roots outside the region, and outside the domain."""
    table: dict[str, Any] = {}
    for rule, rules in RULES.items():
        explainer = onnxdtd.Explainer(path, "excitation_backprop", rules=rules, input_range=within)
        plan = explainer.plan()
        rows: dict[str, Any] = {layer: ([], [], []) for layer in layers(explainer)}
        for n in range(len(x)):
            scene = Scene.of(explainer, x[n : n + 1], Target(plan.output, None))
            for layer, (region, domain, owner) in rows.items():
                roots = find_roots(scene, layer, neurons, seed=seed + n)
                region += [root.region is None or root.region.status != "inside" for root in roots]
                domain += [not root.in_domain for root in roots]
                owner += [n] * len(roots)
        table[rule] = {
            layer: {
                kind: bootstrap(np.array(flags, float), owner, "mean")
                for kind, flags in (("region", region), ("domain", domain))
            }
            for layer, (region, domain, owner) in rows.items()
        }
    return {"inputs": len(x), "rules": table}


def measure(each: int, neurons: int, seed: int, names: tuple[str, ...] = NETWORKS) -> dict[str, Any]:
    """Every network."""
    parts = {name: network(*subject(name, each), neurons, seed) for name in names}
    return {"seed": seed, "digits": 10 * each, "neurons": neurons, "networks": parts}


def page(measured: dict[str, Any]) -> str:
    """The tables in Markdown."""
    parts = []
    for name, row in measured["networks"].items():
        for kind, words in (("region", "outside the linear region"), ("domain", "outside the domain")):
            lines = [f"| {name}, {words} | {' | '.join(RULES)} |", "|---" * (1 + len(RULES)) + "|"]
            for layer in next(iter(row["rules"].values())):
                cells = [cell(row["rules"][rule][layer][kind], "{:.1f}", 100) for rule in RULES]
                lines.append(f"| {layer} | {' | '.join(cells)} |")
            parts.append("\n".join(lines))
    return TEXT.format(measured=measured, tables="\n\n".join(parts))


TEXT = """# Roots outside the linear region in trained convolutional networks

![shares by layer](roots_in_networks.png)

Share of roots in percent; in brackets 95 % intervals, a bootstrap over the inputs.

{tables}

- **Inputs**: {measured[digits]} held-out digits; four crops of the shipped photo for EfficientNet-Lite0.
  The explained logit is that of the top class.
- **Neurons**: of each layer up to {measured[neurons]} of those to which the rule brings relevance, drawn
  anew for each input. Only neurons that have a root count. Of more than six layers six are looked at,
  evenly spread; the last dense layer is left out, since nothing stands above it that could switch.
- **Rules**: one for every convolution and dense layer; elsewhere those of excitation backprop.
- **Outside the region**: somewhere on the segment from the layer's input to the root the gradient of the
  logit changes; walked exactly, switch by switch, ReLU6's both kinks and max pooling's winners included.

**The paper.** Sixt and Landgraf (2022) count such roots in dense layers of ten units, where a part lies
inside. In trained convolutional networks nearly none does: below the last layers 95 to 100 % lie outside
with the rules 0, gamma and z+, on every network. The domain is another matter: where all biases are <= 0
every root of z+, gamma and 0 lies in it, as the theory promises; with free biases 0 to 72 % do not. Where
ours differ: convolutions, trained weights, and w-square in hidden layers, which no theory puts there.

    python -m tools.reproduce.roots_in_networks --seed {measured[seed]}
"""


def figure(measured: dict[str, Any]) -> Figure:
    """A panel for each network: shares by layer, from the input up; solid the region, dashed the domain."""
    picture, axes = sheet(1, len(measured["networks"]), (13.0, 4.4), sharey=True)
    for place, (name, row) in zip(axes[0], measured["networks"].items(), strict=True):
        for rule, colour in COLOURS.items():
            cells = row["rules"][rule]
            for kind, line in (("region", "-"), ("domain", ":")):
                value, low, high = (
                    [100 * c[kind][key] for c in cells.values()] for key in ("value", "low", "high")
                )
                at = range(len(cells))
                place.fill_between(at, low, high, color=colour, alpha=0.12, linewidth=0)
                label = rule if kind == "region" else None
                place.plot(
                    at, value, line, color=colour, marker="o", markersize=3.2, linewidth=1.4, label=label
                )
        dress(place, name)
        names = [f"{k}. {layer.split('/')[-1]}" for k, layer in enumerate(cells, start=1)]
        place.set_xticks(
            range(len(names)), names, rotation=38, ha="right", rotation_mode="anchor", fontsize=7
        )
        place.set_ylim(-2, 102)
    axes[0, 0].set_ylabel("outside, % (dotted: the domain)", fontsize=9)
    legend(picture, axes[0, 0], len(RULES))
    return picture


if __name__ == "__main__":
    options = {"each": 2, "neurons": 24, "seed": 0}
    command(__doc__, "roots_in_networks", options, measure, page, figure)
