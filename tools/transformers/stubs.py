"""Stand-ins for torchvision's compiled operators, which want another PyTorch, and which no network here calls; to be
imported before torchvision is."""

from __future__ import annotations

import torch

operators = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
