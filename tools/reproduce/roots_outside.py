"""How many roots of Deep Taylor's rules lie outside the linear region that the theory needs them in.

    pip install -e .
    python -m tools.reproduce.roots_outside [--networks 2000] [--trained 30] [--seed 0] [--out docs/figures]

Random and trained ReLU networks (10 inputs, two hidden layers of 10, 2 logits). For each layer, each rule and each
active neuron the root is computed, and the gradient of the explained logit compared on the whole segment from the
layer's input to the root, exactly. Writes roots_outside.json, .md and .png. Seconds.

Source: after Sixt and Landgraf 2022, "A Rigorous Study of the Deep Taylor Decomposition", TMLR.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from onnxdtd.render.canvas import DPI
from onnxdtd.render.colours import BLUE, FAINT, INK, RED
from onnxdtd.theory.root_functions import direction
from tools.paths import FIGURES
from tools.reproduce.mlps import HIGH, Array, MLPs, draw, inputs, leaves, train

NAMES = {"epsilon": "0", "gamma": "gamma 0.25", "wsquare": "w-square", "zplus": "z+", "zbox": "z-box"}
THRESHOLD = 0.1  # of the explained logit
TRIES = 100  # inputs drawn for one network until its top logit is above the threshold
RESAMPLES = 2000


def points(networks: MLPs, count: int, rng: np.random.Generator) -> tuple[MLPs, Array, Any]:
    """`count` inputs for each network whose top logit is above the threshold, and which network each is for.

    The networks come back with that logit alone, one for each input; those without enough inputs drop out.
    """
    owner = np.repeat(np.arange(len(networks.weights[0])), TRIES * count)
    x = inputs((len(owner), networks.weights[0].shape[2]), rng)
    logits = networks.take(owner).forward(x)[-1]
    good = (logits.max(1) > THRESHOLD).reshape(-1, TRIES * count)
    kept = good & (np.cumsum(good, axis=1) <= count) & (good.sum(1) >= count)[:, None]
    chosen = np.flatnonzero(kept)
    return networks.take(owner[chosen]).explaining(logits[chosen].argmax(1)), x[chosen], owner[chosen]


def boxes(networks: MLPs) -> list[Array]:
    """The largest value that each layer's inputs can take, by interval arithmetic from 0 <= x <= HIGH."""
    high = [np.full(networks.weights[0][:, 0].shape, HIGH)]
    for w, b in zip(networks.weights[:-1], networks.biases, strict=False):
        high.append(np.maximum(np.einsum("noi,ni->no", np.maximum(w, 0), high[-1]) + b, 0))
    return high


def outside(networks: MLPs, x: Array, level: int, rule: str) -> tuple[Array, Array, Array]:
    """For every input and neuron of a layer: whether it is active, its root, and whether the root lies outside."""
    a, w, b = networks.forward(x)[level], networks.weights[level], networks.biases[level]
    share, offset = direction(rule, a, w, 0.0, boxes(networks)[level][:, None], 0.25)
    v = share * a[:, None] + offset
    z = np.einsum("noi,ni->no", w, a) + b
    active = z > 0
    t = np.divide(z, (v * w).sum(2), out=np.zeros_like(z), where=active)
    roots = a[:, None] - t[..., None] * v
    rows, neurons = np.nonzero(active)
    found = np.zeros(active.shape, bool)
    above = networks.above(level).take(rows)
    found[rows, neurons] = np.isfinite(leaves(above, a[rows], roots[rows, neurons]))
    return active, roots, found


def shares(networks: MLPs, x: Array, owner: Any, seed: int) -> dict[str, list[dict[str, float]]]:
    """For each rule and layer: the share outside of all active neurons' roots, with a 95 % interval.

    The interval is the percentile bootstrap over networks, since neurons of one network are not independent.
    """
    _, rows = np.unique(owner, return_inverse=True)
    count = int(rows.max()) + 1
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    table: dict[str, list[dict[str, float]]] = {}
    for rule in NAMES:
        table[rule] = []
        for level in range(len(networks.weights)):
            active, _, out = outside(networks, x, level, rule)
            per = [np.bincount(rows, k.sum(1), count) for k in (out & active, active)]
            low, high = np.quantile((draws @ per[0]) / (draws @ per[1]), [0.025, 0.975])
            total, gone = int(per[1].sum()), int(per[0].sum())
            table[rule].append(
                {
                    "outside": gone,
                    "roots": total,
                    "share": gone / total,
                    "low": float(low),
                    "high": float(high),
                }
            )
    return table


def measure(random: int, trained: int, seed: int, steps: int = 1000) -> dict[str, Any]:
    """Both kinds of network: how many there are, and the shares."""
    streams = np.random.default_rng(seed).spawn(2)
    found: dict[str, Any] = {
        "seed": seed,
        "threshold": THRESHOLD,
        "highest_input": HIGH,
        "widths": [10, 10, 10, 2],
    }
    drawn = points(draw(random, streams[0]), 1, streams[0])
    found["random"] = {
        "drawn": random,
        "networks": len(drawn[1]),
        "inputs_each": 1,
        "shares": shares(*drawn, seed),
    }
    networks, accuracy = train(trained, streams[1], steps)
    learnt = points(networks, 20, streams[1])
    found["trained"] = {
        "networks": len(np.unique(learnt[2])), "inputs_each": 20, "shares": shares(*learnt, seed),
        "accuracy": [float(accuracy.min()), float(np.median(accuracy)), float(accuracy.max())],
    }  # fmt: skip
    return found


