"""Explanations as pictures; matplotlib is imported here and nowhere else."""

from onnxdtd.inputs.layout import LAYOUTS
from onnxdtd.render.heatmap import heatmap, picture_of, save_heatmap

__all__ = ["LAYOUTS", "heatmap", "picture_of", "save_heatmap"]
