"""What goes in: arrays and pictures, read, preprocessed and checked against the model."""

from onnxdtd.inputs.arrays import check_inputs, input_file, read_inputs
from onnxdtd.inputs.fixed import Fixed, fix
from onnxdtd.inputs.image import IMAGE_SUFFIXES, open_image
from onnxdtd.inputs.like import Like, read_like
from onnxdtd.inputs.preprocess import Preprocess, features, labels, read_metadata_range

__all__ = [
    "Fixed",
    "IMAGE_SUFFIXES",
    "Like",
    "Preprocess",
    "check_inputs",
    "features",
    "fix",
    "input_file",
    "labels",
    "open_image",
    "read_inputs",
    "read_like",
    "read_metadata_range",
]
