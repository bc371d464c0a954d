"""Write a tiny BERT-like classifier as PyTorch exports it, and its gradient and AttnLRP relevance by PyTorch.

    pip install torch==2.13.0 numpy onnx onnxscript
    python -m tools.goldens.transformer_goldens [OUTPUT_FOLDER]

Made with torch 2.13.0 (CPU), onnx 1.23.2, numpy 2.4.6, Python 3.11. The three files compute the same function,
(`ids` (N, 8) int64, `mask` (N, 8) int64, 1 for a token and 0 for padding) -> `logits` (N, 3):

    script.onnx     TorchScript export, opset 14: LayerNorm and GELU in their parts, mask added
    dynamo.onnx     dynamo export, opset 20
    attention.onnx  dynamo export, opset 23, by scaled_dot_product_attention: one Attention node a layer

relevance.npz holds: ids, mask, target (3,) (the arg-max), logits; gradient_x_input, attnlrp and cp_lrp (3, 8):
relevance of each token, summed over its word vector. AttnLRP (Achtibat et al. 2024) and CP-LRP (Ali et al. 2022, the
rules AH and LN) are written out here as one backward function for each operation, in float64, stabiliser 1e-12 with
the sign of the sum: gradients are replaced by relevance.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

from tools.paths import GOLDENS

WORDS, LENGTH, WIDTH, HEADS, LAYERS, CLASSES = 40, 8, 16, 2, 2, 3
EPSILON, LAYER_NORM_EPSILON, MASKED = 1e-12, 1e-5, -10000.0


def stabilised(z: Tensor) -> Tensor:
    return z + EPSILON * torch.where(z < 0, -1.0, 1.0)


class Linear(torch.autograd.Function):
    """R = x W^T (r / z)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        z = functional.linear(x, weight, bias)
        ctx.save_for_backward(x, weight, z)
        return z

    @staticmethod
    def backward(ctx: Any, r: Tensor) -> Any:
        x, weight, z = ctx.saved_tensors
        return x * ((r / stabilised(z)) @ weight), None, None


class Add(torch.autograd.Function):
    """R_a = a r / (a + b)."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        return a + b

    @staticmethod
    def backward(ctx: Any, r: Tensor) -> Any:
        a, b = ctx.saved_tensors
        q = r / stabilised(a + b)
        return a * q, (b * q).sum_to_size(b.shape)


class Product(torch.autograd.Function):
    """R_a = a (q b^T), R_b = b (a^T q), q = r / 2z."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        return a @ b

    @staticmethod
    def backward(ctx: Any, r: Tensor) -> Any:
        a, b = ctx.saved_tensors
        q = r / stabilised(2 * (a @ b))
        return a * (q @ b.mT), b * (a.mT @ q)


class Weigh(torch.autograd.Function):
    """AH: R_b = b (a^T r / z), and nothing for the weights a."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        return a @ b

    @staticmethod
    def backward(ctx: Any, r: Tensor) -> Any:
        a, b = ctx.saved_tensors
        return None, b * (a.mT @ (r / stabilised(a @ b)))


class Softmax(torch.autograd.Function):
    """R = x (r - s sum r), r first divided and multiplied by the stabilised s."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        s = x.softmax(-1)
        ctx.save_for_backward(x, s)
        return s

    @staticmethod
    def backward(ctx: Any, r: Tensor) -> Any:
        x, s = ctx.saved_tensors
        r = r * s / stabilised(s)
        return x * (r - s * r.sum(-1, keepdim=True))


class LayerNorm(torch.autograd.Function):
    """The epsilon rule on (x - mean) weight / deviation, with the deviation as a constant."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        y = functional.layer_norm(x, x.shape[-1:], weight, bias, LAYER_NORM_EPSILON)
        ctx.save_for_backward(x, weight, y)
        return y

    @staticmethod
    def backward(ctx: Any, r: Tensor) -> Any:
        x, weight, y = ctx.saved_tensors
        deviation = (x.var(-1, keepdim=True, correction=0) + LAYER_NORM_EPSILON).sqrt()
        q = r / stabilised(y) * weight / deviation
        return x * (q - q.mean(-1, keepdim=True)), None, None


class Pass(torch.autograd.Function):
    """R = r."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        return y.clone()

    @staticmethod
    def backward(ctx: Any, r: Tensor) -> Any:
        return r, None


PLAIN = SimpleNamespace(
    linear=functional.linear, add=torch.add, product=torch.matmul, weigh=torch.matmul,
    softmax=lambda x: x.softmax(-1),
    layer_norm=lambda x, w, b: functional.layer_norm(x, (WIDTH,), w, b, LAYER_NORM_EPSILON),
    gelu=functional.gelu, tanh=torch.tanh, scale=lambda x, c: x * c,
)  # fmt: skip
ATTNLRP = SimpleNamespace(
    linear=Linear.apply, add=Add.apply, product=Product.apply, weigh=Product.apply, softmax=Softmax.apply,
    layer_norm=LayerNorm.apply,
    gelu=lambda x: Pass.apply(x, functional.gelu(x.detach())),
    tanh=lambda x: Pass.apply(x, torch.tanh(x.detach())),
    scale=lambda x, c: Pass.apply(x, x.detach() * c),
)  # fmt: skip
CP_LRP = SimpleNamespace(
    **{**vars(ATTNLRP), "weigh": Weigh.apply, "softmax": lambda x: x.detach().softmax(-1)}
)


