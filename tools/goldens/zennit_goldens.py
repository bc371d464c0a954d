"""Record relevance from zennit, an independent implementation, for the parity tests in tests/goldens.

    pip install torch==2.13.0 numpy onnx pillow && pip install --no-deps zennit==0.5.1
    python -m tools.goldens.zennit_goldens [OUTPUT_FOLDER]

Made with torch 2.13.0 (CPU), zennit 0.5.1, onnx 1.23.2, numpy 2.4.6, Python 3.11. zennit needs
torchvision for nothing but two classes that its ResNetCanonizer looks for: a stub stands in for
`torchvision.models.resnet`, its BasicBlock is ours, so zennit's own canonizer gives each residual sum a
module (`Sum`), and that module gets its rule (`Norm`, the epsilon share). zennit leaves the epsilon in a
batch normalization merged into a convolution, which then scales by 1 / sqrt(1 + eps); `ExactMerge` sets it to
0, so that the canonised network computes what the ONNX file does.

NAME.npz holds float32 arrays for NAME.onnx (`input` (N, 3, 32, 32) -> `logits` (N, 10)):
    input, output           x (2, 3, 32, 32), normal and clipped to [-2, 2]; logits (2, 10)
    target                  (2,) int64, the arg-max of each sample
    low, high               bounds of epsilon_gamma_box, -2 and 2, shaped as the input
  seeded with the target's logit; zennit's default stabilizer 1e-6, bias in the denominator:
    epsilon_plus, epsilon_plus_flat, epsilon_alpha2_beta1, epsilon_alpha2_beta1_flat, epsilon_gamma_box,
    excitation_backprop     zennit's composite of that name
    rule_zplus, rule_gamma (0.25, generalised), rule_alpha2_beta1, rule_epsilon, rule_wsquare, rule_flat
                            that rule on every convolution and dense layer (no special first layer);
                            activations pass, sums and average pools `Norm`
  seeded with 1 at the target:
    gradient, gradient_x_input, guided_backprop, deconvnet      torch autograd; zennit's composites
Relevance is computed in float64 from the float32 weights, and again in float32: the run fails unless the two
agree to 3e-5 of the largest value, so that a float32 implementation can be held to 1e-4.
"""

from __future__ import annotations

import copy
import sys
import types
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tools.goldens.networks import BasicBlock, ResnetLike, VggLike, export
from tools.paths import GOLDENS

resnet_stub = types.ModuleType("torchvision.models.resnet")
resnet_stub.BasicBlock, resnet_stub.Bottleneck = BasicBlock, type("Bottleneck", (), {})  # type: ignore[attr-defined]
for name in ("torchvision", "torchvision.models"):
    sys.modules[name] = types.ModuleType(name)
sys.modules[resnet_stub.__name__] = resnet_stub

from zennit import composites, rules  # noqa: E402
from zennit.canonizers import SequentialMergeBatchNorm  # noqa: E402
from zennit.core import Composite, Hook  # noqa: E402
from zennit.torchvision import ResNetBasicBlockCanonizer  # noqa: E402
from zennit.types import Linear  # noqa: E402

NETWORKS = {"vgg_like": VggLike(seed=4), "resnet_like": ResnetLike(seed=4)}
BOX = 2.0
WELL_CONDITIONED = 3e-5
SINGLE_RULES = {
    "rule_zplus": rules.ZPlus(),
    "rule_gamma": rules.Gamma(0.25),
    "rule_alpha2_beta1": rules.AlphaBeta(2, 1),
    "rule_epsilon": rules.Epsilon(),
    "rule_wsquare": rules.WSquare(),
    "rule_flat": rules.Flat(),
}


class ExactMerge(SequentialMergeBatchNorm):
    """Merge batch normalization into the convolution before it, and leave an exact identity behind."""

    def register(self, linears: list[nn.Module], batch_norm: nn.Module) -> None:
        super().register(linears, batch_norm)
        self.eps, batch_norm.eps = batch_norm.eps, 0.0

    def remove(self) -> None:
        super().remove()
        self.batch_norm.eps = self.eps


def canonizers() -> list[object]:
    return [ExactMerge(), ResNetBasicBlockCanonizer()]


