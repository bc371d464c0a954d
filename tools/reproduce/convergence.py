"""Does relevance forget, on its way down, what it explains? Cosine similarity convergence by depth.

    pip install -e .
    python -m tools.reproduce.convergence [--digits 32] [--draws 3] [--side 64] [--seed 0] [--out docs/figures]

Relevance starts at the logits from random seeds and from classes, two by two, and |cos| of both is measured at every
layer: on the shipped MNIST CNN, and on VGG16 with random weights. Writes convergence.json, .md and .png. Minutes.

Source: after Sixt, Granz and Landgraf 2020, "When Explanations Lie", ICML.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from matplotlib.figure import Figure
from PIL import Image

from onnxdtd.audit import seeds
from tools.paths import FIGURES, MODELS
from tools.reproduce.curves import (
    BASE,
    WAYS,
    Array,
    Way,
    curve,
    dress,
    everywhere,
    legend,
    quartiles,
    save,
    sheet,
    stand,
)
from tools.reproduce.vgg import CLASSES, vgg16

NAMES = ("gradient", "lrp0", "gamma", "alpha_beta", "dtd", "zplus")
BANDS = ("gradient", "zplus")  # whose quartiles the figure shows
RANDOM, SOME = 6, 5  # seeds: 15 pairs of random ones, 10 of classes
PLAIN = Way("LRP-0 from R_j = c_j", BASE, everywhere("epsilon", epsilon=1e-9))


def falls(source: Any, way: Way, x: Array, within: Any, seed: int, plain: bool = False) -> dict[str, Any]:
    """|cos| of every pair, by kind of seed and by layer from the logits to the input: (samples, pairs) each.

    Random seeds are R_j = c_j z_j with normal c_j, and c_j for the gradient; plain: c_j for any method.
    """
    probe = stand(source, way, x, within)
    rng = np.random.default_rng(seed)
    if plain:
        random = [rng.standard_normal(probe.logits.shape) for _ in range(RANDOM)]
    else:
        random = seeds.mixtures(probe, probe.plan, RANDOM, rng)
    classes = [seeds.class_seed(probe, int(c)) for c in seeds.some_classes(probe)[:SOME]]
    first = {"random": random, "classes": classes}
    return {kind: {layer: pairs(c) for layer, c in probe.cosines(s).items()} for kind, s in first.items()}


def pairs(cosines: Array) -> Array:
    """(N, K, K) -> (N, K (K - 1) / 2): |cos| of every pair, each once."""
    first, second = np.triu_indices(cosines.shape[-1], 1)
    return np.abs(cosines[:, first, second])


def pooled(parts: list[dict[str, Any]]) -> dict[str, dict[str, list[float]]]:
    """Quartiles over pairs, samples and networks, by kind and layer."""
    return {
        kind: {layer: quartiles(np.concatenate([p[kind][layer].ravel() for p in parts])) for layer in layers}
        for kind, layers in parts[0].items()
    }


def photo(side: int) -> Array:
    """The shipped photo's middle, (1, 3, side, side) in 0..1."""
    image = Image.open(MODELS / "chelsea.png").convert("RGB")
    edge = min(image.size)
    left, top = ((length - edge) // 2 for length in image.size)
    small = image.resize((side, side), Image.Resampling.BICUBIC, (left, top, left + edge, top + edge))
    return np.ascontiguousarray(np.asarray(small, np.float32).transpose(2, 0, 1)[None] / 255)


def digits(count: int) -> Array:
    """The first held-out digits that the CNN's training did not see, in an order drawn once."""
    images = np.load(MODELS / "mnist_heldout.npz")["images"]
    chosen = np.random.default_rng(0).permutation(len(images))[:count]
    return np.asarray(images[chosen, None] / 255, np.float32)


def measure(digit_count: int, draws: int, side: int, seed: int, shrink: int = 1) -> dict[str, Any]:
    """Both networks, every method. shrink: divides VGG16's widths, for tests."""
    found: dict[str, Any] = {
        "seed": seed, "random_seeds": RANDOM, "class_seeds": SOME,
        "mnist_cnn": {"digits": digit_count, "curves": {}, "plain": {}},
        "vgg16": {"draws": draws, "side": side, "classes": CLASSES // shrink, "curves": {}, "plain": {}},
    }  # fmt: skip
    networks: dict[str, list[onnx.ModelProto | Path]] = {
        "mnist_cnn": [MODELS / "mnist_cnn.onnx"],
        "vgg16": [vgg16(side, seed + i, shrink) for i in range(draws)],
    }
    inputs = {"mnist_cnn": digits(digit_count), "vgg16": photo(side)}
    for network, sources in networks.items():
        x = inputs[network]
        for name in NAMES:
            parts = [falls(source, WAYS[name], x, (0, 1), seed + i) for i, source in enumerate(sources)]
            found[network]["curves"][name] = pooled(parts)
        parts = [falls(source, PLAIN, x, (0, 1), seed + i, plain=True) for i, source in enumerate(sources)]
        found[network]["plain"] = {"lrp0": pooled(parts)["random"]}
    return found


def shown(layers: list[str]) -> list[int]:
    """Which depths the table has: the logits, three between, the input."""
    return sorted({0, *(round(len(layers) * part) for part in (0.25, 0.5, 0.75)), len(layers) - 1})


def table(found: dict[str, Any], network: str, kind: str) -> str:
    """Medians at some depths, in Markdown."""
    some = found[network]["curves"]
    layers = list(some["gradient"][kind])
    at = [layers[i] for i in shown(layers)]
    lines = [f"| method | {' | '.join(brief(layer) for layer in at)} |", "|---" * (len(at) + 1) + "|"]
    for name in NAMES:
        lines.append(f"| {WAYS[name].name} | {' | '.join(f'{some[name][kind][a][1]:.3f}' for a in at)} |")
    return "\n".join(lines)


def brief(layer: str) -> str:
    """'/3/Conv' as 'Conv 3'."""
    number, _, op = layer.strip("/").partition("/")
    return f"{op} {number}" if op else layer


def page(found: dict[str, Any]) -> str:
    """The tables in Markdown."""
    plain = {n: found[n]["plain"]["lrp0"]["input"][1] for n in ("mnist_cnn", "vgg16")}
    tables = {f"{n}_{k}": table(found, n, k) for n in ("mnist_cnn", "vgg16") for k in ("random", "classes")}
    first = {n: list(found[n]["plain"]["lrp0"].values())[1][1] for n in plain}
    return TEXT.format(found=found, plain=plain, plain_high=first, **tables)


TEXT = """# Cosine similarity convergence

![median |cos| by depth](convergence.png)

Median |cos| between the relevances that two seeds leave at a layer. 1 means that the layer gets the same
relevance, up to sign and size, whatever is explained. "input" is the heatmap. The figure's bands are the quartiles
of gradient and z+; convergence.json has all.

## The shipped CNN, random seeds

{mnist_cnn_random}

## The shipped CNN, pairs of classes

{mnist_cnn_classes}

## VGG16 with random weights, random seeds

{vgg16_random}

## VGG16 with random weights, pairs of classes

{vgg16_classes}

- **Seeds**: {found[random_seeds]} random ones, R_j = c_j z_j with normal c_j and z the logits (for the gradient c_j
  itself), and {found[class_seeds]} classes, one unit of relevance each.
- **A trap**: with R_j = c_j for LRP-0 too, the first step divides by logits near zero, which then outweigh all
  others in every seed: |cos| at the input becomes {plain[mnist_cnn]:.2f} (CNN) and {plain[vgg16]:.2f} (VGG16). It
  is {plain_high[vgg16]:.2f} already one layer below the logits and stays there: a bad start, not a convergence.
- **Shipped CNN**: 3 convolutions, 2 dense layers, {found[mnist_cnn][digits]} held-out digits. Ten logits are few,
  so random seeds start from a |cos| well above 0.
- **VGG16**: 13 convolutions and 3 dense layers of full width, He-normal weights, no biases, {found[vgg16][draws]}
  draws; input the shipped photo at {found[vgg16][side]} x {found[vgg16][side]} pixels in 0..1, to save time.
  Trained weights are not shipped.
- **LRP-0** is epsilon with 1e-9; **gamma**, **alpha2-beta1** and **z+** are at every convolution and dense layer;
  **dtd** has z-box at the input. Max pooling: winner takes all.

**The paper.** Sixt, Granz and Landgraf (2020) report that the modified backward passes they study, deep Taylor and
LRP among them and all but DeepLIFT, forget the later layers, and trace it to products of non-negative matrices,
which tend to rank 1. Ours agree for z+ and dtd, on both networks. The gradient and LRP-0 do not converge: on VGG16,
where LRP-0 is gradient x input, they stay at the bottom; on the CNN pairs of classes rise from 0 and level off. Where
ours differ: on the shipped CNN alpha2-beta1 ends not far above the gradient, on random VGG16 it has converged after
a few layers, so negative shares are no cure by themselves. Gamma 0.25 is ours to add: it converges on random VGG16
and goes part of the way on the CNN. How soon a *trained* VGG16 converges is not measured here.

    python -m tools.reproduce.convergence --seed {found[seed]}
"""


def figure(found: dict[str, Any]) -> Figure:
    """Networks side by side, random seeds above, pairs of classes below."""
    titles = {"mnist_cnn": "shipped MNIST CNN", "vgg16": "VGG16, random weights"}
    kinds = {"random": "random seeds", "classes": "pairs of classes"}
    drawn, axes = sheet(2, 2, (9.0, 7.0), sharex="col", sharey=True, width_ratios=(2, 3))
    for row, (kind, words) in zip(axes, kinds.items(), strict=True):
        for place, (network, title) in zip(row, titles.items(), strict=True):
            some = found[network]["curves"]
            for name in NAMES:
                bands = list(some[name][kind].values())
                curve(place, WAYS[name], range(len(bands)), bands, band=name in BANDS)
            layers = [brief(layer) for layer in some["gradient"][kind]]
            dress(place, f"{title}: {words}")
            place.set_ylim(-0.03, 1.03)
            names: dict[str, Any] = {
                "rotation": 38,
                "ha": "right",
                "rotation_mode": "anchor",
                "fontsize": 7.5,
            }
            place.set_xticks(range(len(layers)), layers, **names)
        row[0].set_ylabel("median |cos|", fontsize=9)
    legend(drawn, axes[0, 0], len(NAMES))
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--digits", type=int, default=32)
    parser.add_argument("--draws", type=int, default=3, help="networks with random weights")
    parser.add_argument("--side", type=int, default=64, help="of VGG16's input, a multiple of 32")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=FIGURES)
    given = parser.parse_args()
    found = measure(given.digits, given.draws, given.side, given.seed)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "convergence.json").write_text(json.dumps(found, indent=1) + "\n")
    (given.out / "convergence.md").write_text(page(found))
    save(figure(found), given.out / "convergence.png")
    print(page(found))


if __name__ == "__main__":
    main()
