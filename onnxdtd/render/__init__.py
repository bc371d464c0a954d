"""Explanations as pictures; matplotlib is imported here and nowhere else."""

from onnxdtd.render.heatmap import LAYOUTS, heatmap, picture_of, save_heatmap

__all__ = ["LAYOUTS", "heatmap", "picture_of", "save_heatmap"]
