"""Operators that carry no relevance: what they compute is an integer, a boolean or a shape."""

from __future__ import annotations

import numpy as np
from onnx import numpy_helper

from onnxdtd.domains.interval import SIGNED_UNIT, ZERO, At, Domain, of_array
from onnxdtd.domains.pieces import still
from onnxdtd.domains.rows import curve, within
from onnxdtd.domains.selections import comparison
from onnxdtd.registry import without_site


def _of_constant_of_shape(at: At) -> Domain:
    value = at.attribute("value")
    return ZERO if value is None else of_array(numpy_helper.to_array(value))


SHAPES = "depends on shapes, not on values"
STEPS = "piecewise constant: its derivative is zero wherever it exists"

without_site(
    "barrier", "Shape", "Size", "EyeLike",
    reason=SHAPES, pieces=still, of_shape=True,
)  # fmt: skip
without_site("barrier", "ConstantOfShape", reason=SHAPES, range=_of_constant_of_shape, pieces=still)
without_site("barrier", "Range", reason=SHAPES)
without_site(
    "barrier", "ArgMax", "ArgMin", "NonZero", "Not",
    "And", "Or", "Xor", "IsNaN", "IsInf",
    reason=STEPS,
)  # fmt: skip
without_site("barrier", "Greater", reason=STEPS, pieces=comparison(1, equal=False))
without_site("barrier", "GreaterOrEqual", reason=STEPS, pieces=comparison(1, equal=True))
without_site("barrier", "Less", reason=STEPS, pieces=comparison(-1, equal=False))
without_site("barrier", "LessOrEqual", reason=STEPS, pieces=comparison(-1, equal=True))
without_site("barrier", "Sign", reason=STEPS, range=within(SIGNED_UNIT))
without_site("barrier", "Floor", reason=STEPS, range=curve(np.floor))
without_site("barrier", "Ceil", reason=STEPS, range=curve(np.ceil))
without_site("barrier", "Round", reason=STEPS, range=curve(np.round))
without_site(
    "barrier", "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor",
    reason="works on the bits of integers",
)  # fmt: skip
without_site(
    "barrier", "BitCast",
    reason="reads the bits of its input as another type",
)  # fmt: skip
without_site(
    "barrier", "NonMaxSuppression",
    reason="makes the indices of the boxes that it keeps; relevance reaches what is gathered by them",
)  # fmt: skip
without_site(
    "barrier", "MelWeightMatrix",
    reason="a table of weights made of sizes and frequencies",
)  # fmt: skip
without_site(
    "barrier", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
    reason="random: of its inputs only the shape counts", pieces=still, of_shape=True,
)  # fmt: skip
without_site(
    "barrier", "SequenceEmpty", "SequenceLength", "OptionalHasElement",
    reason="counts or makes lists; what it computes is no float",
)  # fmt: skip
without_site(
    "barrier", "StringConcat", "StringNormalizer", "StringSplit", "RegexFullMatch", "TfIdfVectorizer",
    "ImageDecoder",
    reason="reads strings or bytes, which have no relevance of their own; explain what it makes: cut the model there",
)  # fmt: skip
without_site("barrier", "Constant", reason="part of the model")