def single_rule(rule: Hook) -> Composite:
    layer_map = [*composites.layer_map_base(), (Linear, rule)]
    return composites.LayerMapComposite(layer_map, canonizers=canonizers())


def lrp_composites(x: Tensor) -> dict[str, Composite]:
    """Key of the golden -> zennit composite, for the methods seeded with the logit."""
    box = {"low": torch.full_like(x, -BOX), "high": torch.full_like(x, BOX)}
    return {
        "epsilon_plus": composites.EpsilonPlus(canonizers=canonizers()),
        "epsilon_plus_flat": composites.EpsilonPlusFlat(canonizers=canonizers()),
        "epsilon_alpha2_beta1": composites.EpsilonAlpha2Beta1(canonizers=canonizers()),
        "epsilon_alpha2_beta1_flat": composites.EpsilonAlpha2Beta1Flat(canonizers=canonizers()),
        "epsilon_gamma_box": composites.EpsilonGammaBox(**box, canonizers=canonizers()),
        "excitation_backprop": composites.ExcitationBackprop(canonizers=canonizers()),
        **{key: single_rule(rule) for key, rule in SINGLE_RULES.items()},
    }


def attribute(network: nn.Module, composite: Composite, x: Tensor, seed: Tensor) -> Tensor:
    """zennit's modified gradient of the logits in x, along `seed`."""
    with composite.context(network) as modified:
        x = x.clone().requires_grad_()
        return torch.autograd.grad(modified(x), x, seed)[0]


def record(network: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Every golden of one network, in the dtype of x."""
    network = copy.deepcopy(network).to(x.dtype)
    output = network(x).detach()
    target = output.argmax(1)
    one_hot = nn.functional.one_hot(target, output.shape[1]).to(x)
    gradient = attribute(network, Composite(), x, one_hot)
    return {
        **{key: attribute(network, c, x, one_hot * output) for key, c in lrp_composites(x).items()},
        "gradient": gradient,
        "gradient_x_input": gradient * x,
        "guided_backprop": attribute(network, composites.GuidedBackprop(), x, one_hot),
        "deconvnet": attribute(network, composites.DeconvNet(), x, one_hot),
        "input": x,
        "output": output,
        "target": target,
        "low": torch.full_like(x, -BOX),
        "high": torch.full_like(x, BOX),
    }


def check_conventions(network: nn.Module, x: Tensor) -> None:
    """Refuse ties in a max pool and dead windows in an average pool, where libraries differ by convention."""

    def tie(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        size, (values,) = module.kernel_size, inputs
        windows = values.unfold(2, size, size).unfold(3, size, size).flatten(4)
        first, second = windows.topk(2).values.unbind(-1)
        if (first - second).min() < 1e-5:
            raise ValueError(f"{module}: two winners in one window, choose another seed")

    def dead(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        if output.min() == 0:
            raise ValueError(f"{module}: a window of zeros, choose another seed")

    pools = {nn.MaxPool2d: tie, nn.AvgPool2d: dead, nn.AdaptiveAvgPool2d: dead}
    handles = [m.register_forward_hook(pools[type(m)]) for m in network.modules() if type(m) in pools]
    network(x)
    for handle in handles:
        handle.remove()


def main(folder: Path) -> None:
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)).clamp(-BOX, BOX)
    for name, network in NETWORKS.items():
        network.settle(x)
        check_conventions(network, x)
        exact, single = record(network, x.double()), record(network, x)
        worst = {key: float((single[key] - v).abs().max() / v.abs().max()) for key, v in exact.items()}
        print(f"{name}: largest difference of float32 and float64, as a share of the largest value")
        print("\n".join(f"  {key:26s} {value:.1e}" for key, value in worst.items()))
        if failing := [key for key, value in worst.items() if value > WELL_CONDITIONED]:
            raise SystemExit(f"{name} is ill-conditioned for {', '.join(failing)}: choose another seed")
        export(network, x, folder / f"{name}.onnx")
        arrays = {key: v.float().numpy() for key, v in exact.items()} | {"target": exact["target"].numpy()}
        np.savez_compressed(folder / f"{name}.npz", **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else GOLDENS)