class Block(nn.Module):
    """Attention and a dense part, each with a residual sum and a LayerNorm behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.wide, self.narrow = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH, eps=LAYER_NORM_EPSILON) for _ in range(2))

    def forward(self, x: Tensor, mask: Tensor, ops: Any, fused: bool) -> Tensor:
        q, k, v = (self._heads(ops.linear(x, m.weight, m.bias)) for m in (self.query, self.key, self.value))
        if fused:
            heads = functional.scaled_dot_product_attention(q, k, v, mask[:, None, None, :] > 0)
        else:
            scores = ops.scale(ops.product(q, k.transpose(-1, -2)), 1 / math.sqrt(WIDTH / HEADS))
            away = (1.0 - mask[:, None, None, :].to(x.dtype)) * MASKED
            heads = ops.weigh(ops.softmax(ops.add(scores, away)), v)
        context = heads.transpose(1, 2).reshape(-1, LENGTH, WIDTH)
        x = self._norm(0, ops.add(x, ops.linear(context, self.out.weight, self.out.bias)), ops)
        hidden = ops.gelu(ops.linear(x, self.wide.weight, self.wide.bias))
        return self._norm(1, ops.add(x, ops.linear(hidden, self.narrow.weight, self.narrow.bias)), ops)

    def _heads(self, x: Tensor) -> Tensor:
        return x.reshape(-1, LENGTH, HEADS, WIDTH // HEADS).transpose(1, 2)

    def _norm(self, which: int, x: Tensor, ops: Any) -> Tensor:
        return ops.layer_norm(x, self.norms[which].weight, self.norms[which].bias)


class Classifier(nn.Module):
    """Word and position embeddings, blocks, and a classifier on the first token."""

    def __init__(self, fused: bool = False) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.words, self.places = nn.Embedding(WORDS, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=LAYER_NORM_EPSILON)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.pool, self.head = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, CLASSES)
        self.fused = fused
        for parameter in self.parameters():  # biases and scales of zero and one would hide errors
            parameter.data += 0.3 * torch.randn_like(parameter)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        return self.behind(self.words(ids), mask, PLAIN)

    def behind(self, words: Tensor, mask: Tensor, ops: Any) -> Tensor:
        x = ops.layer_norm(ops.add(words, self.places.weight[None]), self.norm.weight, self.norm.bias)
        for block in self.blocks:
            x = block(x, mask, ops, self.fused)
        pooled = ops.tanh(ops.linear(x[:, 0], self.pool.weight, self.pool.bias))
        return ops.linear(pooled, self.head.weight, self.head.bias)


def relevance(model: Classifier, ids: Tensor, mask: Tensor, ops: Any) -> tuple[Tensor, Tensor, Tensor]:
    """(logits, target, what arrives at the word vectors)."""
    words = model.words(ids).detach().requires_grad_()
    logits = model.behind(words, mask, ops)
    target = logits.argmax(-1)
    chosen = logits.gather(1, target[:, None])
    seed = torch.ones_like(chosen) if ops is PLAIN else chosen.detach()
    (arrived,) = torch.autograd.grad(chosen, words, seed)
    return logits, target, arrived * words if ops is PLAIN else arrived


def bare(model: onnx.ModelProto) -> onnx.ModelProto:
    """Without the notes on where each node comes from, which hold paths."""
    for thing in (
        model.graph,
        *model.graph.node,
        *model.graph.value_info,
        *model.graph.input,
        *model.graph.output,
    ):
        del thing.metadata_props[:]
    return model


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    ids = torch.from_numpy(np.random.default_rng(5).integers(1, WORDS, (3, LENGTH)))
    mask = torch.tensor([[1] * 8, [1] * 5 + [0] * 3, [1] * 3 + [0] * 5])
    model = Classifier().double().eval()
    logits, target, products = relevance(model, ids, mask, PLAIN)
    _, _, lrp = relevance(model, ids, mask, ATTNLRP)
    _, _, conserving = relevance(model, ids, mask, CP_LRP)
    np.savez(
        folder / "relevance.npz",
        ids=ids.numpy(), mask=mask.numpy(), target=target.numpy(), logits=logits.detach().numpy(),
        gradient_x_input=products.sum(-1).detach().numpy(), attnlrp=lrp.sum(-1).numpy(),
        cp_lrp=conserving.sum(-1).numpy(),
    )  # fmt: skip
    names = {"input_names": ["ids", "mask"], "output_names": ["logits"]}
    plain, fused = Classifier().eval(), Classifier(fused=True).eval()
    torch.testing.assert_close(fused(ids, mask), plain(ids, mask))
    torch.onnx.export(
        plain, (ids, mask), folder / "script.onnx", dynamo=False, opset_version=14,
        dynamic_axes={"ids": {0: "N"}, "mask": {0: "N"}}, **names,
    )  # fmt: skip
    for model, name, opset in ((plain, "dynamo", 20), (fused, "attention", 23)):
        program = torch.onnx.export(
            model, (ids, mask), dynamo=True, opset_version=opset, verbose=False,
            dynamic_shapes={"ids": {0: "N"}, "mask": {0: "N"}}, **names,
        )  # fmt: skip
        onnx.save(bare(program.model_proto), folder / f"{name}.onnx")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else GOLDENS / "transformer")
