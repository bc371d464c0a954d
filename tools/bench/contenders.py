"""The contenders: each prepares once, outside the clock, and returns the call that is timed.

All start from the same input, in [0, 1] or tokens, and explain the arg-max of each sample. A package is imported only
when its contender is prepared, so that one that is not installed is skipped by name.
"""

from __future__ import annotations

import copy
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

INPUT_RANGE = (0.0, 1.0)
CONVOLUTIONAL = ("vgg16", "resnet50")  # in torch
Call = Callable[[], object]


class SkippedError(Exception):
    """This contender does not apply to this case."""


@dataclass(frozen=True)
class Case:
    """One network at one batch size: its ONNX file, the same in torch (None where there is none), and the input."""

    name: str
    model: Path
    network: Any
    x: np.ndarray

    def torch_network(self, *names: str) -> Any:
        """A private copy, so that the hooks of one contender do not slow down another. names: of the networks that
        it is for, all where there are none."""
        if self.network is None or (names and self.name not in names):
            raise SkippedError(f"not for {self.name}")
        return copy.deepcopy(self.network)

    def explainer(self, method: str, engine: str) -> Any:
        """Ours, ready."""
        import onnxdtd

        known = INPUT_RANGE if self.x.dtype.kind == "f" else None
        return onnxdtd.Explainer(str(self.model), method=method, engine=engine, input_range=known)


def onnxdtd_numpy(case: Case, method: str) -> Call:
    explainer = case.explainer(method, "numpy")
    return lambda: explainer(case.x)


def onnxdtd_onnx(case: Case, method: str) -> Call:
    explainer = case.explainer(method, "onnx")
    return lambda: explainer(case.x)


def zennit(case: Case, method: str) -> Call:
    """zennit's composite of that name, with its ResNetCanonizer; registered once, as for many images."""
    import torch

    network, x = case.torch_network(*CONVOLUTIONAL), torch.from_numpy(case.x)
    import_zennit()
    from zennit.composites import COMPOSITES
    from zennit.torchvision import ResNetCanonizer

    if method not in COMPOSITES:
        raise SkippedError(f"zennit has no composite {method}")
    low, high = (torch.full_like(x, bound) for bound in INPUT_RANGE)
    box = {"low": low, "high": high} if method.endswith("_box") else {}
    composite = COMPOSITES[method](**box, canonizers=[ResNetCanonizer()])
    composite.register(network)

    def call() -> object:
        leaf = x.clone().requires_grad_()
        logits = network(leaf)
        one_hot = torch.nn.functional.one_hot(logits.argmax(1), logits.shape[1])
        return torch.autograd.grad(logits, leaf, one_hot * logits.detach()), composite

    return call


def captum_lrp(case: Case) -> Call:
    import torch

    network, x = case.torch_network(*CONVOLUTIONAL), torch.from_numpy(case.x)
    from captum.attr import LRP

    lrp, target = LRP(network), network(x).argmax(1)
    return lambda: lrp.attribute(x.clone().requires_grad_(), target=target)


def onnxruntime_forward(case: Case) -> Call:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(case.model), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: case.x})


def torch_forward(case: Case) -> Call:
    import torch

    network, x = case.torch_network(), torch.from_numpy(case.x)

    def call() -> object:
        with torch.inference_mode():
            return network(x)

    return call


def torch_gradient(case: Case) -> Call:
    """The gradient of the input alone."""
    import torch

    network, leaf = _torch_leaf(case)
    return lambda: torch.autograd.grad(network(leaf).amax(1).sum(), leaf)


def torch_backward(case: Case) -> Call:
    """What `backward()` makes of a network as it was loaded: the gradients of its weights too."""
    network, leaf = _torch_leaf(case)

    def call() -> object:
        network.zero_grad(set_to_none=True)
        network(leaf).amax(1).sum().backward()
        return leaf.grad

    return call


def _torch_leaf(case: Case) -> tuple[Any, Any]:
    """The network and its input, a leaf of autograd: tokens as the floats that they are embedded as."""
    import torch

    network, x = case.torch_network(), torch.from_numpy(case.x)
    return network, (x if x.is_floating_point() else network.words(x).detach()).clone().requires_grad_()


def import_zennit() -> None:
    """Import zennit without torchvision, of which its ResNetCanonizer needs nothing but two class names."""
    if "zennit" in sys.modules:
        return
    from tools.bench.twins import Bottleneck

    resnet = types.ModuleType("torchvision.models.resnet")
    resnet.Bottleneck, resnet.BasicBlock = Bottleneck, type("BasicBlock", (), {})  # type: ignore[attr-defined]
    parents = {name: types.ModuleType(name) for name in ("torchvision", "torchvision.models")}
    stubs = parents | {resnet.__name__: resnet}
    before = {name: sys.modules.get(name) for name in stubs}
    sys.modules.update(stubs)
    try:
        import zennit  # noqa: F401
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


METHOD_CONTENDERS = {"onnxdtd numpy": onnxdtd_numpy, "onnxdtd onnx": onnxdtd_onnx, "zennit": zennit}
PLAIN_CONTENDERS = {
    "onnxruntime forward": onnxruntime_forward,
    "torch forward": torch_forward,
    "torch gradient": torch_gradient,
    "torch backward": torch_backward,
    "captum LRP": captum_lrp,
}
OTHERS = ("zennit", "onnxruntime forward", "torch gradient", "torch backward")
RATIOS = [(ours, other) for ours in ("onnxdtd numpy", "onnxdtd onnx") for other in OTHERS]
