"""AttnLRP of a network of PyTorch, in the gradient form: R = x G, where G is an ordinary backward pass of a network
whose functions have other derivatives. Needs torch.

Written from the rules of Achtibat et al. 2024 (AttnLRP). With R = x G they need no division by a sum:

    weighted sums, convolutions, softmax    the gradient as it is (epsilon rule with epsilon = 0; Taylor at x)
    a product of two values, a @ b, a * b   half of the gradient to each
    activations f(x)                        f(x) / x in place of the derivative (R passes)
    norms                                   the gradient with the deviation as a constant

Each function is replaced where the network calls it (torch.overrides), so any network of the library can be asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

PRODUCTS = {
    torch.mul, Tensor.mul, Tensor.__mul__, Tensor.__rmul__, Tensor.__matmul__, torch.matmul, Tensor.matmul,
    torch.bmm, Tensor.bmm, torch.einsum,
}  # fmt: skip
QUOTIENTS = {torch.div, Tensor.div, Tensor.__truediv__, Tensor.div_, Tensor.__itruediv__}
ACTIVATIONS = {
    functional.gelu, functional.silu, functional.relu, torch.relu, torch.tanh, Tensor.tanh, functional.tanh,
    torch.sigmoid, Tensor.sigmoid,
}  # fmt: skip
ROOTS = {torch.rsqrt, Tensor.rsqrt}
MODULES = ("transformers.activations", "torch.nn.modules.activation")


def passing(x: Tensor, y: Tensor) -> Tensor:
    """y, with the derivative y / x."""
    ratio = torch.where(x == 0, 0.0, y / x).detach()
    return x * ratio + (y - x * ratio).detach()


def halved(y: Tensor) -> Tensor:
    """y, with half of its gradient."""
    return y / 2 + (y / 2).detach()


class Rules(TorchFunctionMode):
    """While active, what the network calls has the derivatives above. words: the embeddings of each of `ids`."""

    def __init__(self, ids: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.ids, self.words = ids, dict[str, Tensor]()

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        carried = [a for a in args if isinstance(a, Tensor) and a.requires_grad]
        if function is functional.embedding:
            return self._embedded(function(*args, **kwargs), args[0])
        if function is functional.layer_norm and carried:
            return self._normed(*args, **kwargs)
        if function in ACTIVATIONS and carried:
            return passing(args[0], function(*args, **kwargs))
        if function in ROOTS:
            return function(*args, **kwargs).detach()
        if function in QUOTIENTS and isinstance(args[1], Tensor):
            return function(args[0], args[1].detach(), **kwargs)
        y = function(*args, **kwargs)
        return halved(y) if function in PRODUCTS and len(carried) > 1 else y

    def _embedded(self, vectors: Tensor, indices: Tensor) -> Tensor:
        for name, ids in self.ids.items():
            if name not in self.words and ids.shape == indices.shape and torch.equal(ids, indices):
                self.words[name] = vectors.detach().requires_grad_()
                return self.words[name]
        return vectors

    @staticmethod
    def _normed(
        x: Tensor, shape: Any, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
    ) -> Tensor:
        axes = tuple(range(-len(shape), 0))
        centred = x - x.mean(axes, keepdim=True)
        y = centred / (centred.square().mean(axes, keepdim=True) + eps).sqrt().detach()
        y = y if weight is None else y * weight
        return y if bias is None else y + bias


def wrapped(forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """An activation that is a module, which may be written out in several functions."""

    def activation(x: Tensor) -> Tensor:
        with torch.no_grad():
            y = forward(x)
        return passing(x, y)

    return activation


def relevance(
    network: torch.nn.Module,
    inputs: Mapping[str, Tensor],
    answer: Callable[..., Tensor],
    target: tuple[int, ...],
) -> dict[str, Tensor]:
    """{input: R}: of token ids (N, length), the sum over each word's vector; of other inputs, in their shape.

    answer(**inputs) computes the output by `network`, both in float64; target is an index behind the batch axis.
    """
    network.requires_grad_(False)
    for module in network.modules():
        softmax = isinstance(module, torch.nn.Softmax | torch.nn.MultiheadAttention)
        if type(module).__module__ in MODULES and not softmax:
            module.forward = wrapped(module.forward)
    ids = {name: x for name, x in inputs.items() if name.endswith("input_ids")}
    values = {name: x.double().requires_grad_() for name, x in inputs.items() if x.is_floating_point()}
    with Rules(ids) as rules:
        y = answer(**{**inputs, **values})
    y[(slice(None), *target)].sum().backward()
    given = {name: x.grad * x for name, x in values.items() if x.grad is not None}
    looked_up = {name: (x.grad * x).sum(-1) for name, x in rules.words.items() if x.grad is not None}
    return {name: r.detach() for name, r in (given | looked_up).items()}