def page(found: dict[str, Any]) -> str:
    """The table in Markdown."""
    random, trained = found["random"], found["trained"]
    lines = [
        f"| rule | layer | outside, {random['networks']} random networks | outside, {trained['networks']} trained |",
        "|---|---|---|---|",
    ]
    for rule, name in NAMES.items():
        for level, (one, other) in enumerate(
            zip(random["shares"][rule], trained["shares"][rule], strict=True)
        ):
            cells = " | ".join(f"{100 * c['share']:.1f} % [{100 * c['low']:.1f}, {100 * c['high']:.1f}]"
                               for c in (one, other))  # fmt: skip
            lines.append(f"| {name} | {level + 1} | {cells} |")
    return TEXT.format(table="\n".join(lines), found=found, least=found["trained"]["accuracy"][0],
                       median=found["trained"]["accuracy"][1])  # fmt: skip


TEXT = """# Roots outside the linear region

{table}

Share of active neurons whose root, by the rule's search direction, does not lie in the linear region of the layer's
input: somewhere on the segment from the input to the root the gradient of the explained logit changes. In brackets
the 95 % interval, a percentile bootstrap over networks. ![shares](roots_outside.png)

- **Networks**: 10 inputs, two hidden ReLU layers of 10, 2 logits. Random: weights and biases uniform in
  ±1/sqrt(inputs), positive weights times 1.4, biases made -|b|; one input each. Trained: Adam on whether the first
  five inputs hold more energy than the other five, biases kept <= 0, held-out accuracy {least:.3f} at least,
  {median:.3f} in the median; 20 inputs each.
- **Inputs**: |N(0, 1)|, cut at {found[highest_input]}, drawn until the top logit is above {found[threshold]}. Of
  {found[random][drawn]} random networks {found[random][networks]} met one within 100 draws; the others dropped out.
- **Layer 3** is the explained logit itself. It is linear in its input, so its roots cannot be outside.
- **z-box** takes 0 and the largest value that interval arithmetic from the inputs' range allows. In hidden layers
  it is no rule of Deep Taylor Decomposition; it stands here for comparison.
- **Exactly**: the segment is walked from break point to break point of all units above; nothing is sampled.

**The paper.** Sixt and Landgraf (2022) report for such networks, with the rules 0, gamma, w-square and z+, that a
substantial share of the roots lies outside; so do these. Where the figures can differ: the distribution of weights
before the factor 1.4 and the threshold are our choices; gamma is 0.25; inputs are cut; the gradient is compared on
the whole segment, not at the root alone; and the region is that of the one explained logit, not of max(0, logit).

    python -m tools.reproduce.roots_outside --seed {found[seed]}
"""


def figure(found: dict[str, Any]) -> Figure:
    """Bars with intervals: rules side by side, hidden layers in two colours; random above, trained below."""
    sheet = Figure((7.2, 5.4), dpi=DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(sheet)
    for axes, kind in zip(sheet.subplots(2, 1, sharex=True), ("random", "trained"), strict=True):
        for level, colour in enumerate((BLUE, RED)):
            cells = [found[kind]["shares"][rule][level] for rule in NAMES]
            share = np.array([100 * cell["share"] for cell in cells])
            reach = np.abs([[100 * cell[end] for cell in cells] for end in ("low", "high")] - share)
            place = np.arange(len(NAMES)) + 0.36 * level - 0.18
            axes.bar(place, share, 0.34, color=colour, alpha=0.85, label=f"layer {level + 1}")
            axes.errorbar(place, share, reach, fmt="none", ecolor=INK, elinewidth=1, capsize=3)
        axes.set_title(f"{found[kind]['networks']} {kind} networks", loc="left", fontsize=10, color=INK)
        axes.set(ylim=(0, 100), ylabel="roots outside, %")
        axes.set_xticks(range(len(NAMES)), list(NAMES.values()))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color=FAINT, alpha=0.3)
        axes.set_axisbelow(True)
    sheet.axes[0].legend(frameon=False, fontsize=9, ncols=2, loc="upper right", bbox_to_anchor=(1, 1.18))
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", type=int, default=2000)
    parser.add_argument("--trained", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=FIGURES)
    given = parser.parse_args()
    found = measure(given.networks, given.trained, given.seed)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "roots_outside.json").write_text(json.dumps(found, indent=1) + "\n")
    (given.out / "roots_outside.md").write_text(page(found))
    figure(found).savefig(given.out / "roots_outside.png")
    print(page(found).split("\n\n")[1])


if __name__ == "__main__":
    main()
