"""Explanations as pictures; matplotlib is imported here and nowhere else."""

from onnxdtd.inputs.layout import LAYOUTS
from onnxdtd.render.heatmap import columns, heatmap, picture_of, save_heatmap

__all__ = ["LAYOUTS", "columns", "heatmap", "picture_of", "save_heatmap"]
