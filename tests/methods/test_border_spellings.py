"""One function, one answer: a Pad and a border, shifts in front of borders, steps at both ends of a Concat."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.speller import spelled
from tests.support.spellings import Function

RNG = np.random.default_rng(7)
BN = "BatchNormalization<epsilon = 0.0>"
S, C = np.float32([-1.5, 0.5, 2]), RNG.normal(size=3).astype(np.float32)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def of_step(suffix: str, part: slice) -> dict[str, np.ndarray]:
    """Its numbers as a BatchNormalization takes them, and as factors and summands of images and of rows."""
    s, c = S[part], C[part]
    numbers = {"s": s, "c": c, "unit": np.ones_like(s), "zero": np.zeros_like(s)}
    numbers |= {"scale": s.reshape(-1, 1, 1), "shift": c.reshape(-1, 1, 1), "over": (c / s).reshape(-1, 1, 1)}
    return {name + suffix: array for name, array in numbers.items()}


CONSTANTS = {
    "k": normal(3, 3, 3, 3), "k1": normal(1, 3, 3, 3), "k2": normal(2, 3, 3, 3), "v": normal(2, 3, 3, 3),
    "w": normal(3, 2), "w1": normal(3, 1), "w2": normal(3, 2), "b": normal(3), "lowest": np.float32(-np.inf),
    **of_step("", slice(3)), **of_step("1", slice(1)), **of_step("2", slice(1, 3)),
    "around": np.int64([0, 0, 1, 0, 0, 0, 1, 1]), "above": np.int64([0, 0, 1, 0, 0, 0, 1, 0]),
    "right": np.int64([0, 0, 0, 0, 0, 0, 0, 1]), "in_rows": np.int64([0, 1, 0, 0, 0, 1, 1, 0]),
}  # fmt: skip
FIXED, OPEN = "float[N, 3, 4, 4] x", "float[N, 3, H, W] x"
TURN, BACK = "Transpose<perm = [0, 2, 3, 1]>", "Transpose<perm = [0, 3, 1, 2]>"


def image(body: str, size: str = FIXED, channels: int = 3, also: str = "") -> str:
    """A model of a = relu(x)."""
    return f"({size}) => (float[N, {channels}, A, B] y{also}) {{ a = Relu(x) {body} }}"


def borders(op: str, data: str = "", own: str = "", padded: str = "", fill: str = "") -> dict[str, str]:
    """y = op(a) with a border; own, padded: attributes of the op that has one itself, and of one that has none."""
    begin, end = (
        f"y = {op}<{own}pads = [1, 0, 1, 1]>(a{data})",
        f"y = {op}<{padded}pads = [0, 0, 0, 0]>(p{data})",
    )
    return {
        "own": image(begin),
        "Pad": image(f"p = Pad(a, around{fill}) {end}"),
        "of open sizes": image(f"p = Pad(a, around{fill}) {end}", OPEN),
        "half of it": image(f"p = Pad(a, right{fill}) y = {op}<{own}pads = [1, 0, 1, 0]>(p{data})"),
        "two": image(f"q = Pad(a, above{fill}) p = Pad(q, right{fill}) {end}"),
        "turned": image(f"t = {TURN}(a) q = Pad(t, in_rows{fill}) p = {BACK}(q) {end}"),
        "read elsewhere": image(f"p = Pad(a, around{fill}) z = Tanh(p) {end}", also=", float[N, 3, C, D] z"),
    }


def some(forms: dict[str, str]) -> dict[str, str]:
    """Those that differ most."""
    return {name: forms[name] for name in ("own", "Pad", "half of it", "turned")}


IN_FRONT = {  # n = s a + c
    "BatchNormalization": f"n = {BN}(a, s, c, zero, unit)",
    "product and sum": "m = Mul(a, scale) n = Add(m, shift)",
    "sum and product": "m = Add(a, over) n = Mul(scale, m)",
}
PADDED = {"own": "y = Conv<pads = [1, 0, 1, 1]>(n, k, b)", "Pad": "p = Pad(n, around) y = Conv(p, k, b)"}
SHIFTED = {
    f"{step}, {border}, {size}": image(f"{IN_FRONT[step]} {PADDED[border]}", {"fixed": FIXED, "open": OPEN}[size])
    for step, border, size in [
        ("BatchNormalization", "own", "fixed"), ("BatchNormalization", "own", "open"),
        ("product and sum", "own", "open"), ("sum and product", "Pad", "open"), ("product and sum", "Pad", "fixed"),
    ]
}  # fmt: skip
SHIFTED["one after the other"] = image(f"m = Add(a, over) {IN_FRONT['product and sum']} {PADDED['own']}".replace(
    "m = Mul(a, scale) n = Add(m, shift)", "n = Mul(m, scale)"), OPEN)  # fmt: skip


def steps(parts: str, behind: str = "", **options: str | int) -> dict[str, str]:
    """y = behind(s (first, second) + c), for two values that `parts` makes."""
    end = behind.format("n") if behind else "y = Identity(n)"

    def form(body: str, also: str = "", **more: str) -> str:
        return image(f"{parts} {body} {end}", also=also, **{**options, **more})

    first, second = f"n1 = {BN}(first, s1, c1, zero1, unit1)", "m2 = Mul(second, scale2) n2 = Add(m2, shift2)"
    return {
        "behind": form(f"h = Concat<axis = 1>(first, second) n = {BN}(h, s, c, zero, unit)"),
        "behind, written out": form(
            "h = Concat<axis = -3>(first, second) m = Mul(h, scale) n = Add(m, shift)"
        ),
        "on the parts": form(f"{first} {second} n = Concat<axis = 1>(n1, n2)"),
        "on the parts, turned": form(
            f"{first} {second} t1 = {TURN}(n1) t2 = {TURN}(n2) t = Concat<axis = 3>(t1, t2) n = {BACK}(t)"
        ),
        "behind, turned": form(
            f"h = Concat<axis = 1>(first, second) t = {TURN}(h) m = Mul(t, s) q = Add(c, m) n = {BACK}(q)"
        ),
        "the scale on the parts": form(
            "m1 = Mul(first, scale1) m2 = Mul(second, scale2) m = Concat<axis = 1>(m1, m2) n = Add(m, shift)"
        ),
        "of open sizes": form(
            f"h = Concat<axis = 1>(first, second) n = {BN}(h, s, c, zero, unit)", size=OPEN
        ),
        "parts of open sizes": form(f"{first} {second} n = Concat<axis = 1>(n1, n2)", size=OPEN),
        "read elsewhere": form(
            f"h = Concat<axis = 1>(first, second) z = Tanh(h) n = {BN}(h, s, c, zero, unit)",
            also=", float[N, 3, C, D] z",
        ),
        "parts read elsewhere": form(
            f"{first} {second} n = Concat<axis = 1>(n1, n2) z = Tanh(n)", also=", float[N, 3, C, D] z"
        ),
    }


SUMS = "first = Conv<pads = [1, 1, 1, 1]>(a, k1) second = Conv<pads = [1, 1, 1, 1]>(a, k2)"
MIXED = "first = ReduceMax<axes = [1]>(a) second = Conv<pads = [1, 1, 1, 1]>(a, k2)"
NO_SUMS = "first = ReduceMax<axes = [1]>(a) tanh = Tanh(a) second = Slice(tanh, one, three, one)"
NEXT = "y = Conv<pads = [1, 1, 1, 1]>({}, v)"
CONSTANTS |= {"one": np.int64([1]), "three": np.int64([3])}
SIZES, WHERE = (2, 3, 4, 4), (1, 2, 2)
FUNCTIONS = {
    name: Function.of(forms, SIZES, target, CONSTANTS)
    for name, forms, target in (
        ("Conv", borders("Conv", ", k, b"), WHERE),
        (
            "AveragePool",
            borders(
                "AveragePool", "", "kernel_shape = [3, 3], count_include_pad = 1, ", "kernel_shape = [3, 3], "
            ),
            WHERE,
        ),
        ("LpPool", some(borders("LpPool", "", *["kernel_shape = [3, 3], "] * 2)), WHERE),
        ("MaxPool", some(borders("MaxPool", "", *["kernel_shape = [3, 3], "] * 2, fill=", lowest")), WHERE),
        (
            "MaxPool of nothing negative",
            some(borders("MaxPool", "", *["kernel_shape = [3, 3], "] * 2)),
            WHERE,
        ),
        ("shift in front of a border", SHIFTED, WHERE),
        ("step behind a Concat of sums", steps(SUMS), WHERE),
        ("step between a Concat and a nonlinearity", steps(MIXED, "y = Tanh({})"), WHERE),
        ("step between a Concat and a sum", steps(MIXED, NEXT, channels=2), (1, 2, 3)),
        ("step that only what follows can take", steps(NO_SUMS, NEXT, channels=2), (1, 0, 3)),
    )
}
CASES = [(name, form) for name, function in FUNCTIONS.items() for form in list(function.forms)[1:]]
OF_OPEN_SIZES = [(name, form) for name, form in CASES if "open" in form and "Pool" not in name]


@pytest.mark.parametrize(("function", "form"), CASES)
def test_every_spelling_gives_one_answer(function: str, form: str) -> None:
    FUNCTIONS[function].check(form, "numpy")


@pytest.mark.parametrize(("function", "form"), OF_OPEN_SIZES)
def test_every_spelling_gives_one_answer_compiled(function: str, form: str) -> None:
    FUNCTIONS[function].check(form, "onnx")


@pytest.mark.parametrize(
    ("seed", "engine"), [(0, "numpy"), (1, "numpy"), (3, "numpy"), (5, "numpy"), (2, "onnx")]
)
def test_random_spellings_of_random_networks_give_one_answer(seed: int, engine: str) -> None:
    network = spelled(seed)
    for form in list(network.forms)[1:]:
        network.check(form, engine)
