"""Each rule once more, on a dense weight matrix in float64, written from its formula in three to six lines.

W (in, out), b (out,), x (in,), r (out,), c (in, out): the structural connections (1 where there is one).
"""

from __future__ import annotations

import numpy as np


def plus(u):
    return np.maximum(u, 0)


def minus(u):
    return np.minimum(u, 0)


def stab(z, eps):
    return z + eps * np.where(z >= 0, 1.0, -1.0)


def ratio(n, z, eps):
    """n_ij / z_j, where a denominator of exactly zero shares nothing."""
    z = stab(z, eps)
    return np.divide(n, z, out=np.zeros_like(n), where=z != 0)


def zplus_numerators(W, x):
    return plus(x)[:, None] * plus(W) + minus(x)[:, None] * minus(W)


def zminus_numerators(W, x):
    return plus(x)[:, None] * minus(W) + minus(x)[:, None] * plus(W)


def epsilon(W, b, x, r, c, epsilon=1e-6, relative=False, bias="absorb"):
    n = x[:, None] * W
    z = n.sum(0) + (b if bias == "absorb" else 0)
    return ratio(n, z, epsilon * np.abs(z).mean() if relative else epsilon) @ r


def zplus(W, b, x, r, c, epsilon=1e-6, bias="absorb"):
    n = zplus_numerators(W, x)
    return ratio(n, n.sum(0) + (plus(b) if bias == "absorb" else 0), epsilon) @ r


def signed_zplus(W, b, x, r, c, epsilon=0.0, bias="redistribute"):
    z = x @ W + b
    up, down = zplus_numerators(W, x), zminus_numerators(W, x)
    zu = up.sum(0) + (plus(b) if bias == "absorb" else 0)
    zd = down.sum(0) + (minus(b) if bias == "absorb" else 0)
    return ratio(up, zu, epsilon) @ (r * (z > 0)) + ratio(down, zd, epsilon) @ (r * (z < 0))


def alpha_beta(W, b, x, r, c, alpha=2.0, beta=1.0, epsilon=1e-6, bias="absorb"):
    up, down = zplus_numerators(W, x), zminus_numerators(W, x)
    absorb = bias == "absorb"
    positive = ratio(up, up.sum(0) + plus(b) * absorb, epsilon) @ r
    return alpha * positive - beta * (ratio(down, down.sum(0) + minus(b) * absorb, epsilon) @ r)


def gamma_plain(W, b, x, r, c, gamma=0.25, epsilon=1e-6, bias="absorb"):
    n = x[:, None] * (W + gamma * plus(W))
    return ratio(n, n.sum(0) + (b + gamma * plus(b)) * (bias == "absorb"), epsilon) @ r


def gamma(W, b, x, r, c, gamma=0.25, epsilon=1e-6, bias="absorb"):
    z, g, absorb = x @ W + b, gamma, bias == "absorb"
    up = plus(x)[:, None] * (W + g * plus(W)) + minus(x)[:, None] * (W + g * minus(W))
    down = plus(x)[:, None] * (W + g * minus(W)) + minus(x)[:, None] * (W + g * plus(W))
    where_up = ratio(up, up.sum(0) + (b + g * plus(b)) * absorb, epsilon) @ (r * (z > 0))
    return where_up + ratio(down, down.sum(0) + (b + g * minus(b)) * absorb, epsilon) @ (r * (z < 0))


def wsquare(W, b, x, r, c, epsilon=1e-6, bias="absorb"):
    return ratio(W**2, (W**2).sum(0) + b**2 * (bias == "absorb"), epsilon) @ r


def flat(W, b, x, r, c, epsilon=1e-6):
    return ratio(c, c.sum(0), epsilon) @ r


def zbox(W, b, x, r, c, low=0.0, high=1.0, epsilon=1e-6):
    n = x[:, None] * W - np.broadcast_to(low, x.shape)[:, None] * plus(W)
    n = n - np.broadcast_to(high, x.shape)[:, None] * minus(W)
    return ratio(n, n.sum(0), epsilon) @ r


def zplus_shifted(W, b, x, r, c, low=0.0, epsilon=1e-6):
    n = (x - low)[:, None] * plus(W)
    return ratio(n, n.sum(0), epsilon) @ r


def zminus_shifted(W, b, x, r, c, high=0.0, epsilon=1e-6):
    n = (x - high)[:, None] * minus(W)
    return ratio(n, n.sum(0), epsilon) @ r


def gradient(W, b, x, r, c):
    return W @ r
