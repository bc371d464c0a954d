"""Explanations as pictures: images painted by Pillow, charts drawn by matplotlib, which is loaded with the first."""

from onnxdtd.inputs.layout import LAYOUTS
from onnxdtd.render.heatmap import heatmap, save_heatmap
from onnxdtd.render.images import picture_of
from onnxdtd.render.words import coloured_html

__all__ = ["LAYOUTS", "coloured_html", "heatmap", "picture_of", "save_heatmap"]
