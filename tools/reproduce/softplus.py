"""Does Softplus in place of ReLU save the expansion? The Taylor terms at the rules' roots, order by order.

    pip install -e .
    python -m tools.reproduce.softplus [--networks 1000] [--seed 0] [--out docs/figures]

In small networks every ReLU becomes Softplus_beta(z) = log(1 + exp(beta z)) / beta. At the root that a rule gives a
neuron, the logit is expanded along the line from the root to the layer's input: value, first, second and third
order, exactly, and what is left over. Writes softplus.json, .md and .png. Seconds.

Source: the argument of Sixt and Landgraf 2022, "A Rigorous Study of the Deep Taylor Decomposition", TMLR.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from onnxdtd.render.colours import BLUE, FAINT, INK, RED
from onnxdtd.theory.root_functions import direction
from tools.reproduce.curves import dress, legend, sheet
from tools.reproduce.experiment import Array, bootstrap, cell, command
from tools.reproduce.mlps import MLPs, draw
from tools.reproduce.roots_outside import NAMES, boxes, points

BETAS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
TERMS = ("value at the root", "first order", "second order", "third order", "remainder")
LEVEL = 1
"""The hidden layer whose neurons are looked at: the one below the logit."""
RULES = ("epsilon", "gamma", "wsquare", "zplus")
COLOURS = dict(zip(TERMS, (INK, BLUE, "#2e8b57", "#d08a00", RED), strict=True))

Jet = tuple[Array, Array, Array, Array]
"""g(0), g'(0), g''(0), g'''(0) of a function g(t) on a line."""


def softplus(z: Array, beta: float) -> Array:
    """log(1 + exp(beta z)) / beta, which is ReLU for infinite beta."""
    return np.asarray(np.logaddexp(0, beta * z) / beta)


def through(jet: Jet, beta: float) -> Jet:
    """The jet of softplus(g), by Faà di Bruno's formula up to third order."""
    g, first, second, third = jet
    s = np.exp(-np.logaddexp(0, -beta * g))
    curve, turn = beta * s * (1 - s), beta**2 * s * (1 - s) * (1 - 2 * s)
    return (
        softplus(g, beta),
        s * first,
        s * second + curve * first**2,
        s * third + 3 * curve * first * second + turn * first**3,
    )


def expand(networks: MLPs, root: Array, x: Array, beta: float) -> Array:
    """(5, N): value, first, second and third order at the roots along x - root, and the remainder, over f(x).

    networks: with one output, one network a root. g(t) = f(root + t (x - root)); f(x) = g(1).
    """
    jet: Jet = (root, x - root, np.zeros_like(x), np.zeros_like(x))
    end = x
    last = len(networks.weights) - 1
    for i, (w, b) in enumerate(zip(networks.weights, networks.biases, strict=True)):
        g, *slopes = (np.einsum("noi,ni->no", w, part) for part in jet)
        jet, end = (g + b, *slopes), np.einsum("noi,ni->no", w, end) + b
        if i < last:
            jet, end = through(jet, beta), softplus(end, beta)
    value, first, second, third = (part[:, 0] for part in jet)
    terms = np.stack([value, first, second / 2, third / 6])
    whole = end[:, 0]
    return np.asarray(np.concatenate([terms, (whole - terms.sum(0))[None]]) / whole)


def activations(networks: MLPs, x: Array, level: int, beta: float) -> Array:
    """The input of a layer, with Softplus everywhere below it."""
    for w, b in zip(networks.weights[:level], networks.biases[:level], strict=True):
        x = softplus(np.einsum("noi,ni->no", w, x) + b, beta)
    return x


