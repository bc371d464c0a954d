"""What one step of a recurrent cell is at the point: with its gates held fixed, or with its gates free.

Held, a gate is a number and an activation its secant: a linear map of x and the states before. Free, an activation is
its tangent and every gate moves too: the derivative. One text makes both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from onnxdtd.ops.lanes import Lane, Recurrence, States, block, product
from onnxdtd.primitives import concat, matmul, scan, swap_last


def lstm(lane: Lane, coupled: bool, free: bool) -> Recurrence:
    """c = f c' + i g, g = s_g(p_g); h = o s_c(c). coupled: f = 1 - i."""
    n, (gate, squash, show) = lane.size, lane.activations
    sums = product(lane.x, lane.w) + product(lane.before, lane.r) + (lane.bw + lane.br)
    pi, po, pf, pg = (block(sums, k, n) for k in range(4))
    qi, qo, qf = (None,) * 3 if lane.peepholes is None else (block(lane.peepholes, k, n) for k in range(3))
    g = squash.value(pg)
    if lane.peepholes is None:
        i = gate.value(pi)
        f = 1.0 - i if coupled else gate.value(pf)
        before, c = _cell_states(lane, (f, i * g), lambda _, now: now)
    else:

        def opened(c: Any, now: States) -> States:
            i = gate.value(now[0] + qi * c)
            return 1.0 - i if coupled else gate.value(now[1] + qf * c), i * now[2]

        before, c = _cell_states(lane, (pi, pf, g), opened)
        pi, pf, po = pi + qi * before, pf + qf * before, po + qo * c
        i = gate.value(pi)
        f = 1.0 - i if coupled else gate.value(pf)
    o, shown = gate.value(po), show.value(c)
    out, into = o * show.slope(shown, c, free), i * squash.slope(g, pg, free)
    if not free:
        rg = block(lane.r, 3, n)

        def ahead(states: States, drive: States, now: States) -> States:
            (h, c), (u, *more), (f, out, into) = states, drive, now
            c = f * c + into * matmul(h, rg) + u
            return (out * c + more[0] if more else out * c), c

        def back(states: States, now: States) -> tuple[States, Any]:
            (h, c), (f, out, into) = states, now
            c = c + h * out
            d = c * into
            return (matmul(d, swap_last(rg)), c * f), d

        constant = (into * block(lane.bw + lane.br, 3, n) + i * squash.at_zero, o * show.at_zero)
        return Recurrence(
            lane, (f, out, into), block(lane.w, 3, n), lambda u: (into * u,), ahead, back, constant
        )

    mi, mo = g * gate.slope(i, pi, True), shown * gate.slope(o, po, True)
    mf = before * gate.slope(f, pf, True)
    if coupled:
        mi, mf = mi - before * gate.slope(i, pi, True), mf * 0.0

    def drive(u: Any) -> States:
        ui, uo, uf, ug = (block(u, k, n) for k in range(4))
        return mi * ui + mf * uf + into * ug, mo * uo

    def ahead_free(states: States, drive: States, now: States) -> States:
        (h, c), (u, uo), (f, out, into, mi, mo, mf) = states, drive, now
        p = matmul(h, lane.r)
        moved = mi * block(p, 0, n) + mf * block(p, 2, n) + into * block(p, 3, n) + u
        if lane.peepholes is not None:
            moved = moved + (mi * qi + mf * qf) * c
        c = f * c + moved
        through = block(p, 1, n) if lane.peepholes is None else block(p, 1, n) + qo * c
        return out * c + mo * through + uo, c

    def back_free(states: States, now: States) -> tuple[States, Any]:
        (h, c), (f, out, into, mi, mo, mf) = states, now
        do = h * mo
        c = c + h * out + (0.0 if lane.peepholes is None else do * qo)
        di, df = c * mi, c * mf
        d = concat(di, do, df, c * into, axis=-1)
        c = c * f if lane.peepholes is None else c * f + di * qi + df * qf
        return (matmul(d, swap_last(lane.r)), c), d

    return Recurrence(lane, (f, out, into, mi, mo, mf), lane.w, drive, ahead_free, back_free)


