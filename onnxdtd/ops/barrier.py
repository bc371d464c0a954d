"""Operators that carry no relevance: what they compute is an integer, a boolean or a shape."""

from __future__ import annotations

from onnxdtd.registry import without_site

without_site(
    "barrier", "Shape", "Size", "ConstantOfShape", "Range", "EyeLike",
    reason="depends on shapes, not on values",
)  # fmt: skip
without_site(
    "barrier", "ArgMax", "ArgMin", "NonZero", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not",
    "And", "Or", "Xor", "IsNaN", "IsInf", "Sign", "Floor", "Ceil", "Round",
    reason="piecewise constant: its derivative is zero wherever it exists",
)  # fmt: skip
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
    reason="random: of its inputs only the shape counts",
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
