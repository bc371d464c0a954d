"""Is the nearest root of a logit an adversarial example, and does a search find one inside the domain at all?

    pip install -e .
    python -m tools.reproduce.adversarial_roots [--each 2] [--seed 0] [--out docs/figures]

For digits and crops of a photo the nearest zero of the top logit is searched inside the input's range, and compared
with steps of the same length in random directions and with the nearest picture of another class. Writes
adversarial_roots.json, .md and .png. Eight minutes.

Source: the argument of Sixt and Landgraf 2022, "A Rigorous Study of the Deep Taylor Decomposition", TMLR; the search
is that of the method taylor, after Montavon et al. 2017.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import onnxdtd
from onnxdtd.audit.finding import interval
from onnxdtd.passes.passes import Passes
from onnxdtd.passes.search import nearest_root
from onnxdtd.render.colours import INK
from tools.reproduce.curves import sheet
from tools.reproduce.experiment import PICTURES, Array, bootstrap, cell, command, subject
from tools.reproduce.shattered import cosines

NETWORKS = ("mnist_cnn", "mnist_cnn_nonpositive_bias", "mnist_resnet", "efficientnet_lite0")
STEPS, RESTARTS, TOLERANCE, DRAWS = 25, 4, 1e-3, 20
SHOWN = 2
"""Pictures of each network in the figure."""
COLUMNS = {
    "length": ("step over the norm of x", "{:.3f}"),
    "step": ("step, 255ths", "{:.1f}"),
    "neighbour": ("over nearest other class", "{:.2f}"),
    "random": ("f left by a random step", "{:.2f}"),
    "gradient": ("cosine of gradients", "{:.2f}"),
}


def norms(difference: Array) -> Array:
    """The length of every row."""
    return np.asarray(np.linalg.norm(difference.reshape(len(difference), -1), axis=1))


def neighbours(x: Array, classes: Array) -> Array:
    """The distance of each row to the nearest row of another class; nan where there is none."""
    nearest = np.full(len(x), np.nan)
    for n, one in enumerate(x):
        others = x[classes != classes[n]]
        if len(others):
            nearest[n] = norms(others - one).min()
    return nearest


def random_steps(passes: Passes, length: Array, seed: int) -> Array:
    """What is left of f, as a part of it, after a step of each row's length in a random direction, cut at the range:
    the mean over DRAWS directions, (N,)."""
    rng, left = np.random.default_rng(seed), np.zeros(passes.count)
    for _ in range(DRAWS):
        way = rng.standard_normal(passes.x.shape)
        way *= (length / norms(way))[:, None]
        left += passes.values(np.clip(passes.x + way, passes.low, passes.high), passes.all) / passes.value
    return left / DRAWS


def network(
    path: Path, x: Array, within: tuple[float, float], seed: int
) -> tuple[dict[str, Any], list[tuple[Array, Array]]]:
    """One network: how often a root was found, and how it lies; and some inputs with their roots.

    Inputs whose top logit is not positive have nothing to explain and are left out.
    """
    explainer = onnxdtd.Explainer(path, "gradient", input_range=within)
    x = x[np.asarray(explainer(x).target_value) > 0]
    passes = Passes(explainer, x, None)
    nearest = nearest_root(passes, passes.all, steps=STEPS, restarts=RESTARTS, seed=seed, tolerance=TOLERANCE)
    root, found = nearest.point, nearest.is_root
    length = norms(root - passes.x)
    slopes = [passes.gradients(point, passes.all)[1] for point in (passes.x, nearest.before)]
    classes = [
        explainer.activations(passes.split(point), passes.plan.target)[passes.plan.target].argmax(1)
        for point in (passes.x, root)
    ]
    measures = {
        "length": length / norms(passes.x),
        "step": 255 * length / (np.sqrt(passes.x.shape[1]) * (passes.high - passes.low).mean(1)),
        "neighbour": length / neighbours(passes.x, classes[0]),
        "random": random_steps(passes, length, seed),
        "gradient": cosines(*slopes),
    }
    shown = np.flatnonzero(found)[:: max(1, found.sum() // SHOWN)][:SHOWN]
    row = {
        "inputs": len(x),
        "found": int(found.sum()),
        "found_interval": interval(int(found.sum()), len(x)),
        "another_class": int((found & (classes[0] != classes[1])).sum()),
        "measures": {
            key: bootstrap(values[found])
            for key, values in measures.items()
            if np.isfinite(values[found]).any()
        },
    }
    return row, [(x[n], root[n].reshape(x[n].shape)) for n in shown]


def measure(each: int, seed: int, names: tuple[str, ...] = NETWORKS) -> dict[str, Any]:
    """Every network."""
    parts = {name: network(*subject(name, each), seed) for name in names}
    return {
        "seed": seed, "steps": STEPS, "restarts": RESTARTS, "draws": DRAWS, "digits": 10 * each,
        "networks": {name: row for name, (row, _) in parts.items()},
        PICTURES: {name: some for name, (_, some) in parts.items()},
    }  # fmt: skip


def page(measured: dict[str, Any]) -> str:
    """The table in Markdown."""
    head = ("network", "root found", "class changes", *(words for words, _ in COLUMNS.values()))
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, row in measured["networks"].items():
        low, high = row["found_interval"]
        cells = [f"{row['found']} of {row['inputs']} [{low:.2f}, {high:.2f}]"]
        cells.append(f"{row['another_class']} of {row['found']}")
        for key, (_, form) in COLUMNS.items():
            cells.append(cell(row["measures"][key], form) if key in row["measures"] else "–")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return TEXT.format(measured=measured, table="\n".join(lines))


TEXT = """# Are the nearest roots adversarial examples?

