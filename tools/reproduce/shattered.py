"""Do gradients of deep networks keep their pattern over a small step, and do relevances? By depth, by step.

    pip install -e .
    python -m tools.reproduce.shattered [--networks 20] [--each 3] [--seed 0] [--out docs/figures]

The gradient at x is compared with that a step of a thousandth to a tenth of |x| away: in random ReLU networks of 1 to
64 layers, plain and residual, beside what infinitely wide ones would do; and in the shipped networks, beside other
methods. Writes shattered.json, .md and .png. Three minutes.

Source: the argument of Sixt and Landgraf 2022, "A Rigorous Study of the Deep Taylor Decomposition", TMLR; after
Balduzzi et al. 2017, "The Shattered Gradients Problem", ICML.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import onnxdtd
from onnxdtd.render.colours import BLUE, FAINT, INK, RED
from tools.reproduce.curves import dress, legend, sheet
from tools.reproduce.experiment import Array, bootstrap, cell, command, subject

DEPTHS = (1, 2, 4, 8, 16, 32, 64)
STEPS = (0.001, 0.01, 0.1)
"""Of the input's norm."""
INPUTS, WIDTH, LINES = 64, 200, 10
KINDS = ("plain", "residual")
METHODS = ("gradient", "gradient_x_input", "epsilon_plus", "dtd", "auto")
SHIPPED = ("mnist_cnn", "mnist_resnet", "efficientnet_lite0")
COLOURS = dict(zip(STEPS, ("#2e8b57", BLUE, RED), strict=True))


def slopes(weights: list[Array], readout: Array, x: Array, residual: bool) -> Array:
    """df/dx of f = v . relu(h_L), h_0 = W_0 x, at all points x (points, inputs).

    Plain: h_l = W_l relu(h_{l-1}). Residual: h_l = (h_{l-1} + W_l relu(h_{l-1}) / sqrt(l)), the branch as large as
    one of the l terms that h_{l-1} adds up, as batch normalisation makes it.
    """
    h, gates = x @ weights[0].T, []
    for level, w in enumerate(weights[1:], start=1):
        gates.append(h > 0)
        branch = np.where(gates[-1], h, 0) @ w.T
        h = h + branch / np.sqrt(level) if residual else branch
    g = np.where(h > 0, readout, 0.0)
    for level in range(len(weights) - 1, 0, -1):
        through = np.where(gates[level - 1], g @ weights[level], 0)
        g = g + through / np.sqrt(level) if residual else through
    return np.asarray(g @ weights[0])