def _cell_states(lane: Lane, sequences: States, opened: Callable[[Any, States], States]) -> States:
    """(c before, c after each step) of c = f c' + a, with (f, a) = opened(c', now): where no peephole lets the gates
    read c', all gates of all steps are at hand before the first one."""

    def step(before: States, now: States) -> tuple[States, States]:
        (c,) = before
        f, a = opened(c, now[:count])
        after = f * c + a
        for mask in now[count:]:
            after = mask * after + (1.0 - mask) * c
        return (after,), (c, after)

    count = len(sequences)
    return scan(step, lane.states[1:], (*sequences, *lane.masks), reverse=lane.reverse)[1]


def gru(lane: Lane, late: bool, free: bool) -> Recurrence:
    """h = z h' + (1 - z) g, g = s_g(x Wg + (r h') Rg + b); late: the reset comes last, r (h' Rg + b)."""
    n, (gate, squash) = lane.size, lane.activations
    rg, bg, rzr = block(lane.r, 2, n), block(lane.br, 2, n), block(lane.r, 0, n, 2)
    read = product(lane.x, lane.w) + lane.bw
    pz, pr = (
        block(read, k, n) + block(product(lane.before, rzr) + block(lane.br, 0, n, 2), k, n) for k in range(2)
    )
    z, r = gate.value(pz), gate.value(pr)
    inner = product(lane.before, rg) + bg if late else lane.before
    pg = block(read, 2, n) + (r * inner if late else product(r * inner, rg) + bg)
    g = squash.value(pg)
    into = (1.0 - z) * squash.slope(g, pg, free)

    def candidate(h: Any, r: Any) -> Any:
        return r * matmul(h, rg) if late else matmul(r * h, rg)

    def uncandidate(d: Any, r: Any) -> Any:
        return matmul(d * r, swap_last(rg)) if late else matmul(d, swap_last(rg)) * r

    if not free:

        def ahead(states: States, drive: States, now: States) -> States:
            (h,), (u,), (z, r, into) = states, drive, now
            return (z * h + into * candidate(h, r) + u,)

        def back(states: States, now: States) -> tuple[States, Any]:
            (h,), (z, r, into) = states, now
            d = h * into
            return (h * z + uncandidate(d, r),), d

        bias = block(lane.bw, 2, n) + (r * bg if late else bg)
        constant = (into * bias + (1.0 - z) * squash.at_zero,)
        return Recurrence(
            lane, (z, r, into), block(lane.w, 2, n), lambda u: (into * u,), ahead, back, constant
        )

    mz = (lane.before - g) * gate.slope(z, pz, True)
    mr = inner * gate.slope(r, pr, True)

    def drive(u: Any) -> States:
        return (u,)

    def ahead_free(states: States, drive: States, now: States) -> States:
        (h,), (u,), (z, r, into, mz, mr) = states, drive, now
        p = matmul(h, rzr) + block(u, 0, n, 2)
        dr = mr * block(p, 1, n)
        moved = candidate(h, r) + (dr if late else matmul(dr, rg)) + block(u, 2, n)
        return (z * h + mz * block(p, 0, n) + into * moved,)

    def back_free(states: States, now: States) -> tuple[States, Any]:
        (h,), (z, r, into, mz, mr) = states, now
        d = h * into
        gates = concat(h * mz, mr * (d if late else matmul(d, swap_last(rg))), axis=-1)
        h = h * z + uncandidate(d, r) + matmul(gates, swap_last(rzr))
        return (h,), concat(gates, d, axis=-1)

    return Recurrence(lane, (z, r, into, mz, mr), lane.w, drive, ahead_free, back_free)


def rnn(lane: Lane, free: bool) -> Recurrence:
    """h = s(x W + h' R + b)."""
    (squash,) = lane.activations
    p = product(lane.x, lane.w) + product(lane.before, lane.r) + (lane.bw + lane.br)
    slope = squash.slope(squash.value(p), p, free)

    def ahead(states: States, drive: States, now: States) -> States:
        return (now[0] * matmul(states[0], lane.r) + drive[0],)

    def back(states: States, now: States) -> tuple[States, Any]:
        d = states[0] * now[0]
        return (matmul(d, swap_last(lane.r)),), d

    constant = (slope * (lane.bw + lane.br) + squash.at_zero,)
    return Recurrence(lane, (slope,), lane.w, lambda u: (slope * u,), ahead, back, constant)
