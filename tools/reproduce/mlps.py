"""Small ReLU networks by the thousand: drawn or trained side by side, and whether a segment leaves their region.

Arrays carry the networks on their first axis: weights (N, out, in), biases (N, out), inputs (N, in).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

WIDTHS = (10, 10, 10, 2)
BOOST = 1.4  # of positive weights
HIGH = 4.0  # of the inputs: |N(0, 1)| is cut there, 6 in 100,000 lie beyond
TINY = 1e-9  # of a segment: what is shorter is a kink that rounding moved


@dataclass(frozen=True)
class MLPs:
    """f(a) = W_n [ ... [W_1 a + b_1]^+ ... ]^+ + b_n for each network; linear: without the brackets."""

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    linear: bool = False

    def forward(self, x: Array) -> list[Array]:
        """Every layer's input, and last the logits."""
        a = [x]
        for i, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
            z = np.einsum("noi,ni->no", w, a[-1]) + b
            a.append(z if self.linear or i == len(self.weights) - 1 else np.maximum(z, 0))
        return a

    def take(self, which: npt.NDArray[np.int64]) -> MLPs:
        """Some of the networks, any of them more than once."""
        return MLPs(tuple(w[which] for w in self.weights), tuple(b[which] for b in self.biases), self.linear)

    def above(self, level: int) -> MLPs:
        """The layers from `level` on."""
        return MLPs(self.weights[level:], self.biases[level:], self.linear)

    def explaining(self, target: npt.NDArray[np.int64]) -> MLPs:
        """With one logit of each network alone."""
        rows = np.arange(len(target))
        last = self.weights[-1][rows, target][:, None], self.biases[-1][rows, target][:, None]
        return MLPs((*self.weights[:-1], last[0]), (*self.biases[:-1], last[1]), self.linear)


def draw(count: int, rng: np.random.Generator, boost: float = BOOST) -> MLPs:
    """W, b ~ U(-1, 1) / sqrt(inputs), positive weights times `boost`, biases -|b|."""
    weights, biases = [], []
    for before, behind in pairwise(WIDTHS):
        w = rng.uniform(-1, 1, (count, behind, before)) / np.sqrt(before)
        weights.append(np.where(w > 0, boost * w, w))
        biases.append(-np.abs(rng.uniform(-1, 1, (count, behind))) / np.sqrt(before))
    return MLPs(tuple(weights), tuple(biases))


def inputs(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """|N(0, 1)|, cut at HIGH."""
    return np.minimum(np.abs(rng.standard_normal(shape)), HIGH)


def classes(x: Array) -> npt.NDArray[np.int64]:
    """The task that networks are trained on: whether the first five inputs hold more energy than the others."""
    return (np.square(x[..., :5]).sum(-1) > np.square(x[..., 5:]).sum(-1)).astype(np.int64)


def train(count: int, rng: np.random.Generator, steps: int, samples: int = 512) -> tuple[MLPs, Array]:
    """Networks trained by Adam on the cross entropy of `classes`, biases kept <= 0; and held-out accuracies."""
    start = draw(count, rng, boost=1.0)
    parameters = [*start.weights, *start.biases]
    moments = [(np.zeros_like(p), np.zeros_like(p)) for p in parameters]
    for step in range(1, steps + 1):
        x = inputs((count, samples, WIDTHS[0]), rng)
        for p, g, (mean, square) in zip(parameters, _slopes(parameters, x, classes(x)), moments, strict=True):
            mean += 0.1 * (g - mean)
            square += 0.001 * (g * g - square)
            p -= 0.01 * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
        for b in parameters[len(WIDTHS) - 1 :]:
            np.minimum(b, 0, out=b)
    layers = len(WIDTHS) - 1
    trained = MLPs(tuple(parameters[:layers]), tuple(parameters[layers:]))
    x = inputs((count, 2000, WIDTHS[0]), rng)
    return trained, np.mean(_pass(parameters, x)[-1].argmax(-1) == classes(x), axis=1)


def _pass(parameters: list[Array], x: Array) -> list[Array]:
    """Activations of many samples per network, (N, samples, width)."""
    layers, a = len(parameters) // 2, [x]
    for i, (w, b) in enumerate(zip(parameters[:layers], parameters[layers:], strict=True)):
        z = a[-1] @ w.swapaxes(1, 2) + b[:, None]
        a.append(z if i == layers - 1 else np.maximum(z, 0))
    return a


def _slopes(parameters: list[Array], x: Array, labels: npt.NDArray[np.int64]) -> list[Array]:
    a, layers = _pass(parameters, x), len(parameters) // 2
    chance = np.exp(a[-1] - a[-1].max(-1, keepdims=True))
    g = (chance / chance.sum(-1, keepdims=True) - np.eye(WIDTHS[-1])[labels]) / x.shape[1]
    weights, biases = [], []
    for i in reversed(range(layers)):
        weights.append(g.swapaxes(1, 2) @ a[i])
        biases.append(g.sum(1))
        g = (g @ parameters[i]) * (a[i] > 0)
    return [*reversed(weights), *reversed(biases)]


def leaves(networks: MLPs, start: Array, end: Array) -> Array:
    """The first t in [0, 1) behind which the gradient on start + t (end - start) is another; infinity if none.

    networks: with one output, one for each segment. The segment is walked from break to break: where the gates
    are fixed every pre-activation is linear in t, and the next break is where the first of them changes sign.
    """
    t, found = np.zeros(len(start)), np.full(len(start), np.inf)
    gates = [np.ones(b.shape, bool) if networks.linear else a > 0
             for a, b in zip(networks.forward(start)[1:], networks.biases[:-1], strict=False)]  # fmt: skip
    reference, active = _gradient(networks, gates), np.ones(len(start), bool)
    while active.any():
        waits = _breaks(networks, gates, start, end - start, t)
        unit = waits.argmin(1)
        until = np.minimum(waits[np.arange(len(t)), unit], 1.0)
        change = np.abs(_gradient(networks, gates) - reference).max(1) > 1e-9 * np.abs(reference).max(1)
        gone = active & change & (until - t > TINY)
        found[gone] = t[gone]
        active &= ~gone & (until < 1)
        flat = np.concatenate(gates, axis=1) if gates else np.zeros((len(t), 0), bool)
        flat[active, unit[active]] ^= True
        gates, t = np.split(flat, np.cumsum([g.shape[1] for g in gates])[:-1], axis=1), until
    return found


def _breaks(networks: MLPs, gates: list[Array], p: Array, s: Array, t: Array) -> Array:
    """Where each unit's pre-activation leaves the side that its gate stands for; infinity where it does not."""
    waits = [np.full((len(t), 1), np.inf)] if networks.linear or not gates else []
    for w, b, gate in zip(networks.weights, networks.biases, [] if networks.linear else gates, strict=False):
        z, dz = np.einsum("noi,ni->no", w, p) + b, np.einsum("noi,ni->no", w, s)
        turns = np.where(gate, dz < 0, dz > 0)
        at = np.divide(-z, dz, out=np.full(z.shape, np.inf), where=turns)
        waits.append(np.maximum(at, t[:, None]))
        p, s = gate * z, gate * dz
    return np.concatenate(waits, axis=1)


def _gradient(networks: MLPs, gates: list[Array]) -> Array:
    g = networks.weights[-1][:, 0]
    for w, gate in zip(reversed(networks.weights[:-1]), reversed(gates), strict=True):
        g = np.einsum("noi,no->ni", w, g * gate)
    return g