{table}

Medians over the inputs with a root, with 95 % bootstrap intervals; shares with Wilson's.
![roots](adversarial_roots.png)

- **Inputs**: {measured[digits]} held-out digits; four crops of the shipped photo for EfficientNet-Lite0.
- **Search**: the nearest x~ with f(x~) = 0 inside the input's range, f the logit of the top class, by
  {measured[steps]} steps from {measured[restarts]} starts each; found: |f(x~)| at most a thousandth of
  f(x). A search gives an upper bound of the distance, and a root that it does not find may still exist.
- **Step**: root mean square per value, in 255ths of the input's range: grey levels of a picture of 8 bits.
- **Nearest other class**: the step's length over the distance to the nearest of these inputs of another
  class.
- **Random step**: what is left of f after a step of the same length in a random direction, cut at the
  range; the mean of {measured[draws]} directions.
- **Gradient**: the cosine between the gradients at x and just before the root: 1 in one linear region.

**The paper.** Sixt and Landgraf (2022) argue against the Taylor expansion of the whole network at its
nearest root that such a root may be an adversarial example, close to the input and without meaning, and
that it may not exist or not be found; Montavon et al. (2017) give the same as a reason for going layer by
layer. They show no numbers. Ours say that they are adversarial the more, the larger the network: on
EfficientNet-Lite0 half a grey level is enough, a step that leaves nothing to see and a hundredth of the way
to another picture, and a random step of that length changes nothing; on the small networks of digits the
root is a digit with a visible smear, still of the same class to the eye. That a search finds none is rare,
inside the domain too. Where ours go further: the gradient at the root has little in common with that at x,
so that the expansion fails at its root, too.

    python -m tools.reproduce.adversarial_roots --seed {measured[seed]}
"""


def figure(measured: dict[str, Any]) -> Figure:
    """Input, root, and their difference enlarged, for some inputs of every network."""
    rows = [(name, pair) for name, some in measured[PICTURES].items() for pair in some]
    picture, axes = sheet(len(rows), 3, (5.4, 1.75 * len(rows)))
    for place, (name, (x, root)) in zip(axes, rows, strict=True):
        low, high = min(x.min(), root.min()), max(x.max(), root.max())
        size = np.abs(root - x).max()
        parts = [(x - low) / (high - low), (root - low) / (high - low), 0.5 + (root - x) / (2 * size)]
        titles = [name, "its nearest root", f"difference x {(high - low) / (2 * size):.2g}"]
        for one, part, title in zip(place, parts, titles, strict=True):
            one.imshow(part.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            one.set_title(title, fontsize=8, color=INK)
            one.set_axis_off()
    return picture


if __name__ == "__main__":
    command(__doc__, "adversarial_roots", {"each": 2, "seed": 0}, measure, page, figure)
