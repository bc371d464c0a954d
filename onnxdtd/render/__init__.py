"""Explanations as pictures: images painted by Pillow, charts drawn by matplotlib, which is loaded with the first."""

from onnxdtd.inputs.layout import LAYOUTS
from onnxdtd.render.heatmap import heatmap, save_heatmap
from onnxdtd.render.images import picture_of

__all__ = ["LAYOUTS", "heatmap", "picture_of", "save_heatmap"]
