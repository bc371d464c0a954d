"""Random networks of convolutions with borders, steps, Concats and nonlinearities, each spelled in random ways."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.support.model_text import model
from tests.support.spellings import Function

TURN, BACK = "Transpose<perm = [0, 2, 3, 1]>", "Transpose<perm = [0, 3, 1, 2]>"
SIDE, CHANNELS = 4, 2


@dataclass(frozen=True)
class Layer:
    """kind: relu, tanh, conv, step or join, of the layers it reads; constants: weights, or scale and shift."""

    kind: str
    reads: tuple[Layer, ...]
    channels: int
    constants: tuple[Any, ...] = ()


def network(rng: np.random.Generator, depth: int) -> Layer:
    """A layer that reads others, `depth` of them one after the other, down to a convolution of relu(x)."""
    if not depth:
        return _convolution(rng, Layer("relu", (), CHANNELS))
    first = network(rng, depth - 1)
    match rng.choice(["conv", "conv", "step", "step", "join", "tanh"]):
        case "conv":
            return _convolution(rng, first)
        case "step":
            scale = rng.uniform(0.5, 2, first.channels) * rng.choice([-1, 1], first.channels)
            return Layer("step", (first,), first.channels, (scale, rng.normal(size=first.channels)))
        case "join":
            second = network(rng, int(rng.integers(0, depth)))
            return Layer("join", (first, second), first.channels + second.channels)
    return Layer("tanh", (first,), first.channels)


def _convolution(rng: np.random.Generator, reads: Layer) -> Layer:
    """Its weights keep what comes behind a Tanh away from 1."""
    made = int(rng.integers(1, 3))
    weights = rng.normal(size=(made, reads.channels, 3, 3)) / 6, rng.normal(size=made) / 2
    return Layer("conv", (reads,), made, weights)


@dataclass
class Speller:
    """Writes layers as a model's text; plain: in one way only."""

    rng: np.random.Generator
    plain: bool
    lines: list[str] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)
    made: dict[int, str] = field(default_factory=dict)

    def write(self, layer: Layer) -> str:
        """The name of what the layer makes; a layer that two others read is written once."""
        if id(layer) not in self.made:
            values = [self.write(part) for part in layer.reads]
            self.made[id(layer)] = getattr(self, f"_{layer.kind}")(layer, *values)
        return self.made[id(layer)]

    def text(self, layer: Layer, size: str) -> str:
        """The whole model."""
        y = self.write(layer)
        head = f"(float[N, {CHANNELS}, {size}] x) => (float[N, {layer.channels}, A, B] y)"
        return f"{head} {{ {' '.join(self.lines)} y = Identity({y}) }}"

    def _chosen(self, *ways: Any) -> Any:
        return ways[0] if self.plain else ways[self.rng.integers(len(ways))]

    def _node(self, call: str) -> str:
        name = f"v{len(self.lines)}"
        self.lines.append(f"{name} = {call}")
        return name

    def _constant(self, array: Any, dtype: Any = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(array, dtype)
        return name

    def _relu(self, layer: Layer) -> str:
        return self._node("Relu(x)")

    def _tanh(self, layer: Layer, value: str) -> str:
        return self._node(f"Tanh({value})")

    def _join(self, layer: Layer, *values: str) -> str:
        return self._node(f"Concat<axis = 1>({', '.join(values)})")

    def _conv(self, layer: Layer, value: str) -> str:
        w, b = (self._constant(array) for array in layer.constants)
        inner = self._chosen(1, 0, 0)  # the part of the border that the operator has itself
        if not inner:
            around = [0, 0, 1, 1] * 2
            if self._chosen(True, False):
                value = self._node(f"Pad({value}, {self._constant(around, np.int64)})")
            else:
                turned = self._node(f"{TURN}({value})")
                padded = self._node(f"Pad({turned}, {self._constant([0, 1, 1, 0] * 2, np.int64)})")
                value = self._node(f"{BACK}({padded})")
        call = f"Conv<pads = [{', '.join([str(inner)] * 4)}]>({value}, {w}"
        if self._chosen(True, False):
            return self._node(f"{call}, {b})")
        return self._node(
            f"Add({self._node(call + ')')}, {self._constant(layer.constants[1].reshape(-1, 1, 1))})"
        )

    def _step(self, layer: Layer, value: str) -> str:
        return self._scaled(layer.reads[0], value, *layer.constants)

    def _scaled(self, layer: Layer, value: str, scale: Any, shift: Any) -> str:
        """scale * value + shift, of what the layer makes."""
        if layer.kind == "join" and self._chosen(False, True):
            at = layer.reads[0].channels
            parts = [
                self._scaled(part, self.write(part), scale[place], shift[place])
                for part, place in zip(layer.reads, (slice(at), slice(at, None)), strict=True)
            ]
            return self._join(layer, *parts)
        numbers = [scale, shift, np.zeros_like(scale), np.ones_like(scale)]
        way = self._chosen("norm", "apart", "shift first", "turned")
        if way == "norm":
            names = ", ".join(self._constant(array) for array in numbers)
            return self._node(f"BatchNormalization<epsilon = 0.0>({value}, {names})")
        if way == "turned":
            turned = self._node(f"{TURN}({value})")
            scaled = self._node(f"Mul({turned}, {self._constant(scale)})")
            return self._node(f"{BACK}({self._node(f'Add({self._constant(shift)}, {scaled})')})")
        columns = [array.reshape(-1, 1, 1) for array in (scale, shift, shift / scale)]
        if way == "apart":
            scaled = self._node(f"Mul({value}, {self._constant(columns[0])})")
            return self._node(f"Sub({scaled}, {self._constant(-columns[1])})")
        shifted = self._node(f"Add({value}, {self._constant(columns[2])})")
        return self._node(f"Div({shifted}, {self._constant(1 / columns[0])})")


def spelled(seed: int, depth: int = 5, ways: int = 2) -> Function:
    """A random network, plain and in so many other ways, half of them with open sizes."""
    rng = np.random.default_rng(seed)
    layer = network(rng, depth)
    models = {}
    for way in range(1 + ways):
        speller = Speller(rng, plain=not way)
        text = speller.text(layer, f"{SIDE}, {SIDE}" if way % 2 == 0 else "H, W")
        models[f"way {way}"] = model(text, **speller.constants)
    target = tuple(int(rng.integers(n)) for n in (layer.channels, SIDE, SIDE))
    return Function(models, (2, CHANNELS, SIDE, SIDE), target)