def expected(step: float, depth: int, residual: bool) -> float:
    """The cosine for infinite width. An angle a becomes arccos((sin a + (pi - a) cos a) / pi) behind a ReLU layer,
    and its gates agree on 1 - a / pi (Cho and Saul 2009)."""
    angle, alike = np.arctan(step), 1.0
    for level in range(1, depth):
        agree = 1 - angle / np.pi
        cosine = (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / np.pi
        if residual:
            cosine = (np.cos(angle) + cosine / level) / (1 + 1 / level)
            agree = (1 + agree / level) / (1 + 1 / level)
        alike *= agree
        angle = np.arccos(np.clip(cosine, -1, 1))
    return float(alike * (1 - angle / np.pi))


def cosines(a: Array, b: Array) -> Array:
    """Of every row; nan where one of the two is zero."""
    a, b = (np.asarray(part, np.float64).reshape(len(part), -1) for part in (a, b))
    size = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.divide((a * b).sum(1), size, out=np.full(len(a), np.nan), where=size > 0)


def stepped(x: Array, step: float, rng: np.random.Generator) -> Array:
    """Every row moved by step |x| in a random direction at right angles to it."""
    flat = x.reshape(len(x), -1).astype(np.float64)
    way = rng.standard_normal(flat.shape)
    way -= flat * ((way * flat).sum(1) / (flat * flat).sum(1))[:, None]
    way *= step * np.linalg.norm(flat, axis=1, keepdims=True) / np.linalg.norm(way, axis=1, keepdims=True)
    return (flat + way).reshape(x.shape).astype(x.dtype)


def drawn(networks: int, seed: int) -> dict[str, Any]:
    """Random networks: by kind, depth and step the mean cosine over lines and networks, and what is expected."""
    table: dict[str, Any] = {}
    for kind in KINDS:
        rows = table[kind] = {}
        for depth in DEPTHS:
            rng = np.random.default_rng([seed, depth])
            alike: dict[float, list[Array]] = {step: [] for step in STEPS}
            for _ in range(networks):
                shapes = [(WIDTH, INPUTS), *[(WIDTH, WIDTH)] * (depth - 1)]
                weights = [rng.standard_normal(s) * np.sqrt(2 / s[1]) for s in shapes]
                readout, x = rng.standard_normal(WIDTH), rng.standard_normal((LINES, INPUTS))
                here = slopes(weights, readout, x, kind == "residual")
                for step in STEPS:
                    there = slopes(weights, readout, stepped(x, step, rng), kind == "residual")
                    alike[step].append(cosines(here, there))
            owners = np.repeat(np.arange(networks), LINES)
            rows[str(depth)] = {
                str(step): bootstrap(np.concatenate(alike[step]), owners, "mean")
                | {"expected": expected(step, depth, kind == "residual")}
                for step in STEPS
            }
    return table


def shipped(path: Path, x: Array, within: tuple[float, float], seed: int) -> dict[str, Any]:
    """A trained network: by method and step the median cosine between the maps at x and a step away."""
    explainer = onnxdtd.Explainer(path, "gradient", input_range=within)
    table: dict[str, Any] = {}
    first = explainer(x)
    top = [indices[0] for indices in first.target]
    for method in METHODS:
        by = explainer.by(method)
        (here,) = by(x, target=top).relevance.values()
        table[method] = {}
        for step in STEPS:
            moved = np.clip(stepped(x, step, np.random.default_rng(seed)), *within).astype(x.dtype)
            (there,) = by(moved, target=top).relevance.values()
            table[method][str(step)] = bootstrap(cosines(here, there))
    return table


def measure(networks: int, each: int, seed: int, names: tuple[str, ...] = SHIPPED) -> dict[str, Any]:
    """Both parts."""
    return {
        "seed": seed, "networks": networks, "lines": LINES, "digits": 10 * each,
        "drawn": drawn(networks, seed), "shipped": {name: shipped(*subject(name, each), seed) for name in names},
    }  # fmt: skip


def beside(row: dict[str, float]) -> str:
    """What was measured, and what is expected."""
    return f"{cell(row)}, {row['expected']:.3f}"


def page(measured: dict[str, Any]) -> str:
    """The tables in Markdown."""
    lines = [f"| layers | {' | '.join(f'{kind}, {step:g}' for kind in KINDS for step in STEPS)} |"]
    lines.append("|---" * (1 + len(KINDS) * len(STEPS)) + "|")
    for depth in DEPTHS:
        cells = [measured["drawn"][kind][str(depth)][str(step)] for kind in KINDS for step in STEPS]
        lines.append(f"| {depth} | {' | '.join(beside(c) for c in cells)} |")
    rows = [f"| network | method | {' | '.join(f'step {step:g}' for step in STEPS)} |", "|---" * 5 + "|"]
    for name, table in measured["shipped"].items():
        for method, cells in table.items():
            rows.append(f"| {name} | {method} | {' | '.join(cell(cells[str(step)]) for step in STEPS)} |")
    return TEXT.format(measured=measured, drawn="\n".join(lines), shipped="\n".join(rows))


TEXT = """# Shattered gradients

![cosine of gradients over a step](shattered.png)

The cosine between the gradient at x and that a small step away. 1: the same pattern; 0: another one
altogether. Behind the comma what networks of infinite width would do; in brackets 95 % intervals, a
bootstrap over networks.

## Random networks, by depth

{drawn}

{measured[networks]} networks of each depth, {measured[lines]} steps each, in random directions at right angles to x.
64 inputs, layers of 200 ReLUs, He-normal weights, no biases. Residual: x + branch, the branch scaled as batch
normalisation would (of equal variance in each block).

## Shipped networks, by method

{shipped}

Medians over {measured[digits]} held-out digits or four crops of the shipped photo, intervals by a bootstrap
over them; the steps are cut at the input's range, the explained class stays that of x.

**The paper.** Sixt and Landgraf (2022) name shattered gradients among the reasons why a Taylor expansion of
the whole network is a poor explanation, after Balduzzi et al. (2017), who report that the correlation of
gradients decays exponentially with depth in plain networks and far more slowly in residual ones. Ours agree
for random networks: the deeper, the sooner the pattern is lost, and residual networks keep it. Where ours
differ: the step is a share of |x| in many dimensions instead of a walk along one; no biases; cosines, not
autocorrelations. That z+ and dtd hardly move is no merit by itself: the map that never changes is the
steadiest (see convergence.md).

    python -m tools.reproduce.shattered --seed {measured[seed]}
"""


def figure(measured: dict[str, Any]) -> Figure:
    """Depth on the left, by step; the shipped networks on the right, by method."""
    picture, axes = sheet(1, 2, (10.0, 4.4), width_ratios=(3, 2))
    depths, shown = axes[0]
    for step, colour in COLOURS.items():
        for kind, line in (("plain", "-"), ("residual", "--")):
            cells = [measured["drawn"][kind][str(depth)][str(step)] for depth in DEPTHS]
            value, low, high, ideal = ([c[k] for c in cells] for k in ("value", "low", "high", "expected"))
            depths.fill_between(DEPTHS, low, high, color=colour, alpha=0.15, linewidth=0)
            depths.plot(
                DEPTHS, value, line, color=colour, marker="o", markersize=3.6, label=f"{kind}, {step:g}"
            )
            depths.plot(DEPTHS, ideal, ":", color=INK, linewidth=0.8)
    dress(depths, "random ReLU networks (dotted: infinite width)")
    depths.set_xscale("log", base=2)
    depths.set_xticks(DEPTHS, [str(depth) for depth in DEPTHS])
    depths.set(xlabel="layers", ylabel="cosine of the gradients", ylim=(-0.03, 1.03))
    legend(picture, depths, 3)
    step = str(STEPS[1])
    width = 0.8 / len(measured["shipped"])
    for place, (name, table) in enumerate(measured["shipped"].items()):
        cells = [table[method][step] for method in METHODS]
        value = np.array([c["value"] for c in cells])
        reach = np.abs([[c[end] for c in cells] for end in ("low", "high")] - value)
        at = np.arange(len(METHODS)) + width * (place - 1)
        colour = (BLUE, RED, "#2e8b57")[place]
        shown.bar(at, value, 0.9 * width, color=colour, alpha=0.85, label=name)
        shown.errorbar(at, value, reach, fmt="none", ecolor=INK, elinewidth=0.9, capsize=2)
    dress(shown, f"shipped networks, step {step} of |x|")
    shown.set_xticks(range(len(METHODS)), METHODS, rotation=20, ha="right", rotation_mode="anchor")
    shown.set(ylim=(0, 1.03), ylabel="cosine of the maps")
    shown.legend(facecolor="white", framealpha=1, edgecolor=FAINT, fontsize=8, loc="lower right")
    return picture


if __name__ == "__main__":
    command(__doc__, "shattered", {"networks": 20, "each": 3, "seed": 0}, measure, page, figure)
