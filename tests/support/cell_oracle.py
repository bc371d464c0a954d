"""LSTM, GRU and RNN step by step, sample by sample, in float64, as ONNX's text says: (Y, Y_h) and Y_c of an LSTM."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Array = np.ndarray

CURVES: dict[str, Callable[[Array, float, float], Array]] = {
    "Sigmoid": lambda p, a, b: 1 / (1 + np.exp(-p)),
    "Tanh": lambda p, a, b: np.tanh(p),
    "Relu": lambda p, a, b: np.maximum(p, 0),
    "Affine": lambda p, a, b: a * p + b,
    "LeakyRelu": lambda p, a, b: np.where(p > 0, p, a * p),
    "ThresholdedRelu": lambda p, a, b: np.where(p > a, p, 0),
    "ScaledTanh": lambda p, a, b: a * np.tanh(b * p),
    "HardSigmoid": lambda p, a, b: np.clip(a * p + b, 0, 1),
    "Elu": lambda p, a, b: np.where(p > 0, p, a * np.expm1(p)),
    "Softsign": lambda p, a, b: p / (1 + abs(p)),
    "Softplus": lambda p, a, b: np.logaddexp(0, p),
}
NUMBERS = {"Affine": 2, "LeakyRelu": 1, "ThresholdedRelu": 1, "ScaledTanh": 2, "HardSigmoid": 2, "Elu": 1}
USUAL = {4: ["Sigmoid", "Tanh", "Tanh"], 3: ["Sigmoid", "Tanh"], 1: ["Tanh"]}


def _curves(names: list[str], alphas: list[float], betas: list[float]) -> list[Callable[[Array], Array]]:
    """alphas, betas: consumed in order by the curves that have them."""
    a, b = iter(alphas), iter(betas)
    made = []
    for name in names:
        count = NUMBERS.get(name, 0)
        alpha, beta = next(a) if count > 0 else 0.0, next(b) if count > 1 else 0.0
        made.append(lambda p, f=CURVES[name], alpha=alpha, beta=beta: f(p, alpha, beta))
    return made


def _unrolled(step: Callable[..., Any], gates: int, cells: int) -> Callable[..., tuple[Array, ...]]:
    def run(
        x: Array, w: Array, r: Array, b: Array | None = None, lengths: Array | None = None, *more: Array | None,
        hidden_size: int, direction: str = "forward", activations: list[str] | None = None,
        activation_alpha: Any = (), activation_beta: Any = (), clip: float = np.inf, **flags: int,
    ) -> tuple[Array, ...]:  # fmt: skip
        count, (steps, samples, _), n = len(w), x.shape, hidden_size
        states, peepholes = (
            [*more, None, None][:cells],
            ([*more, None, None, None][2] if cells == 2 else None),
        )
        y = np.zeros((steps, count, samples, n))
        last = [np.zeros((count, samples, n)) for _ in range(cells)]
        curves = _curves(activations or USUAL[gates] * count, activation_alpha, activation_beta)
        for d in range(count):
            own = curves[d * len(USUAL[gates]) : (d + 1) * len(USUAL[gates])]
            bias = np.zeros(2 * gates * n) if b is None else b[d]
            for k in range(samples):
                now = tuple(np.zeros(n) if s is None else s[d, k] for s in states)
                for t in _order(
                    steps if lengths is None else int(lengths[k]), direction == "reverse" or d == 1
                ):
                    now = step(x[t, k], now, w[d], r[d], bias, None if peepholes is None else peepholes[d], own,
                               lambda p: np.clip(p, -clip, clip), n, **flags)  # fmt: skip
                    y[t, d, k] = now[0]
                for state, value in zip(last, now, strict=True):
                    state[d, k] = value
        return (y, *last)

    return run


def _order(length: int, backwards: bool) -> Iterator[int]:
    return reversed(range(length)) if backwards else iter(range(length))


def _lstm(x, states, w, r, bias, peepholes, curves, cut, n, input_forget=0):
    (h, c), (f, g, s) = states, curves
    i, o, forget, new = (w @ x + r @ h + bias[: 4 * n] + bias[4 * n :]).reshape(4, n)
    pi, po, pf = np.zeros((3, n)) if peepholes is None else peepholes.reshape(3, n)
    i = f(cut(i + pi * c))
    forget = 1 - i if input_forget else f(cut(forget + pf * c))
    c = forget * c + i * g(cut(new))
    return f(cut(o + po * c)) * s(c), c


def _gru(x, states, w, r, bias, peepholes, curves, cut, n, linear_before_reset=0):
    (h,), (f, g) = states, curves
    (wz, wr, wh), (rz, rr, rh) = w.reshape(3, n, -1), r.reshape(3, n, n)
    bz, br, bh, cz, cr, ch = bias.reshape(6, n)
    z, reset = f(cut(wz @ x + rz @ h + bz + cz)), f(cut(wr @ x + rr @ h + br + cr))
    inner = reset * (rh @ h + ch) if linear_before_reset else rh @ (reset * h) + ch
    return ((1 - z) * g(cut(wh @ x + inner + bh)) + z * h,)


def _rnn(x, states, w, r, bias, peepholes, curves, cut, n):
    return (curves[0](cut(w @ x + r @ states[0] + bias[:n] + bias[n:])),)


CELLS: dict[str, Callable[..., tuple[Array, ...]]] = {
    "LSTM": _unrolled(_lstm, 4, 2),
    "GRU": _unrolled(_gru, 3, 1),
    "RNN": _unrolled(_rnn, 1, 1),
}