def measure(networks: int, seed: int, betas: tuple[float, ...] = BETAS) -> dict[str, Any]:
    """By rule and beta: the median share of f(x) of each term, over the neurons with z > 0 of all networks."""
    rng = np.random.default_rng(seed)
    drawn, x, _ = points(draw(networks, rng), 1, rng)
    high = boxes(drawn)[LEVEL][:, None]
    table: dict[str, Any] = {}
    for rule in RULES:
        table[rule] = {}
        for beta in betas:
            a = activations(drawn, x, LEVEL, beta)
            w, b = drawn.weights[LEVEL], drawn.biases[LEVEL]
            share, offset = direction(rule, a, w, 0.0, high, 0.25)
            v = share * a[:, None] + offset
            z = np.einsum("noi,ni->no", w, a) + b
            own, neurons = np.nonzero(z > 0)
            t = z[own, neurons] / (v * w).sum(2)[own, neurons]
            root = a[own] - t[:, None] * v[own, neurons]
            terms = expand(drawn.above(LEVEL).take(own), root, a[own], beta)
            table[rule][str(beta)] = {
                name: bootstrap(values, own) for name, values in zip(TERMS, np.abs(terms), strict=True)
            }
    return {"seed": seed, "drawn": networks, "networks": len(x), "terms": table}


def page(measured: dict[str, Any]) -> str:
    """The tables in Markdown."""
    parts = []
    for rule, rows in measured["terms"].items():
        lines = [f"| {NAMES[rule]}, beta | {' | '.join(TERMS)} |", "|---" * (1 + len(TERMS)) + "|"]
        lines += [
            f"| {float(beta):g} | {' | '.join(cell(row[term]) for term in TERMS)} |"
            for beta, row in rows.items()
        ]
        parts.append("\n".join(lines))
    return TEXT.format(measured=measured, tables="\n\n".join(parts))


TEXT = """# Softplus in place of ReLU: the Taylor terms at the rules' roots

![terms by beta](softplus.png)

The size of each term over f(x), the explained logit: median over neurons, with 95 % bootstrap intervals
over networks.

{tables}

- **Networks**: as in roots_outside.md, {measured[networks]} random ones, every ReLU replaced by log(1 +
  exp(beta z)) / beta. Neurons: those of the second hidden layer with z > 0.
- **Roots**: the rule's root of the neuron, where its pre-activation is 0. Along the line from there to the
  layer's input f is a function g(t) of one number: value g(0), first order g'(0), second g''(0) / 2, third
  g'''(0) / 6, exactly; the remainder is what these four leave of f(x) = g(1).
- **One neuron alone** gives it by hand: at z = 0 its value is ln 2 / beta, the first order z / 2, the
  second beta z^2 / 8, the third 0. As beta grows the first order stays at a half of what a rule hands down
  and the second grows without end: the series is that of a kink.

**The paper.** Sixt and Landgraf (2022) argue that the theory's way out, smooth activations, brings back the
terms of higher order which ReLU's linear regions were to remove; they show no numbers. Ours agree, and say
how: the gentler the Softplus, the more of f stays at the root, where no input gets it; the sharper, the
larger the second order and the remainder, beyond f itself at beta 100. In between, the first order hands
down a part of f that depends on beta. No beta makes the first order the whole.

    python -m tools.reproduce.softplus --seed {measured[seed]}
"""


def figure(measured: dict[str, Any]) -> Figure:
    """A panel for each rule: the terms by beta, both axes logarithmic."""
    picture, axes = sheet(1, len(RULES), (11.0, 3.6), sharey=True)
    for place, (rule, rows) in zip(axes[0], measured["terms"].items(), strict=True):
        betas = [float(beta) for beta in rows]
        for term, colour in COLOURS.items():
            value, low, high = ([row[term][key] for row in rows.values()] for key in ("value", "low", "high"))
            place.fill_between(betas, low, high, color=colour, alpha=0.15, linewidth=0)
            place.plot(betas, value, color=colour, marker="o", markersize=3.2, linewidth=1.4, label=term)
        dress(place, f"rule {NAMES[rule]}")
        place.axhline(1, color=FAINT, linewidth=0.8, linestyle=":")
        place.set(xscale="log", yscale="log", xlabel="beta")
    axes[0, 0].set_ylabel("|term| / f(x), median")
    legend(picture, axes[0, 0], len(TERMS))
    return picture


if __name__ == "__main__":
    command(__doc__, "softplus", {"networks": 1000, "seed": 0}, measure, page, figure)
