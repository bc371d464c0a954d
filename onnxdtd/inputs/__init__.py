"""What goes in: arrays, tables and pictures, one or many, read, preprocessed and checked against the model."""

from onnxdtd.inputs.arrays import check_inputs, untakable
from onnxdtd.inputs.files import input_file, read_inputs
from onnxdtd.inputs.fixed import Fixed, fix
from onnxdtd.inputs.given import feeds_of
from onnxdtd.inputs.image import IMAGE_SUFFIXES, open_image
from onnxdtd.inputs.layout import takes_one_picture
from onnxdtd.inputs.like import Like, read_like
from onnxdtd.inputs.names import Names, names_of
from onnxdtd.inputs.parts import Row
from onnxdtd.inputs.preprocess import Preprocess, features, labels, metadata_fields, read_metadata_range
from onnxdtd.inputs.presets import PRESETS, Preparation, preparation
from onnxdtd.inputs.rows import DataSet, is_stream, open_data
from onnxdtd.inputs.stand_ins import token_number
from onnxdtd.inputs.tokenizer import Reader, Tokenizer, reader_of, spelled

__all__ = [
    "DataSet",
    "Fixed",
    "IMAGE_SUFFIXES",
    "Like",
    "Names",
    "PRESETS",
    "Preparation",
    "Preprocess",
    "Reader",
    "Row",
    "Tokenizer",
    "check_inputs",
    "features",
    "feeds_of",
    "fix",
    "input_file",
    "is_stream",
    "labels",
    "metadata_fields",
    "names_of",
    "open_data",
    "open_image",
    "preparation",
    "read_inputs",
    "read_like",
    "read_metadata_range",
    "reader_of",
    "spelled",
    "takes_one_picture",
    "token_number",
    "untakable",
]
